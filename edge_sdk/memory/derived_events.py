"""Events derived from other events: sessions, dwell times, and offers seen and ignored.

Derived events are computed from the log and never written to it, so erasing an event also removes the events derived
from it, and the cloud's replay derives the same ones. The rules are declared under `[events]` in scene.toml;
docs/format.md specifies them for ports.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from edge_sdk.memory.derived_rules import NOTHING_DERIVED, DerivedRules, DerivedState
from edge_sdk.types import F32, I64, U16

DerivedEvent = tuple[int, int, int, float]  # time_ms, kind id, item id (0 = none), value (a float32 as a float)
# What one kind of event does: indices of the dwell rules whose timers it closes, and of those whose timers it opens;
# whether it is activity of the session; indices of the ignored rules whose counts it resets, and of those whose counts
# it raises (a kind that does both only resets). A plain tuple and not a record: `feed` unpacks it for each event, which
# is faster than reading fields.
_KindEffects = tuple[tuple[int, ...], tuple[int, ...], bool, tuple[int, ...], tuple[int, ...]]
_NONE: Final[tuple[DerivedEvent, ...]] = ()
_NONE_AT_ALL: Final = (_NONE, _NONE)


class Deriver:
    """Derives events from the recorded events of one user.

    Pure over events: no clock, no disk. One event costs the same however many came before.
    """

    def __init__(self, rules: DerivedRules) -> None:
        """Starts as if nothing was ever recorded.

        Args:
            rules: of the bundle; `count` of every ignored rule is at least 1.
        """
        self.rules = rules
        self.is_idle = rules == NOTHING_DERIVED  # nothing will ever be derived: callers may skip `feed`
        self._effects = _kind_effects(rules)
        self._gap_ms = rules.session.gap_s * 1000 if rules.session else 0
        self._state = DerivedState(rules)

    def feed(self, time_ms: int, kind: int, item: int) -> tuple[Sequence[DerivedEvent], Sequence[DerivedEvent]]:
        """Updates the state with one recorded event, the newest by order of calls.

        Args:
            time_ms: milliseconds since 1970, not negative.
            kind, item: ids; item 0 = about nothing.

        Returns:
            The derived events to ingest before this one, and those to ingest after it, each in order.
        """
        effects = self._effects.get(kind)
        if effects is None:
            return _NONE_AT_ALL
        closes, opens, is_activity, resets, raises = effects
        state = self._state
        before, after = _NONE, _NONE
        for index in closes:
            if state.dwell_items[index]:
                before += self._close(index, time_ms)
        if item:
            for index in opens:
                state.dwell_items[index], state.dwell_ms[index] = item, time_ms
        if is_activity:
            if state.last_ms < 0 or time_ms - state.last_ms > self._gap_ms:
                before += self._new_session(time_ms)
            state.last_ms = time_ms
        for index in resets:
            state.counts[index] = 0
        for index in raises:
            state.counts[index] += 1
            rule = self.rules.ignored[index]
            if state.counts[index] >= rule.count:
                state.counts[index] = 0
                after += ((time_ms, rule.kind, 0, float(rule.count)),)
        return before, after

    def feed_many(self, times_ms: I64, kinds: U16, items: I64, values: F32) -> tuple[I64, U16, I64, F32]:
        """Updates the state with many recorded events, oldest first: the same bits as `feed` one by one.

        Args:
            times_ms: (E,) milliseconds since 1970, not negative.
            kinds, items: (E,) ids.
            values: (E,)

        Returns:
            The same columns with the derived events at their places, each (E + derived,).
        """
        if self.is_idle or not len(times_ms):
            return times_ms, kinds, items, values
        from edge_sdk.memory.derived_bulk import derive_many  # many a scene derives no events

        return derive_many(self.rules, self._state, times_ms, kinds, items, values)

    def forget_expired(self, now_ms: int) -> bool:
        """Clears dwell timers that have been open longer than `longest_s`. Returns whether there were any.

        Such a timer can no longer produce an event.
        """
        state = self._state
        expired = [
            index
            for index, rule in enumerate(self.rules.dwell)
            if state.dwell_items[index] and now_ms - state.dwell_ms[index] > rule.longest_s * 1000
        ]
        for index in expired:
            state.dwell_items[index] = state.dwell_ms[index] = 0
        return bool(expired)

    def dump(self) -> bytes:
        """Returns the whole state, as `DerivedState.dump` does."""
        return self._state.dump()

    def load(self, raw: bytes) -> None:
        """Restores what `dump` wrote.

        Raises:
            ValueError: `raw` is not as long as the state of these rules.
        """
        self._state.load(raw)

    def _close(self, index: int, time_ms: int) -> tuple[DerivedEvent, ...]:
        rule, state = self.rules.dwell[index], self._state
        item = state.dwell_items[index]
        state.dwell_items[index] = 0
        dwell_ms = time_ms - state.dwell_ms[index]
        if not 0 <= dwell_ms <= rule.longest_s * 1000:
            return _NONE
        return ((time_ms, rule.kind, item, _seconds(dwell_ms)),)

    def _new_session(self, time_ms: int) -> tuple[DerivedEvent, ...]:
        rule, state = self.rules.session, self._state
        assert rule is not None  # only the session's own activity leads here
        last_ms, events = state.last_ms, _NONE
        if rule.end_kind and last_ms >= 0:
            events += ((last_ms, rule.end_kind, 0, _seconds(max(0, last_ms - state.start_ms))),)
        if rule.start_kind:
            events += ((time_ms, rule.start_kind, 0, _seconds(time_ms - last_ms) if last_ms >= 0 else 0.0),)
        state.start_ms = time_ms
        return events


def _kind_effects(rules: DerivedRules) -> dict[int, _KindEffects]:
    """The effects of each kind, for the kinds that have any."""
    activity = rules.session.activity if rules.session else frozenset[int]()
    dwell, ignored = list(enumerate(rules.dwell)), list(enumerate(rules.ignored))
    kinds = activity.union(
        *(rule.of | rule.activity for rule in rules.dwell), *(rule.seen | rule.reset_by for rule in rules.ignored)
    )
    return {
        kind: (
            tuple(index for index, rule in dwell if kind in rule.activity),
            tuple(index for index, rule in dwell if kind in rule.of),
            kind in activity,
            tuple(index for index, rule in ignored if kind in rule.reset_by),
            tuple(index for index, rule in ignored if kind in rule.seen - rule.reset_by),
        )
        for kind in kinds
    }


def _seconds(milliseconds: int) -> float:
    return float(np.float32(milliseconds / 1000))
