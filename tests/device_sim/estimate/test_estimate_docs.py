"""docs/device_sim.md and docs/cycle_model.md agree with the code: formula, tables and example."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from device_sim.estimate.cycle_model import read_calibration
from device_sim.estimate.profile import Figure, read_profile
from device_sim.estimate.scalar_ipc import read_scalar_ipc
from device_sim.estimate.scenarios import SCENARIOS
from tests.support.paths import DOCS

PAGE = (DOCS / "device_sim.md").read_text(encoding="utf-8")
MODEL_PAGE = (DOCS / "cycle_model.md").read_text(encoding="utf-8")


def _span(pair: tuple[float, float] | None) -> str:
    assert pair is not None
    low, high = f"{pair[0]:.2f}", f"{pair[1]:.2f}"
    return low if low == high else f"{low}–{high}"


@pytest.mark.parametrize("page", [PAGE, MODEL_PAGE], ids=["device_sim.md", "cycle_model.md"])
def test_the_formula_has_the_terms_of_every_shipped_cycle_model(page: str) -> None:
    (formula,) = re.findall(r"cycles = ([a-z]·.*?)[,;]", page)
    terms = [term.partition("·")[2] for term in formula.split(" + ")]
    for core, model in read_calibration().cores.items():
        assert terms == list(model.cycles_per), core


def test_every_term_is_explained() -> None:
    explained = set(re.findall(r"`([a-z0-9_]+)`", "".join(re.findall(r"^\| (`.*?) \|", MODEL_PAGE, re.MULTILINE))))
    for model in read_calibration().cores.values():
        assert set(model.cycles_per) <= explained


@pytest.mark.parametrize("number", ["A53", "A55", "A72", "A73", "A76", "A78", "X1", "X925"])
def test_the_ranges_are_the_shipped_ones(number: str) -> None:
    core = read_scalar_ipc().of(f"cortex-{number.lower()}")
    spans = (_span(core.lzma_encode), _span(core.lzma_decode), _span((core.low, core.high)))
    assert f"| Cortex-{number} | {' | '.join(spans)} |" in PAGE


def test_the_widenings_are_the_shipped_ones() -> None:
    shipped = read_scalar_ipc()
    assert f"× {shipped.out_of_order.low} to × {shipped.out_of_order.high}." in PAGE
    assert f"× {shipped.in_order.low} to × {shipped.in_order.high}." in PAGE


def test_every_scenario_is_explained_as_it_is_assumed() -> None:
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| (.+) \|$", PAGE, flags=re.MULTILINE))
    for scenario in SCENARIOS.values():
        assert rows[scenario.name].startswith(scenario.assumption)


def test_the_example_of_a_profile_is_one(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE, flags=re.DOTALL)
    file = tmp_path / "mine.toml"
    file.write_text(example.replace("…", "somewhere one can look it up"), encoding="utf-8")
    mine = read_profile(file)
    assert mine.main.name == "cortex-a55"
    assert mine.main.scalar_ipc == Figure(low=0.6, high=0.9, source="somewhere one can look it up")


def test_what_is_not_promised_is_named() -> None:
    for word in ("Tail latency", "Energy", "GPU, NPU", "Scheduling", "Measured on a phone", "100 µs", "one thread"):
        assert word in PAGE.split("## What is not promised")[1]
