"""targets.toml has the bound of every benchmark's figures, and each benchmark reads it there."""

from __future__ import annotations

from typing import get_args

import pytest

from benchmarks import targets as module
from benchmarks.decision import __main__ as decision
from benchmarks.event_log.__main__ import TARGETS
from benchmarks.runtime import FIGURES
from benchmarks.targets import Area, Target, targets
from cloud_export.evaluate import speed


@pytest.mark.parametrize("area", get_args(Area))
def test_every_benchmark_has_a_section(area: Area) -> None:
    assert all(target.bound > 0 for target in targets(area).values())


def test_the_runtime_has_the_targets_of_the_report() -> None:
    assert {name: target.bound for name, target in targets("runtime").items()} == speed.TARGETS
    assert set(targets("runtime")) <= set(FIGURES)


def test_each_figure_of_the_decision_with_a_target_is_one_that_is_measured() -> None:
    assert decision.__doc__ is not None
    assert all(f"`{name}`" in decision.__doc__ for name in targets("decision"))


def test_the_event_log_reads_the_file() -> None:
    assert targets("event_log") == TARGETS
    assert TARGETS["record_many_per_s"] == Target(20e6, at_least=True)


@pytest.mark.parametrize(
    ("target", "figure", "words"),
    [
        (Target(10), 10.0, "target ≤ 10  met: yes"),
        (Target(10), 10.1, "target ≤ 10  met: no"),
        (Target(5, at_least=True), 5.0, "target ≥ 5  met: yes"),
        (Target(5, at_least=True), 4.9, "target ≥ 5  met: no"),
        (Target(20e6, at_least=True), None, "target ≥ 20,000,000  met: not known"),
    ],
)
def test_the_verdict_is_beside_the_target(target: Target, figure: float | None, words: str) -> None:
    assert target.verdict(figure) == words


@pytest.mark.parametrize("bound", ["{ most = 1 }", "{ at_most = 1, at_least = 2 }", "{}"])
def test_a_bound_of_another_form_is_refused(
    bound: str, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("targets") / "targets.toml"
    file.write_text(f"[speed]\nrank = {bound}\n")
    monkeypatch.setattr(module, "FILE", file)
    with pytest.raises(ValueError, match=r"targets\.toml: rank = .*write \{ at_most"):
        targets("speed")
