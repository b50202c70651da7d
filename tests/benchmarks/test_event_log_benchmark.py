"""The benchmark of the event log measures every figure it names; no test here depends on time."""

from __future__ import annotations

import json

import pytest

from benchmarks.event_log.__main__ import TARGETS, as_json, measure, table
from benchmarks.event_log.parts import Sizes
from tests.support.scene import Small

TINY = Sizes(
    rounds=2, batches=2, batch=20, singles=5, histories=(100, 150, 300), memory_from=120, ranks=3, opens=1,
    log_bytes=4096, fresh=(0, 12, 40), day_events=1000, day_call=300,
)  # fmt: skip
FIGURES = {
    "record_us", "record_us_p50", "record_us_p99", "sqlite_us", "sqlite_us_p50", "sqlite_us_p99", "json_us",
    "pack_into_us", "ratio_sqlite", "ratio_sqlite_p50", "ratio_pack_into", "day_one_by_one_s", "open_empty_ms",
    "open_full_ms", "open_full_log_ms", "open_encrypted_full_ms", "open_encrypted_full_log_ms", "record_encrypted_us",
    "record_power_us", "ratio_encrypted", "record_many_per_s", "day_bulk_s", "rank_us_0_fresh", "rank_us_12_fresh",
    "rank_us_40_fresh", "rank_us_after_100", "rank_us_after_150", "rank_us_after_300",
    "rank_history_ratio", "memory_growth_mb",
}  # fmt: skip


@pytest.fixture(scope="module")
def figures(small: Small) -> dict[str, list[float]]:
    """One tiny run."""
    return measure(small.bundle, small.public_key, TINY)


def test_every_figure_has_a_positive_value_for_every_round(figures: dict[str, list[float]]) -> None:
    assert set(figures) == FIGURES
    timed = FIGURES - {"memory_growth_mb"}  # measured once, and so short a history may add no page at all
    assert {len(figures[name]) for name in timed} == {2}
    assert all(value > 0 for name in timed for value in figures[name])
    assert all(ratio >= 1 for ratio in figures["rank_history_ratio"])


def test_the_json_has_medians_and_targets(figures: dict[str, list[float]]) -> None:
    written = json.loads(json.dumps(as_json(figures)))
    low, high = figures["sqlite_us"]
    assert written["sqlite_us"] == pytest.approx((low + high) / 2)
    assert written["spread"]["sqlite_us"] == sorted([low, high])
    assert set(written) == FIGURES | {"workload", "machine", "spread", "targets"}
    assert set(written["targets"]) == set(TARGETS)
    assert written["targets"]["record_many_per_s"]["target"] == "≥ 20,000,000"


def test_each_line_of_the_table_shows_whether_the_target_was_met() -> None:
    lines = table({"record_us": [3.0, 1.0, 2.0], "ratio_sqlite": [4.0], "json_us": [5.5]})
    assert [line.split() for line in lines[1:4]] == [
        ["record_us", "2.00", "1.00..3.00", "target", "≤", "2", "met:", "yes"],
        ["ratio_sqlite", "4.00", "4.00..4.00", "target", "≥", "5", "met:", "no"],
        ["json_us", "5.50", "5.50..5.50"],
    ]
    assert len(lines) == 4
