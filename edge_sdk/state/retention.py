"""Selects the records of the log that an erase matches, and those that the log has kept long enough."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

import numpy as np

from edge_sdk.limits import TIME_MS_MAX
from edge_sdk.log.record import NO_RECORDS, Mask, Records, items_of
from edge_sdk.memory.layout import MemoryLayout
from edge_sdk.types import I64
from edge_sdk.vocabulary import LOW_WORD

_SEARCH_EVERY_MS = 3_600_000  # at most so often


class RetentionSchedule:
    """When the log is next searched for expired records."""

    def __init__(self) -> None:
        self._next_ms = self._last_ms = 0

    def is_due(self, now_ms: int) -> bool:
        """Returns whether a search is due; a clock that was set back makes one due."""
        return now_ms >= self._next_ms or now_ms < self._last_ms

    def reset(self) -> None:
        """Makes a search due: the layout has changed."""
        self._next_ms = 0

    def search(self, parts: Iterable[Records], layout: MemoryLayout, now_ms: int) -> I64 | None:
        """Returns the numbers (E,) of the records that have expired, and schedules the next search.

        Args:
            parts: of the log, oldest first; not read if no kind ever expires.
            layout: says how long each kind is kept.
            now_ms: milliseconds since 1970.

        Returns:
            None if no kind ever expires.
        """
        self._last_ms, self._next_ms = now_ms, TIME_MS_MAX
        if not any(rule.keep_s for rule in layout.kinds.values()):
            return None
        numbers, next_ms = [np.zeros(0, np.int64)], TIME_MS_MAX
        for records in chain(parts, [NO_RECORDS]):  # at least one part: it says when a new record can expire
            expired, part_ms = expired_records(records, layout, now_ms)
            numbers.append(records["seq"][expired].astype(np.int64))
            next_ms = min(next_ms, TIME_MS_MAX if part_ms is None else part_ms)
        self._next_ms = max(next_ms, now_ms + _SEARCH_EVERY_MS)
        return np.concatenate(numbers)


def matching(
    records: Records, before_ms: int | None, items: frozenset[int] | None, kinds: frozenset[int] | None
) -> Mask:
    """Returns which records (E,) are before a time, about one of the items and of one of the kinds; None = any.

    A record of a log of version 1 is about an item if it has the low word of the item's id.
    """
    chosen = np.ones(len(records), np.bool_)
    if before_ms is not None:
        chosen &= _times_ms(records) < before_ms
    if items is not None:
        wanted = np.array(sorted(items), np.int64)
        chosen &= np.isin(items_of(records), np.concatenate([wanted, wanted & LOW_WORD]))
    if kinds is not None:
        chosen &= np.isin(records["kind"], np.array(sorted(kinds), np.uint16))
    return chosen


def expired_records(records: Records, layout: MemoryLayout, now_ms: int) -> tuple[Mask, int | None]:
    """Returns which records (E,) are older than the scene keeps their kinds, and when the next record can expire.

    The time is in milliseconds since 1970; None = never.
    """
    bounded = sorted((kind, rule.keep_s * 1000) for kind, rule in layout.kinds.items() if rule.keep_s)
    if not bounded:
        return np.zeros(len(records), np.bool_), None
    kinds, keep_ms = (np.array(column, np.int64) for column in zip(*bounded, strict=True))
    row = np.searchsorted(kinds, records["kind"]).clip(max=len(kinds) - 1)
    ends_ms = np.where(kinds[row] == records["kind"], _times_ms(records) + keep_ms[row], TIME_MS_MAX)
    is_over = ends_ms < now_ms
    not_yet_recorded = now_ms + int(keep_ms.min())
    return is_over, int(ends_ms[~is_over].min(initial=not_yet_recorded))


def _times_ms(records: Records) -> I64:
    times: I64 = records["time_s"].astype(np.int64) * 1000 + records["time_ms"]
    return times
