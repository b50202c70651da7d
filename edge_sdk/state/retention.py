"""Which records of the log an erase means, and which have been kept long enough. Pure over arrays."""

from __future__ import annotations

import numpy as np

from edge_sdk.limits import TIME_MS_MAX
from edge_sdk.log.record import Mask, Records
from edge_sdk.memory.layout import MemoryLayout
from edge_sdk.types import I64


def meant(records: Records, before_ms: int | None, items: frozenset[int] | None, kinds: frozenset[int] | None) -> Mask:
    """Records (E,) before a time and about one of the items and of one of the kinds (ids); None = any."""
    chosen = np.ones(len(records), np.bool_)
    if before_ms is not None:
        chosen &= _times_ms(records) < before_ms
    if items is not None:
        chosen &= np.isin(records["item"], np.array(sorted(items), np.uint32))
    if kinds is not None:
        chosen &= np.isin(records["kind"], np.array(sorted(kinds), np.uint16))
    return chosen


def expired_records(records: Records, layout: MemoryLayout, now_ms: int) -> tuple[Mask, int | None]:
    """Records (E,) older than the scene keeps their kinds, and when the next can be, ms since 1970; None = never."""
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
