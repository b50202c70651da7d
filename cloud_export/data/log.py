"""The log in memory: plain arrays with one row per event, per decision and per candidate.

Sizes: U users, E events, I items, O offers, D decisions, S candidates of all decisions together, K objectives,
X context fields, A user attributes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
I16 = npt.NDArray[np.int16]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U16 = npt.NDArray[np.uint16]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Events:
    """Events sorted by (user, time, file order); the events of user u are rows `offsets[u]:offsets[u+1]`."""

    user: I32  # (E,) index into Log.users
    time_ms: I64  # (E,) milliseconds since 1970, UTC
    kind: I16  # (E,) index into Log.kinds
    item: I32  # (E,) index into Log.items
    value: F32  # (E,) 0 where absent
    offsets: I64  # (U+1,)
    local: U16  # (E,) as the field of the device's record: the UTC offset, 0 where it is not known

    @classmethod
    def of(
        cls, users: int, *, user: I32, time_ms: I64, kind: I16, item: I32, value: F32, local: U16 | None = None
    ) -> Events:
        """Returns the record of these columns, which are sorted already, with the offsets of `users` users."""
        offsets = np.searchsorted(user, np.arange(users + 1)).astype(np.int64)
        known = np.zeros(len(user), np.uint16) if local is None else local
        return cls(user=user, time_ms=time_ms, kind=kind, item=item, value=value, offsets=offsets, local=known)


@dataclass(frozen=True, slots=True)
class Decisions:
    """Decisions sorted by (user, time, file order); the candidates of decision d are rows `offsets[d]:offsets[d+1]`.

    `position` is the place in the replay: the number of the user's events that come before the decision. For a logged
    decision these are the events with an earlier `time_ms`: an event at the same millisecond may be the decision's own
    impression or click. A derived decision is placed right after the event before its positive event, even where both
    have the same millisecond.
    """

    decision_id: tuple[str, ...]  # D
    user: I32  # (D,) index into Log.users
    time_ms: I64  # (D,) milliseconds since 1970, UTC
    position: I64  # (D,)
    offsets: I64  # (D+1,)
    candidate: I32  # (S,) index into Log.items
    outcome: F32  # (S, K) NaN where unknown; always unknown where not shown
    propensity: F32  # (S,) NaN where unknown
    shown: Flags  # (S,)
    context: I16  # (D, X) index into the closed list of the field, fields in scene order; -1 absent


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The rankable offers, and the category of every item."""

    offers: tuple[str, ...]  # O rankable offers, sorted
    offer_item: I32  # (O,) index into Log.items
    valid_from_ms: I64  # (O,) 0 = no bound
    valid_until_ms: I64  # (O,) 0 = no bound
    categories: tuple[str, ...]  # sorted
    item_category: I32  # (I,) index into categories; -1 none
    cost: F32 | None = None  # (O,) of showing it once; None = nothing


@dataclass(frozen=True, slots=True)
class Log:
    """A checked log: the events and decisions of all users, the catalogue and the users' attributes."""

    kinds: tuple[str, ...]  # scene.events.kinds
    objectives: tuple[str, ...]  # K, scene.objective_order
    users: tuple[str, ...]  # U, sorted: everyone with an event or a decision
    items: tuple[str, ...]  # I, sorted: every item of an event or the catalogue
    events: Events
    decisions: Decisions
    catalogue: Catalogue
    attributes: I32  # (U, A) 0 = unknown, else 1 + index into attribute_values[a]
    attribute_values: tuple[tuple[str, ...], ...]  # A sorted lists, attributes in scene order


def summarise(log: Log) -> dict[str, int | float | str]:
    """Returns what `cloud-export check` prints: sizes, events per kind, the time span, positives per objective.

    Returns:
        Label -> count, mean or ISO 8601 time in UTC, in printing order.
    """
    decisions = log.decisions
    summary: dict[str, int | float | str] = {
        "events": len(log.events.time_ms),
        "users": len(log.users),
        "items": len(log.items),
        "offers": len(log.catalogue.offers),
        "categories": len(log.catalogue.categories),
        "first event": _iso(int(log.events.time_ms.min())),
        "last event": _iso(int(log.events.time_ms.max())),
    }
    per_kind = np.bincount(log.events.kind, minlength=len(log.kinds))
    summary |= {f"events {kind}": int(count) for kind, count in zip(log.kinds, per_kind, strict=True)}
    count = len(decisions.decision_id)
    summary["decisions"] = count
    summary["candidates per decision"] = round(len(decisions.candidate) / count, 2) if count else 0.0
    summary["shown candidates"] = int(decisions.shown.sum())
    for index, objective in enumerate(log.objectives):
        outcome = decisions.outcome[:, index]
        summary[f"known {objective}"] = int(np.count_nonzero(~np.isnan(outcome)))
        summary[f"positive {objective}"] = int(np.count_nonzero(outcome > 0))
    return summary


def _iso(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, tz=UTC).isoformat(timespec="milliseconds")
