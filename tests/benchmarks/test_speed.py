"""The competitors of `benchmarks.speed` do the same work; no test here depends on time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.peers.all_peers import ALL
from benchmarks.peers.ours import opened
from benchmarks.peers.peer import TOLERANCE, Peer, PeerMissingError, Ready, kept
from benchmarks.peers.typical import filled
from benchmarks.speed import __main__ as speed
from benchmarks.speed.results import as_json, print_rows, print_targets, ratios
from benchmarks.speed.rounds import Row, timed_rows
from benchmarks.targets import Target, targets
from benchmarks.work import Work, make_work, model_id, with_window
from tests.support.scene import HOME, SCENE, Small, random_model

# What the test environment has; the extra `bench` brings the others.
HERE = {
    "rank", "rank_five", "rank_all", "rank_new_event", "model", "naive_run", "naive_bound", "torch", "numpy", "typical",
}  # fmt: skip
WITH_TARGETS = {
    "rank_over_litert", "model_over_c", "rank_over_typical",
    "rank_over_litert_32", "model_over_c_32", "rank_over_typical_32",
}  # fmt: skip


@pytest.fixture(scope="module")
def work(small: Small, tmp_path_factory: pytest.TempPathFactory) -> Work:
    """The small scene as a task."""
    return small_work(small, tmp_path_factory.mktemp("speed"))


def small_work(small: Small, folder: Path, seed: int = 11, events: int = 60) -> Work:
    """Six candidates after an hour of events."""
    return make_work(
        model=small.model,
        bundle=small.bundle,
        public_key=small.public_key,
        scene=SCENE,
        context=HOME,
        folder=folder,
        events=events,
        seed=seed,
    )


@pytest.fixture(scope="module")
def rows(work: Work) -> list[Row]:
    """Every competitor, in two rounds of two calls; the one task is used for both windows."""
    return timed_rows([replace(work, window=window) for window in (128, 32)], ALL, rounds=2, calls=2)


@pytest.mark.parametrize("key", sorted(HERE))
def test_a_competitor_scores_as_torch_does(rows: list[Row], key: str) -> None:
    found = [row for row in rows if row.peer.key == key]
    assert [row.missing for row in found] == ["", ""]
    assert all(row.difference is not None and row.difference <= TOLERANCE for row in found)
    assert all(len(row.medians_us) == 2 for row in found)


def test_the_task_is_one_that_can_tell_competitors_apart(work: Work) -> None:
    """Scores that spread, a full window, counters and values that are not all alike."""
    item, kind, age_s, _, counters, *_ = work.inputs
    assert (kind > 0).all()
    assert len(set(item.tolist())) > 3
    assert len(set(age_s.tolist())) == len(age_s)
    assert np.ptp(work.expected) > 0.1
    assert np.ptp(counters) > 1
    assert np.abs(work.expected - work.base.logits @ work.inputs[-1]).max() > 0.1


@pytest.mark.parametrize("surface", ["home", "wealth"])
@pytest.mark.parametrize("stage", ["new", "active"])
@pytest.mark.parametrize("events", [0, 5, 60, 300])
def test_what_a_user_would_write_gives_the_order_of_the_engine(
    small: Small, work: Work, surface: str, stage: str, events: int
) -> None:
    context = {"surface": surface, "stage": stage}
    for seed in range(5):
        task = replace(small_work(small, work.folder, seed, events), context=context)
        with opened(task) as (engine, _):
            decision = engine.rank(task.base, context=context)
        ranked = filled(task).rank(task.base, context, task.now_ms)
        assert [offer for offer, _ in ranked] == [offer.id for offer in decision.offers]
        assert [score for _, score in ranked] == pytest.approx([offer.score for offer in decision.offers], abs=1e-4)


def test_its_rules_take_offers_out(small: Small, work: Work) -> None:
    tasks = [small_work(small, work.folder, seed) for seed in range(5)]
    assert any(len(filled(task).rank(task.base, HOME, task.now_ms)) < 6 for task in tasks)
    idle = small_work(small, work.folder, events=0)
    active = filled(idle).rank(idle.base, {**HOME, "stage": "active"}, idle.now_ms)
    assert sorted(offer for offer, _ in active) == ["fund_a", "fund_b", "fund_c", "fund_d"]
    assert filled(idle).rank(idle.base, {**HOME, "stage": "active"}, idle.now_ms, limit=3) == active[:3]


def test_a_missing_competitor_is_a_row_with_the_reason(rows: list[Row], capsys: pytest.CaptureFixture[str]) -> None:
    assert {row.peer.key for row in rows} == {peer.key for peer in ALL}
    absent = [row for row in rows if row.peer.key not in HERE and row.missing]
    print_rows(rows)
    printed = capsys.readouterr().out
    for row in absent:
        assert f"{row.peer.label:36} missing: {row.missing}" in printed
    windows = as_json(rows)
    for window in (128, 32):
        table = windows[f"window_{window}"]
        assert isinstance(table, dict)
        assert set(table) == {peer.key for peer in ALL}
        for row in (row for row in absent if row.window == window):
            cell = table[row.peer.key]
            assert isinstance(cell, dict)
            assert cell["missing"] == row.missing


def test_the_reason_and_the_fix_are_told(work: Work) -> None:
    @contextmanager
    def absent(_: Work) -> Iterator[Ready]:
        raise PeerMissingError("it is not installed", "pip install it")
        yield

    @contextmanager
    def broken(_: Work) -> Iterator[Ready]:
        raise ValueError("layer Foo is not known\nand a long trace")
        yield

    first, second = timed_rows([work], [Peer("a", "a", absent), Peer("b", "b", broken)], rounds=1, calls=1)
    assert first.missing == "it is not installed; pip install it"
    assert second.missing.startswith("ValueError: layer Foo is not known; ")
    assert first.median_us is None


def test_other_scores_are_found_out(work: Work) -> None:
    def scoring(shift: float) -> Peer:
        @contextmanager
        def prepare(task: Work) -> Iterator[Ready]:
            yield Ready(lambda: None, lambda: task.expected + np.float32(shift))

        return Peer("x", "x", prepare)

    shifts = (0.0, 2e-4, float("nan"))
    found = timed_rows([work], [scoring(shift) for shift in shifts], rounds=1, calls=1)
    assert [row.is_wrong for row in found] == [False, True, True]


def test_another_model_is_not_compared_with_torch(work: Work) -> None:
    @contextmanager
    def prepare(task: Work) -> Iterator[Ready]:
        yield Ready(lambda: None, lambda: None)

    (row,) = timed_rows([work], [Peer("x", "x", prepare, same_maths=False)], rounds=1, calls=1)
    assert row.difference is None
    assert not row.is_wrong


def test_what_is_done_before_a_call_is_not_timed_and_done_each_time(work: Work) -> None:
    done: list[str] = []

    @contextmanager
    def prepare(_: Work) -> Iterator[Ready]:
        yield Ready(lambda: done.append("call"), lambda: None, lambda: done.append("before"))

    timed_rows([work], [Peer("x", "x", prepare)], rounds=1, calls=4)
    assert done == ["before", "call"] * (len(done) // 2)
    assert len(done) > 8


def test_the_figures_with_targets_are_flat_keys(rows: list[Row]) -> None:
    found = ratios(rows)
    assert set(found) >= WITH_TARGETS
    assert {name: target.bound for name, target in targets("speed").items() if name in WITH_TARGETS} == {
        "rank_over_litert": 1.0, "rank_over_litert_32": 1.6,
        "model_over_c": 1.8, "model_over_c_32": 2.4,
        "rank_over_typical": 0.5, "rank_over_typical_32": 0.5,
    }  # fmt: skip
    assert isinstance(found["rank_over_typical"], float)
    here = {row.peer.key for row in rows if not row.missing}
    assert (found["rank_over_litert_32"] is None) == ("litert" not in here)
    json.dumps({**found, **as_json(rows)})


def test_a_ratio_is_of_times_in_the_same_round() -> None:
    nothing = ALL[0]
    mine, theirs = Row(32, nothing, medians_us=[1.0, 30.0, 4.0]), Row(32, nothing, medians_us=[2.0, 30.0, 4.0])
    assert mine.ratio_to(theirs) == 1.0
    assert mine.ratio_to(Row(32, nothing, missing="gone")) is None


def test_targets_are_printed_beside_the_figures(capsys: pytest.CaptureFixture[str]) -> None:
    print_targets({"a": 0.5, "b": 2.0, "c": None, "d": 90_784}, {name: Target(1.0) for name in "abc"})
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line]
    assert lines[0] == ["a", "0.500", "target", "≤", "1", "met:", "yes"]
    assert lines[1] == ["b", "2.000", "target", "≤", "1", "met:", "no"]
    assert lines[2] == ["c", "missing", "target", "≤", "1", "met:", "not", "known"]
    assert lines[3] == ["d", "90,784"]


def test_what_is_converted_is_kept_by_what_it_was_made_from(small: Small, work: Work) -> None:
    other = random_model(small.layout, seed=6)
    names = {kept(one, "x.onnx") for one in (
        work, replace(work, window=9), replace(work, model_id=f"{model_id(other)}-6"), small_work(small, work.folder),
    )}  # fmt: skip
    assert len(names) == 3
    assert model_id(other) != model_id(small.model) == model_id(with_window(small.model, 32))


def test_a_window_is_not_in_the_weights(small: Small) -> None:
    wide = with_window(small.model, 128)
    assert wide.config.window == 128
    assert set(wide.state_dict()) == set(small.model.state_dict())


@pytest.mark.parametrize("option", [["--rounds", "0"], ["--calls", "-1"], ["--rounds", "many"]])
def test_a_wrong_call_is_one_line(
    option: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["speed", *option])
    with pytest.raises(SystemExit) as stopped:
        speed.main()
    assert stopped.value.code == 2
    assert option[0] in capsys.readouterr().err
