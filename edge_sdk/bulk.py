"""Taking many events into memory at once: the same state, to the bit, as one `Memory.add` after the other.

Of the window only the last N events are written. Counters are sums in order of the events, so they are added in that
order, all events of one landmark at a time.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edge_sdk.decay import FINE_BITS, FINE_MASK, PERIOD_TICKS
from edge_sdk.memory import Memory, MemoryLayout
from edge_sdk.records import Records
from edge_sdk.types import F64, I64

Rows = npt.NDArray[np.integer]


def memory_from(layout: MemoryLayout, records: Records) -> Memory:
    """Memory after these records of an event log, oldest first."""
    memory = Memory(layout)
    take_in(memory, records)
    return memory


def take_in(memory: Memory, records: Records) -> None:
    """Let memory grow by these records, oldest first."""
    times_ms = records["time_s"].astype(np.int64) * 1000 + records["time_ms"]
    add_many(memory, times_ms, records["kind"], records["item"], records["value"])


def add_many(memory: Memory, times_ms: I64, kinds: Rows, items: Rows, values: npt.NDArray[np.floating]) -> None:
    """Take in events, oldest first.

    Args:
        memory: grows by these events.
        times_ms: (E,) milliseconds since 1970.
        kinds, items: (E,) ids.
        values: (E,)
    """
    layout = memory.layout
    kind_ids, kind_of = np.unique(kinds, return_inverse=True)
    item_ids, item_of = np.unique(items, return_inverse=True)
    rules = [layout.kinds.get(kind) for kind in kind_ids.tolist()]
    in_window = np.array([rule is not None and rule.in_window for rule in rules], np.bool_)[kind_of]
    counter = np.array([-1 if rule is None else rule.counter for rule in rules], np.int64)[kind_of]
    capped = np.array([rule is not None and kind in memory.caps.by_kind
                       for kind, rule in zip(kind_ids.tolist(), rules, strict=True)], np.bool_)[kind_of]  # fmt: skip
    rows = np.array([memory.rows_of(item) for item in item_ids.tolist()], np.int64).reshape(-1, 3)[item_of]
    for index in np.flatnonzero(in_window)[-layout.window :].tolist():
        rule = layout.kinds[int(kinds[index])]
        memory.see(rule.row, int(rows[index, 0]), int(times_ms[index]), float(values[index]))
    for index in np.flatnonzero(capped).tolist():
        memory.caps.add(
            memory.caps.by_kind[int(kinds[index])], int(times_ms[index]), int(rows[index, 1]), int(rows[index, 2])
        )
    counted = np.flatnonzero((counter >= 0) & (rows[:, 1:] > 0).any(axis=1))
    if len(counted):
        _count_many(memory, times_ms[counted], counter[counted], rows[counted, 1], rows[counted, 2])


def _count_many(memory: Memory, times_ms: I64, counter: I64, offer_row: I64, category_row: I64) -> None:
    layout = memory.layout
    half_lives = len(layout.decays)
    for h, decay in enumerate(layout.decays):
        ticks = _effective(times_ms // decay.tick_ms, memory.latest[h])
        since = ticks % PERIOD_TICKS
        grown: F64 = decay.grow_coarse[since >> FINE_BITS] * decay.grow_fine[since & FINE_MASK]
        borders = np.flatnonzero(np.diff(ticks // PERIOD_TICKS)) + 1
        for part in np.split(np.arange(len(ticks)), borders):
            memory.advance(h, int(ticks[part[0]]))
            memory.advance(h, int(ticks[part[-1]]))  # within one period: no landmark moves
            column = counter[part] * half_lives + h
            for row, first_slot in ((offer_row[part], 0), (category_row[part], memory.category_slot)):
                known = row > 0
                np.add.at(memory.sums, (row[known] + first_slot, column[known]), grown[part][known])


def _effective(ticks: I64, latest: int) -> I64:
    """The tick that each event counts at: never behind the newest, unless the clock was far ahead and came back."""
    running = np.maximum.accumulate(np.concatenate([[latest], ticks]))
    if not (ticks <= running[:-1] - PERIOD_TICKS).any():
        return running[1:]
    effective = []
    for tick in ticks.tolist():  # the rare log in which it came back
        if not latest - PERIOD_TICKS < tick < latest:
            latest = tick
        effective.append(latest)
    return np.array(effective, np.int64)
