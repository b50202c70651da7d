"""Records are selected by time, item and kind, and the log is searched for expired records at most once an hour."""

from __future__ import annotations

import numpy as np
import pytest

from edge_sdk.log.record import RECORD, Records
from edge_sdk.state.retention import RetentionSchedule, expired_records, matching
from tests.support.small_state import LAYOUT

HOUR_MS = 3_600_000
NOW_MS = 1_700_000_000_000
KEPT_A_DAY = LAYOUT._replace(kinds=LAYOUT.kinds | {12: LAYOUT.kinds[12]._replace(keep_s=86_400)})


def records(*rows: tuple[int, int, int]) -> Records:
    """Records of (hours ago, kind, item)."""
    made = np.zeros(len(rows), RECORD)
    for record, (hours, kind, item) in zip(made, rows, strict=True):
        record["time_s"], record["time_ms"] = divmod(NOW_MS - hours * HOUR_MS, 1000)
        record["kind"], record["item"] = kind, item
    return made


THREE = records((30, 12, 101), (30, 11, 102), (2, 12, 101))


@pytest.mark.parametrize(
    ("before_ms", "items", "kinds", "chosen"),
    [
        (None, None, None, [True, True, True]),
        (NOW_MS - 3 * HOUR_MS, None, None, [True, True, False]),
        (NOW_MS - 2 * HOUR_MS, None, None, [True, True, False]),  # not the moment itself
        (None, frozenset({102, 7}), None, [False, True, False]),
        (None, None, frozenset({12}), [True, False, True]),
        (NOW_MS - 3 * HOUR_MS, frozenset({101}), frozenset({12}), [True, False, False]),
    ],
)
def test_a_record_matches_all_conditions(
    before_ms: int | None, items: frozenset[int] | None, kinds: frozenset[int] | None, chosen: list[bool]
) -> None:
    assert matching(THREE, before_ms, items, kinds).tolist() == chosen


def test_a_record_expires_when_its_kind_has_been_kept_long_enough() -> None:
    expired, next_ms = expired_records(THREE, KEPT_A_DAY, NOW_MS)
    assert expired.tolist() == [True, False, False]
    assert next_ms == NOW_MS + 22 * HOUR_MS
    assert expired_records(THREE, LAYOUT, NOW_MS)[1] is None


def test_the_next_search_is_due_when_a_record_can_expire_and_not_within_an_hour() -> None:
    schedule = RetentionSchedule()
    assert schedule.is_due(NOW_MS)
    assert schedule.search(THREE, KEPT_A_DAY, NOW_MS) is not None
    assert not schedule.is_due(NOW_MS + 22 * HOUR_MS - 1)
    assert schedule.is_due(NOW_MS + 22 * HOUR_MS)
    schedule.search(records((24, 12, 101)), KEPT_A_DAY, NOW_MS)  # this record expires a millisecond from now
    assert not schedule.is_due(NOW_MS + HOUR_MS - 1)
    assert schedule.is_due(NOW_MS + HOUR_MS)


def test_a_search_is_due_after_the_clock_was_set_back_and_after_a_reset() -> None:
    schedule = RetentionSchedule()
    assert schedule.search(THREE, LAYOUT, NOW_MS) is None
    assert not schedule.is_due(NOW_MS + 1000 * HOUR_MS)
    assert schedule.is_due(NOW_MS - 1)
    schedule.reset()
    assert schedule.is_due(NOW_MS)
