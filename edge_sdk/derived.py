"""Events that follow from other events: sessions, dwell, offers seen and passed over.

They are computed from the log and never written to it, so erasing an event takes what followed from it along, and the
cloud's replay derives the same ones. The rules are declared under `[events]` in scene.toml; docs/format.md has them as
a port needs them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class SessionRule:
    """A pause of more than `gap_s` between two events of `activity` ends a session and starts another."""

    start_kind: int  # kind id; 0 = no event at the start
    end_kind: int  # kind id; 0 = no event at the end
    activity: frozenset[int]  # kind ids
    gap_s: int


@dataclass(frozen=True, slots=True)
class DwellRule:
    """How long the user stayed with an item: from an event of `of` to the next event of `activity`."""

    kind: int  # kind id of the derived event; its value is in seconds
    of: frozenset[int]  # kind ids
    activity: frozenset[int]  # kind ids
    longest_s: int  # a longer pause says that the user was away: nothing is derived


@dataclass(frozen=True, slots=True)
class PassedOverRule:
    """`count` events of `seen` without one of `touched` in between."""

    kind: int  # kind id of the derived event; it is about no item, its value is `count`
    seen: frozenset[int]  # kind ids
    touched: frozenset[int]  # kind ids
    count: int


@dataclass(frozen=True, slots=True)
class DerivedRules:
    """All rules of a scene; none by default."""

    session: SessionRule | None = None
    dwell: tuple[DwellRule, ...] = ()
    passed_over: tuple[PassedOverRule, ...] = ()


NOTHING_DERIVED: Final = DerivedRules()
