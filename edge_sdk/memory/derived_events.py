"""Events that follow from other events: sessions, dwell, offers seen and passed over.

They are computed from the log and never written to it, so erasing an event takes what followed from it along, and the
cloud's replay derives the same ones. The rules are declared under `[events]` in scene.toml; docs/format.md has them as
a port needs them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from edge_sdk.memory.derived_bulk import U16, U32, Insertions
from edge_sdk.memory.derived_rules import NOTHING_DERIVED, DerivedRules
from edge_sdk.types import F32, I64

Mask = npt.NDArray[np.bool_]


# ---- the state between events ----

DerivedEvent = tuple[int, int, int, float]  # time_ms, kind id, item id (0 = none), value (a float32 as a float)
_NONE: Final[tuple[DerivedEvent, ...]] = ()
_QUIET: Final = (_NONE, _NONE)
_NO_TIME: Final = -1  # before any event; a device's times are never negative
_OWN_PHASE: Final = 2  # after all stays, end and start of a session comes the event itself


class _Part(NamedTuple):
    """What one kind of event does, looked up once an event: indices of rules, each in the order of the rules."""

    closes: tuple[int, ...]  # stays
    opens: tuple[int, ...]  # stays
    is_activity: bool  # of the session
    resets: tuple[int, ...]  # counts of passed-over rules
    raises: tuple[int, ...]  # likewise; a kind that does both only resets


class Deriver:
    """Follows one user's events and says which other events follow from them.

    Pure over events: no clock, no disk. One event costs the same however many came before.
    """

    def __init__(self, rules: DerivedRules) -> None:
        """As if nothing was ever recorded.

        Args:
            rules: of the bundle; `count` of every passed-over rule is at least 1.
        """
        self.rules = rules
        self.is_idle = rules == NOTHING_DERIVED  # nothing will ever follow: callers may skip `feed`
        self._parts = _parts(rules)
        self._gap_ms = rules.session.gap_s * 1000 if rules.session else 0
        self._last_ms = _NO_TIME  # of the newest event of the session's activity
        self._start_ms = _NO_TIME  # of the session
        self._stay_items = [0] * len(rules.dwell)  # 0 = no stay is open
        self._stay_ms = [0] * len(rules.dwell)
        self._counts = [0] * len(rules.ignored)

    def feed(self, time_ms: int, kind: int, item: int) -> tuple[Sequence[DerivedEvent], Sequence[DerivedEvent]]:
        """Follow one recorded event, the newest by order of calls.

        Args:
            time_ms: milliseconds since 1970, not negative.
            kind, item: ids; item 0 = about nothing.

        Returns:
            The events to take in before and after this one, each in order.
        """
        part = self._parts.get(kind)
        if part is None:
            return _QUIET
        before, after = _NONE, _NONE
        for index in part.closes:
            if self._stay_items[index]:
                before += self._close(index, time_ms)
        for index in part.opens:
            if item:
                self._stay_items[index], self._stay_ms[index] = item, time_ms
        if part.is_activity:
            if self._last_ms < 0 or time_ms - self._last_ms > self._gap_ms:
                before += self._new_session(time_ms)
            self._last_ms = time_ms
        for index in part.resets:
            self._counts[index] = 0
        for index in part.raises:
            self._counts[index] += 1
            rule = self.rules.ignored[index]
            if self._counts[index] >= rule.count:
                self._counts[index] = 0
                after += ((time_ms, rule.kind, 0, float(rule.count)),)
        return before, after

    def feed_many(self, times_ms: I64, kinds: U16, items: U32, values: F32) -> tuple[I64, U16, U32, F32]:
        """Follow many recorded events, oldest first: the same bits as `feed` one by one, and the same state after.

        Args:
            times_ms: (E,) milliseconds since 1970, not negative.
            kinds, items: (E,) ids.
            values: (E,)

        Returns:
            The same columns with the derived events at their places, each (E + derived,).
        """
        if self.is_idle or not len(times_ms):
            return times_ms, kinds, items, values
        found = Insertions(own_phase=len(self.rules.dwell) + _OWN_PHASE)
        for index in range(len(self.rules.dwell)):
            self._stays(index, times_ms, kinds, items, found)
        self._sessions(times_ms, kinds, found)
        for index in range(len(self.rules.ignored)):
            self._passes(index, times_ms, kinds, found)
        return found.merged(times_ms, kinds, items, values)

    def forget_expired(self, now_ms: int) -> bool:
        """Overwrite open stays that have lasted too long for anything to follow from them; whether there were any."""
        expired = [
            index
            for index, rule in enumerate(self.rules.dwell)
            if self._stay_items[index] and now_ms - self._stay_ms[index] > rule.longest_s * 1000
        ]
        for index in expired:
            self._stay_items[index] = self._stay_ms[index] = 0
        return bool(expired)

    def dump(self) -> bytes:
        """The whole state, little-endian int64; its length depends on the rules alone.

        In this order: time of the newest event of the session's activity and start of the session (-1 = none yet);
        of each dwell rule the item of the open stay (0 = none) and its start; of each passed-over rule the count.
        """
        stays = [number for stay in zip(self._stay_items, self._stay_ms, strict=True) for number in stay]
        return np.array([self._last_ms, self._start_ms, *stays, *self._counts], "<i8").tobytes()

    def load(self, raw: bytes) -> None:
        """Go on where `dump` stood.

        Raises:
            ValueError: `raw` is not as long as the state of these rules.
        """
        stays, counts = len(self._stay_items), len(self._counts)
        if len(raw) != 8 * (2 + 2 * stays + counts):
            raise ValueError(f"{len(raw)} bytes are not the state of {stays} dwell and {counts} passed-over rules")
        numbers = np.frombuffer(raw, "<i8").tolist()
        self._last_ms, self._start_ms = numbers[:2]
        self._stay_items, self._stay_ms = numbers[2 : 2 + 2 * stays : 2], numbers[3 : 2 + 2 * stays : 2]
        self._counts = numbers[2 + 2 * stays :]

    # ---- one event ----

    def _close(self, index: int, time_ms: int) -> tuple[DerivedEvent, ...]:
        rule, item = self.rules.dwell[index], self._stay_items[index]
        self._stay_items[index] = 0
        stayed_ms = time_ms - self._stay_ms[index]
        if not 0 <= stayed_ms <= rule.longest_s * 1000:
            return _NONE
        return ((time_ms, rule.kind, item, _seconds(stayed_ms)),)

    def _new_session(self, time_ms: int) -> tuple[DerivedEvent, ...]:
        rule, last_ms = self.rules.session, self._last_ms
        assert rule is not None  # only its own activity leads here
        events = _NONE
        if rule.end_kind and last_ms >= 0:
            events += ((last_ms, rule.end_kind, 0, _seconds(max(0, last_ms - self._start_ms))),)
        if rule.start_kind:
            events += ((time_ms, rule.start_kind, 0, _seconds(time_ms - last_ms) if last_ms >= 0 else 0.0),)
        self._start_ms = time_ms
        return events

    # ---- many events ----

    def _stays(self, index: int, times_ms: I64, kinds: U16, items: U32, found: Insertions) -> None:
        """A stay is open at an event if the newest opening lies at or after the newest event of activity before it."""
        rule = self.rules.dwell[index]
        closes, opens = _among(kinds, rule.activity), _among(kinds, rule.of) & (items != 0)
        at = np.flatnonzero(closes | opens)
        # The stay carried over stands in front, as an opening.
        stay_items = np.concatenate([[self._stay_items[index]], items[at].astype(np.int64)])
        stay_ms = np.concatenate([[self._stay_ms[index]], times_ms[at]])
        places = np.arange(len(at) + 1)
        opened = np.maximum.accumulate(np.where(np.concatenate([[stay_items[0] != 0], opens[at]]), places, -1))
        closed = np.maximum.accumulate(np.where(np.concatenate([[False], closes[at]]), places, -1))
        is_open = (opened >= 0) & (opened >= closed)  # after each event
        ends = np.flatnonzero(closes[at] & is_open[:-1])
        stay = opened[ends]
        stayed_ms = stay_ms[ends + 1] - stay_ms[stay]
        counts = (stayed_ms >= 0) & (stayed_ms <= rule.longest_s * 1000)
        stay, ends = stay[counts], ends[counts]
        found.add(at[ends], index, stay_ms[ends + 1], rule.kind, stay_items[stay], stayed_ms[counts] / 1000)
        # A closed stay leaves its time behind, as `feed` does.
        self._stay_items[index] = int(stay_items[opened[-1]]) if is_open[-1] else 0
        self._stay_ms[index] = int(stay_ms[max(opened[-1], 0)])

    def _sessions(self, times_ms: I64, kinds: U16, found: Insertions) -> None:
        rule = self.rules.session
        if rule is None:
            return
        at = np.flatnonzero(_among(kinds, rule.activity))
        if not len(at):
            return
        now, last = times_ms[at], np.concatenate([[self._last_ms], times_ms[at[:-1]]])
        fresh = np.flatnonzero((now - last > rule.gap_s * 1000) | (last < 0))
        starts = np.concatenate([[self._start_ms], now[fresh]])
        phase = len(self.rules.dwell)
        if rule.end_kind:
            had = last[fresh] >= 0
            length_ms = np.maximum(0, last[fresh] - starts[:-1])[had]
            found.add(at[fresh][had], phase, last[fresh][had], rule.end_kind, 0, length_ms / 1000)
        if rule.start_kind:
            pause_ms = np.where(last[fresh] >= 0, now[fresh] - last[fresh], 0)
            found.add(at[fresh], phase + 1, now[fresh], rule.start_kind, 0, pause_ms / 1000)
        self._last_ms, self._start_ms = int(now[-1]), int(starts[-1])

    def _passes(self, index: int, times_ms: I64, kinds: U16, found: Insertions) -> None:
        rule = self.rules.ignored[index]
        resets = _among(kinds, rule.touched)
        raises = _among(kinds, rule.seen) & ~resets
        total = np.cumsum(raises) + self._counts[index]
        since = total - np.maximum.accumulate(np.where(resets, total, 0))
        at = np.flatnonzero(raises & (since % rule.count == 0))
        phase = len(self.rules.dwell) + _OWN_PHASE + 1 + index
        found.add(at, phase, times_ms[at], rule.kind, 0, float(rule.count))
        self._counts[index] = int(since[-1]) % rule.count


def _parts(rules: DerivedRules) -> dict[int, _Part]:
    """What each kind does, for the kinds that do anything."""
    activity = rules.session.activity if rules.session else frozenset[int]()
    stays, passes = list(enumerate(rules.dwell)), list(enumerate(rules.ignored))
    kinds = activity.union(
        *(rule.of | rule.activity for rule in rules.dwell), *(rule.seen | rule.touched for rule in rules.ignored)
    )
    return {
        kind: _Part(
            closes=tuple(index for index, rule in stays if kind in rule.activity),
            opens=tuple(index for index, rule in stays if kind in rule.of),
            is_activity=kind in activity,
            resets=tuple(index for index, rule in passes if kind in rule.touched),
            raises=tuple(index for index, rule in passes if kind in rule.seen - rule.touched),
        )
        for kind in kinds
    }


def _among(kinds: U16, chosen: frozenset[int]) -> Mask:
    return np.isin(kinds, np.array(sorted(chosen), np.uint16))


def _seconds(milliseconds: int) -> float:
    return float(np.float32(milliseconds / 1000))
