"""Rules that make events out of events."""

from __future__ import annotations

from typing import Final, NamedTuple


class SessionRule(NamedTuple):
    """A pause of more than `gap_s` between two events of `activity` ends a session and starts another."""

    start_kind: int  # kind id; 0 = no event at the start
    end_kind: int  # kind id; 0 = no event at the end
    activity: frozenset[int]  # kind ids
    gap_s: int


class DwellRule(NamedTuple):
    """How long the user stayed with an item: from an event of `of` to the next event of `activity`."""

    kind: int  # kind id of the derived event; its value is in seconds
    of: frozenset[int]  # kind ids
    activity: frozenset[int]  # kind ids
    longest_s: int  # a longer pause says that the user was away: nothing is derived


class IgnoredRule(NamedTuple):
    """`count` events of `seen` without one of `touched` in between."""

    kind: int  # kind id of the derived event; it is about no item, its value is `count`
    seen: frozenset[int]  # kind ids
    touched: frozenset[int]  # kind ids
    count: int  # type: ignore[assignment]  # hides a method of tuples that nobody calls


class DerivedRules(NamedTuple):
    """All rules of a scene; none by default."""

    session: SessionRule | None = None
    dwell: tuple[DwellRule, ...] = ()
    ignored: tuple[IgnoredRule, ...] = ()

    @property
    def kinds(self) -> tuple[int, ...]:
        """Ids of the kinds that the rules make: start and end of a session, then in the order of the rules."""
        session = (self.session.start_kind, self.session.end_kind) if self.session else ()
        stays, passes = (rule.kind for rule in self.dwell), (rule.kind for rule in self.ignored)
        return (*(kind for kind in session if kind), *stays, *passes)

    @property
    def kinds_about_nothing(self) -> frozenset[int]:
        """Those of them whose events are about no item."""
        return frozenset(self.kinds) - {rule.kind for rule in self.dwell}


NOTHING_DERIVED: Final = DerivedRules()
