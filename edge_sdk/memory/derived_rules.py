"""Rules of derived events, and the state that the rules keep between events."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from edge_sdk.limits import TIME_MS_MAX


class SessionRule(NamedTuple):
    """A pause of more than `gap_s` between two events of `activity` ends a session and starts another."""

    start_kind: int  # kind id; 0 = no event at the start
    end_kind: int  # kind id; 0 = no event at the end
    activity: frozenset[int]  # kind ids
    gap_s: int


class DwellRule(NamedTuple):
    """The time a user stayed with an item: from an event of `of` to the next event of `activity`."""

    kind: int  # kind id of the derived event; its value is in seconds
    of: frozenset[int]  # kind ids
    activity: frozenset[int]  # kind ids
    longest_s: int  # after a longer pause nothing is derived: the user was away


class IgnoredRule(NamedTuple):
    """`count` events of `seen` without one of `reset_by` in between."""

    kind: int  # kind id of the derived event; it is about no item, its value is `count`
    seen: frozenset[int]  # kind ids
    reset_by: frozenset[int]  # kind ids
    count: int  # type: ignore[assignment]  # hides a method of tuples that is never called


class DerivedRules(NamedTuple):
    """All rules of a scene; none by default."""

    session: SessionRule | None = None
    dwell: tuple[DwellRule, ...] = ()
    ignored: tuple[IgnoredRule, ...] = ()

    @property
    def kinds(self) -> tuple[int, ...]:
        """Ids of the derived kinds: start and end of a session, then in order of the rules."""
        session = (self.session.start_kind, self.session.end_kind) if self.session else ()
        dwell, ignored = (rule.kind for rule in self.dwell), (rule.kind for rule in self.ignored)
        return (*(kind for kind in session if kind), *dwell, *ignored)

    @property
    def kinds_about_nothing(self) -> frozenset[int]:
        """Ids of the derived kinds whose events are about no item."""
        return frozenset(self.kinds) - {rule.kind for rule in self.dwell}


NOTHING_DERIVED: Final = DerivedRules()
_NO_TIME: Final = -1  # before any event; a device's times are never negative


class DerivedState:
    """What the rules remember of the events so far.

    Attributes:
        last_ms: time of the newest event of the session's activity; -1 = none yet.
        start_ms: start of the session; -1 = none yet.
        dwell_items: for each dwell rule the item of the open timer; 0 = no timer is open.
        dwell_ms: for each dwell rule when the timer was opened.
        counts: for each ignored rule the events of `seen` since the last reset.
    """

    __slots__ = ("counts", "dwell_items", "dwell_ms", "last_ms", "start_ms")

    def __init__(self, rules: DerivedRules) -> None:
        """Starts as if nothing was ever recorded."""
        self.last_ms = self.start_ms = _NO_TIME
        self.dwell_items = [0] * len(rules.dwell)
        self.dwell_ms = [0] * len(rules.dwell)
        self.counts = [0] * len(rules.ignored)

    def dump(self) -> bytes:
        """Returns the whole state, little-endian int64; its length depends on the rules alone.

        The order is: `last_ms`, `start_ms`, item and time of each dwell rule, count of each ignored rule.
        """
        timers = [number for timer in zip(self.dwell_items, self.dwell_ms, strict=True) for number in timer]
        return np.array([self.last_ms, self.start_ms, *timers, *self.counts], "<i8").tobytes()

    def load(self, raw: bytes) -> None:
        """Restores what `dump` wrote.

        Raises:
            ValueError: `raw` is not as long as the state of these rules, or has a number that cannot be.
        """
        timers, counts = len(self.dwell_items), len(self.counts)
        if len(raw) != 8 * (2 + 2 * timers + counts):
            raise ValueError(f"{len(raw)} bytes are not the state of {timers} dwell and {counts} ignored rules")
        numbers = np.frombuffer(raw, "<i8").tolist()
        self.last_ms, self.start_ms = numbers[:2]
        self.dwell_items, self.dwell_ms = numbers[2 : 2 + 2 * timers : 2], numbers[3 : 2 + 2 * timers : 2]
        self.counts = numbers[2 + 2 * timers :]
        times, ids = (*numbers[:2], *self.dwell_ms), (*self.dwell_items, *self.counts)
        if not all(_NO_TIME <= time_ms <= TIME_MS_MAX for time_ms in times) or not all(0 <= n < 1 << 48 for n in ids):
            raise ValueError("not the state of derived events")
