"""A comparison of two benches fails on some changes, notes others, and refuses files that are not comparable."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_sim.bench.bench_types import Bench
from device_sim.bench.compare import Line, NotComparableError, compare
from tests.support.simulator.bench_files import bench_of, counts_of

THEN = bench_of(counts=(counts_of(rank=1_000_000.0),))


@pytest.mark.parametrize(
    ("now", "outcome"),
    [(1_004_000.0, "same"), (1_006_000.0, "rose"), (996_000.0, "same"), (994_000.0, "fell"), (1_005_000.0, "same")],
)
def test_a_half_percent_of_instructions_decides(now: float, outcome: str) -> None:
    compared = compare(THEN, bench_of(counts=(counts_of(rank=now),)))
    [line] = [line for line in compared.lines if line.name == "counts cortex-a55 rank"]
    assert line.outcome == outcome
    assert [worse.name for worse in compared.regressions] == (["counts cortex-a55 rank"] if outcome == "rose" else [])
    assert any("renew the baseline" in note for note in compared.notes) == (outcome == "fell")


@pytest.mark.parametrize(
    ("now", "worse"),
    [
        (bench_of(bundle_bytes=100_400), []),
        (bench_of(bundle_bytes=100_600), ["bundle"]),
        (bench_of(state_bytes=1_006_000), ["state folder"]),
        (bench_of(bundle_bytes=99_000, state_bytes=990_000), []),
        (bench_of(rank_us=500.0), []),
    ],
)
def test_sizes_decide_and_times_do_not(now: Bench, worse: list[str]) -> None:
    assert [line.name for line in compare(bench_of(), now).regressions] == worse


def test_times_decide_where_they_are_asked_to() -> None:
    slower = bench_of(rank_us=120.0)
    assert not compare(bench_of(), slower, time_tolerance=0.25).regressions
    names = [line.name for line in compare(bench_of(), slower, time_tolerance=0.1).regressions]
    assert names[:3] == ["record p50", "record p95", "record p99"]
    assert len(names) == 9


def test_the_tolerance_can_be_set() -> None:
    now = bench_of(counts=(counts_of(rank=1_020_000.0),))
    assert compare(THEN, now).regressions
    assert not compare(THEN, now, tolerance=0.03).regressions


def test_the_order_in_the_files_does_not_matter() -> None:
    both = (counts_of("cortex-a55"), counts_of("cortex-a76"))
    turned = bench_of(counts=both[::-1]).model_copy(update={"conditions": bench_of().conditions[::-1]})
    compared = compare(bench_of(counts=both), turned)
    assert all(line.change == 0 for line in compared.lines)
    assert sum(line.name.startswith("counts") for line in compared.lines) == 4


def test_a_comparison_without_counts_begins_with_a_warning() -> None:
    assert compare(bench_of(), bench_of()).notes[0].startswith("NO COUNTS WERE COMPARED: neither file")
    assert compare(bench_of(), THEN).notes[0].startswith("NO COUNTS WERE COMPARED: the old file")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (THEN, bench_of(), "was cortex-a55 and is not counted; give --counts FILE"),
        (THEN, bench_of(counts=(counts_of("cortex-a76"),)), "was cortex-a55 and is cortex-a76"),
        (bench_of(), bench_of(scene="loan"), "the bundle's scene was wealth and is loan"),
        (bench_of(), bench_of(candidates=20), "the workload's candidates was 50 and is 20"),
    ],
)
def test_what_answers_another_question_is_refused(old: Bench, new: Bench, words: str) -> None:
    with pytest.raises(NotComparableError, match=words):
        compare(old, new)


def test_an_operation_that_is_no_longer_counted_is_refused() -> None:
    counted = counts_of()
    less = counted.model_copy(update={"operations": {"record": counted.operations["record"]}})
    with pytest.raises(NotComparableError, match="cortex-a55: rank was counted and is missing"):
        compare(THEN, bench_of(counts=(less,)))


def test_a_count_of_nothing_is_refused_and_no_improvement() -> None:
    with pytest.raises(NotComparableError, match=r"instructions of rank was .* no operation takes none"):
        compare(THEN, bench_of(counts=(counts_of(rank=0.0),)))


def test_times_of_two_machines_are_compared_by_nobody() -> None:
    there = bench_of()
    there = there.model_copy(update={"machine": there.machine.model_copy(update={"processor": "another"})})
    assert "measured on another machine: processor a CPU → another" in compare(bench_of(), there).notes
    with pytest.raises(NotComparableError, match="leave out --time-tolerance"):
        compare(bench_of(), there, time_tolerance=0.1)


def test_another_bundle_of_the_same_shape_is_compared_and_named() -> None:
    other = bench_of()
    other = other.model_copy(update={"bundle": other.bundle.model_copy(update={"sha256": "1" * 64})})
    assert any("the bundle's bytes differ" in note for note in compare(bench_of(), other).notes)


@given(st.floats(1, 1e12), st.floats(0, 1e12), st.floats(0, 1))
def test_a_line_has_one_outcome_and_a_fall_is_never_worse(old: float, new: float, tolerance: float) -> None:
    outcome = Line("", old, new, "", tolerance).outcome
    assert outcome in {"same", "rose", "fell"}
    assert (outcome == "rose") <= (new > old)
    assert (outcome == "fell") <= (new < old)
