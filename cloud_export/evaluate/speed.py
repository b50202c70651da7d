"""Measures speed and memory of the runtime with a bundle on this machine.

Times are percentiles over single calls. Memory and start-up are measured in fresh processes and compared with a process
that imports numpy and onnxruntime only.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from cloud_export.json_types import JsonValue
from edge_sdk import BaseDecision, Engine

RECORDS = 20_000
RANKS = 3_000
CANDIDATES = 50
WARM_UP = 300
PROCESSES = 5
TARGETS: dict[str, JsonValue] = {"record_us_p50": 3, "rank_us_p50": 120, "open_ms": 50, "bundle_bytes": 300_000}

BARE_IMPORTS = "import numpy, onnxruntime"
RESIDENT_BYTES = "import resource; print(int(open('/proc/self/statm').read().split()[1]) * resource.getpagesize())"
# The caller makes the state folder: `tempfile` would load OpenSSL's library, 3 MB that the runtime does not use.
_WORK = """
import sys, time
import numpy, onnxruntime
from edge_sdk import BaseDecision, Engine
bundle, key, kind, offers = sys.argv[1], bytes.fromhex(sys.argv[2]), sys.argv[3], sys.argv[4].split("\\n")
base = BaseDecision(offers, [0.0] * len(offers))
start = time.perf_counter()
engine = Engine.open(sys.argv[5], bundle=bundle, trusted_keys=[key])
engine.rank(base)
opened = time.perf_counter() - start
for index in range(2000):
    engine.record(kind, item=offers[index % len(offers)])
for index in range(200):
    engine.rank(base)
print(opened)
"""


def measure_speed(
    bundle: Path,
    wide_bundle: Path | None,
    public_key: bytes,
    events: Sequence[tuple[str, str]],
    window_kinds: Sequence[str],
    offers: Sequence[str],
) -> dict[str, JsonValue]:
    """Returns the report's speed block.

    Args:
        bundle: the shipped file.
        wide_bundle: the same weights exported with a window of 128; None = not measured.
        public_key: the key that signed both.
        events: (kind, item) as in a log, repeated as needed; `record` is measured on all of them.
        window_kinds: kinds that enter the window; `rank` is measured over a window full of them.
        offers: the scene's offers, repeated up to 50 candidates where there are fewer.
    """
    candidates = [offers[index % len(offers)] for index in range(CANDIDATES)]
    seen = [event for event in events if event[0] in set(window_kinds)] or [(window_kinds[0], offers[0])]
    record_us = _record_us(bundle, public_key, events)
    rank_us, fresh_us = _rank_us(bundle, public_key, seen, candidates)
    wide: dict[str, JsonValue] = {}
    if wide_bundle is not None:
        wide_us, _ = _rank_us(wide_bundle, public_key, seen, candidates)
        wide = {"rank128_us_p50": wide_us[0], "rank128_us_p99": wide_us[1]}
    opened, resident = _fresh_processes(bundle, public_key, seen[0][0], candidates)
    return {
        "record_us_p50": record_us[0],
        "record_us_p99": record_us[1],
        "rank_us_p50": rank_us[0],
        "rank_us_p99": rank_us[1],
        "rank_new_base_us_p50": fresh_us[0],
        "rank_new_base_us_p99": fresh_us[1],
        **wide,
        "open_ms": opened * 1000,
        "extra_memory_mb": resident / 1e6,
        "bundle_bytes": bundle.stat().st_size,
        "candidates": CANDIDATES,
        "machine": f"{processor()}, Python {platform.python_version()}, {platform.system()} {platform.machine()}",
        "targets": TARGETS,
    }


def _record_us(bundle: Path, public_key: bytes, events: Sequence[tuple[str, str]]) -> tuple[float, float]:
    """Returns (p50, p99) in µs of one `record`."""
    spent = []
    with (
        tempfile.TemporaryDirectory(prefix="edge-speed-") as folder,
        Engine.open(folder, bundle=bundle, trusted_keys=[public_key]) as engine,
    ):
        for kind, item in islice(cycle(events), RECORDS):
            start = time.perf_counter_ns()
            engine.record(kind, item=item, value=1.0)
            spent.append((time.perf_counter_ns() - start) / 1000)
    return _p50_p99(spent[WARM_UP:])


def _rank_us(
    bundle: Path, public_key: bytes, events: Sequence[tuple[str, str]], candidates: list[str]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Returns (p50, p99) in µs of one `rank` and of reading its five offers, over a full window, after a new event.

    The first pair repeats one `BaseDecision`; the second uses a new one each time (made outside the measured time).
    """
    logits = np.linspace(1, -1, len(candidates))
    bases = [BaseDecision(candidates, logits)] * (RANKS + WARM_UP)
    figures = []
    with (
        tempfile.TemporaryDirectory(prefix="edge-speed-") as folder,
        Engine.open(folder, bundle=bundle, trusted_keys=[public_key]) as engine,
    ):
        for kind, item in islice(cycle(events), 4096):
            engine.record(kind, item=item)
        for group in (bases, [BaseDecision(candidates, logits) for _ in bases]):
            spent = []
            for base, (kind, item) in zip(group, cycle(events), strict=False):
                engine.record(kind, item=item)
                start = time.perf_counter_ns()
                _ = engine.rank(base, limit=5).offers
                spent.append((time.perf_counter_ns() - start) / 1000)
            figures.append(_p50_p99(spent[WARM_UP:]))
    return figures[0], figures[1]


def _p50_p99(values: list[float]) -> tuple[float, float]:
    return float(np.percentile(values, 50)), float(np.percentile(values, 99))


def _fresh_processes(bundle: Path, public_key: bytes, kind: str, candidates: list[str]) -> tuple[float, float]:
    """Returns medians: seconds from `Engine.open` to the first decision, and bytes over those of the bare imports."""
    arguments = [str(bundle), public_key.hex(), kind, "\n".join(candidates)]
    opened, resident, bare = [], [], []
    with tempfile.TemporaryDirectory(prefix="edge-bytecode-") as bytecode:
        in_new_folder(_WORK + RESIDENT_BYTES, arguments, bytecode)  # compiles, as pip does at installation
        for _ in range(PROCESSES):
            bare.append(int(fresh_python(f"{BARE_IMPORTS}; {RESIDENT_BYTES}", [], bytecode)[0]))
            seconds, size = in_new_folder(_WORK + RESIDENT_BYTES, arguments, bytecode)
            opened.append(float(seconds))
            resident.append(int(size))
    return statistics.median(opened), statistics.median(resident) - statistics.median(bare)


def in_new_folder(program: str, arguments: list[str], bytecode: str) -> list[str]:
    """Calls `fresh_python` with a temporary folder as the last argument."""
    with tempfile.TemporaryDirectory(prefix="edge-speed-") as folder:
        return fresh_python(program, [*arguments, folder], bytecode)


def fresh_python(program: str, arguments: list[str], bytecode: str) -> list[str]:
    """Runs a program in a process of its own and returns the words that the program prints.

    Args:
        program: Python source.
        arguments: the program's arguments.
        bytecode: folder of the compiled bytecode, which later processes reuse.
    """
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    run = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={**environment, "PYTHONPYCACHEPREFIX": bytecode},
    )
    return run.stdout.split()


def processor() -> str:
    """Returns the name of this machine's CPU."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown CPU")
