"""Derives events from many recorded events at once: the same bits as one by one."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from edge_sdk.memory.derived_rules import DerivedRules, DerivedState
from edge_sdk.types import F32, F64, I64, U16, Mask

_PHASES: Final = 1 << 32  # more than there are rules: a position is index · _PHASES + phase
_OWN_PHASE: Final = 2  # a recorded event comes after the ends of all dwell timers, and the session's end and start


class _Columns(NamedTuple):
    """Some derived events."""

    positions: I64
    times_ms: I64
    kinds: U16
    items: I64
    values: F32


class _Insertions:
    """Derived events on their way to their positions among the recorded ones."""

    def __init__(self, *, own_phase: int) -> None:
        """Starts without derived events.

        Args:
            own_phase: of the recorded event itself: lower phases come before it, higher ones after it.
        """
        self._own_phase = own_phase
        self._columns: list[_Columns] = []

    def add(self, at: I64, phase: int, times_ms: I64, kind: int, items: I64 | int, values: F64 | float) -> None:
        """Adds events that are derived from the recorded ones `at`, in this phase.

        Args:
            at: (A,) indices of recorded events, none twice in one phase.
            phase: its position among all events derived from the same event.
            times_ms, items, values: (A,), or one for all.
            kind: id.
        """
        size = len(at)
        if size:
            self._columns.append(
                _Columns(
                    at * _PHASES + phase,
                    times_ms,
                    np.full(size, kind, np.uint16),
                    np.broadcast_to(items, size).astype(np.int64),
                    np.broadcast_to(values, size).astype(np.float32),
                )
            )

    def merged(self, times_ms: I64, kinds: U16, items: I64, values: F32) -> tuple[I64, U16, I64, F32]:
        """Returns the recorded events with the derived ones at their positions."""
        if not self._columns:
            return times_ms, kinds, items, values
        own = np.arange(len(times_ms)) * _PHASES + self._own_phase
        columns = zip((own, times_ms, kinds, items, values), *self._columns, strict=True)
        positions, *rest = (np.concatenate(parts) for parts in columns)
        order = np.argsort(positions)
        merged_times, merged_kinds, merged_items, merged_values = (column[order] for column in rest)
        return merged_times, merged_kinds, merged_items, merged_values


def derive_many(
    rules: DerivedRules, state: DerivedState, times_ms: I64, kinds: U16, items: I64, values: F32
) -> tuple[I64, U16, I64, F32]:
    """Returns the recorded events with the derived ones at their places, and updates the state.

    Args:
        rules: of the bundle.
        state: before these events; changes.
        times_ms: (E,) milliseconds since 1970, not negative, oldest first; E is at least 1.
        kinds, items: (E,) ids.
        values: (E,)
    """
    found = _Insertions(own_phase=len(rules.dwell) + _OWN_PHASE)
    for index in range(len(rules.dwell)):
        _dwell(rules, state, index, times_ms, kinds, items, found)
    _sessions(rules, state, times_ms, kinds, found)
    for index in range(len(rules.ignored)):
        _ignored(rules, state, index, times_ms, kinds, found)
    return found.merged(times_ms, kinds, items, values)


def _dwell(
    rules: DerivedRules, state: DerivedState, index: int, times_ms: I64, kinds: U16, items: I64, found: _Insertions
) -> None:
    """A timer is open at an event if the newest opening is at or after the newest event of activity before it."""
    rule = rules.dwell[index]
    closes, opens = _among(kinds, rule.activity), _among(kinds, rule.of) & (items != 0)
    at = np.flatnonzero(closes | opens)
    # The timer carried over comes first, as an opening.
    dwell_items = np.concatenate([[state.dwell_items[index]], items[at]])
    dwell_ms = np.concatenate([[state.dwell_ms[index]], times_ms[at]])
    places = np.arange(len(at) + 1)
    opened = np.maximum.accumulate(np.where(np.concatenate([[dwell_items[0] != 0], opens[at]]), places, -1))
    closed = np.maximum.accumulate(np.where(np.concatenate([[False], closes[at]]), places, -1))
    is_open = (opened >= 0) & (opened >= closed)  # after each event
    ends = np.flatnonzero(closes[at] & is_open[:-1])
    starts = opened[ends]
    length_ms = dwell_ms[ends + 1] - dwell_ms[starts]
    counts = (length_ms >= 0) & (length_ms <= rule.longest_s * 1000)
    starts, ends = starts[counts], ends[counts]
    found.add(at[ends], index, dwell_ms[ends + 1], rule.kind, dwell_items[starts], length_ms[counts] / 1000)
    # A closed timer leaves its time behind, as `Deriver.feed` does.
    state.dwell_items[index] = int(dwell_items[opened[-1]]) if is_open[-1] else 0
    state.dwell_ms[index] = int(dwell_ms[max(opened[-1], 0)])


def _sessions(rules: DerivedRules, state: DerivedState, times_ms: I64, kinds: U16, found: _Insertions) -> None:
    rule = rules.session
    if rule is None:
        return
    at = np.flatnonzero(_among(kinds, rule.activity))
    if not len(at):
        return
    now, last = times_ms[at], np.concatenate([[state.last_ms], times_ms[at[:-1]]])
    new = np.flatnonzero((now - last > rule.gap_s * 1000) | (last < 0))
    starts = np.concatenate([[state.start_ms], now[new]])
    phase = len(rules.dwell)
    if rule.end_kind:
        had = last[new] >= 0
        length_ms = np.maximum(0, last[new] - starts[:-1])[had]
        found.add(at[new][had], phase, last[new][had], rule.end_kind, 0, length_ms / 1000)
    if rule.start_kind:
        pause_ms = np.where(last[new] >= 0, now[new] - last[new], 0)
        found.add(at[new], phase + 1, now[new], rule.start_kind, 0, pause_ms / 1000)
    state.last_ms, state.start_ms = int(now[-1]), int(starts[-1])


def _ignored(
    rules: DerivedRules, state: DerivedState, index: int, times_ms: I64, kinds: U16, found: _Insertions
) -> None:
    rule = rules.ignored[index]
    resets = _among(kinds, rule.reset_by)
    raises = _among(kinds, rule.seen) & ~resets
    total = np.cumsum(raises) + state.counts[index]
    since = total - np.maximum.accumulate(np.where(resets, total, 0))
    at = np.flatnonzero(raises & (since % rule.count == 0))
    phase = len(rules.dwell) + _OWN_PHASE + 1 + index
    found.add(at, phase, times_ms[at], rule.kind, 0, float(rule.count))
    state.counts[index] = int(since[-1]) % rule.count


def _among(kinds: U16, chosen: frozenset[int]) -> Mask:
    return np.isin(kinds, np.array(sorted(chosen), np.uint16))
