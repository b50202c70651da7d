"""Arrays, events, base decisions, status: what the modules speak of with each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


NEVER_MS: Final = 1 << 62  # a time that does not come


class Per(IntEnum):
    """What a cap counts for, or a machine has a state for."""

    OFFER = 0
    CATEGORY = 1
    USER = 2


class Event(NamedTuple):
    """One record of the event log, as read back."""

    seq: int
    time_ms: int  # milliseconds since 1970-01-01 UTC
    kind: int  # crc32(kind name) & 0xFFFF
    item: int  # crc32(item name); 0 = about no item
    value: float
    decision: int  # 0 = none


@dataclass(frozen=True, slots=True, eq=False)
class BaseDecision:
    """The cloud's ranking for this user: candidates with their base logits.

    A candidate is an offer, or one way to bring an offer to the user: (offer, channel, variant), with its cost.

    Args:
        offers: names of the candidates, best first.
        logits: shape (C,) when all objectives share one logit, or (C, K), one column an objective
            in the scene's order. Copied. Not checked here: `Engine.rank` answers bad ones with the
            order given and an error code.
        channels: each candidate's channel, "" = in the app itself; None = all in the app.
        variants: each candidate's wording, "" = the offer's own; None = all.
        costs: (C,) of showing each once, in the budget's unit; None = the bundle's (the offer's and its channel's).
        refreshed_ms: what the cloud knew, up to when: milliseconds since 1970; 0 = not known.
    """

    offers: tuple[str, ...]
    logits: F32
    channels: tuple[str, ...] | None
    variants: tuple[str, ...] | None
    costs: F32 | None
    refreshed_ms: int

    def __init__(
        self,
        offers: Sequence[str],
        logits: npt.ArrayLike,
        *,
        channels: Sequence[str] | None = None,
        variants: Sequence[str] | None = None,
        costs: npt.ArrayLike | None = None,
        refreshed_ms: int = 0,
    ) -> None:
        object.__setattr__(self, "offers", tuple(offers))
        object.__setattr__(self, "logits", _as_floats(logits, len(self.offers)))
        object.__setattr__(self, "channels", None if channels is None else tuple(channels))
        object.__setattr__(self, "variants", None if variants is None else tuple(variants))
        object.__setattr__(self, "costs", None if costs is None else _as_floats(costs, len(self.offers)))
        object.__setattr__(self, "refreshed_ms", refreshed_ms)

    def channel(self, index: int) -> str:
        """Of a candidate; "" = in the app, and where the list of channels is too short."""
        return self.channels[index] if self.channels is not None and index < len(self.channels) else ""

    def variant(self, index: int) -> str:
        """Wording of a candidate; "" = the offer's own, and where the list of variants is too short."""
        return self.variants[index] if self.variants is not None and index < len(self.variants) else ""


def _as_floats(given: npt.ArrayLike, count: int) -> F32:
    """A read-only copy; NaN where it is no array of numbers."""
    try:
        with np.errstate(over="ignore"):  # 1e39 becomes infinite: an error code, not a warning on stderr
            array = np.array(given, dtype=np.float32)
    except (TypeError, ValueError, OverflowError):  # words, ragged rows: as good as no number
        array = np.full(count, np.nan, np.float32)
    array.setflags(write=False)
    return array


@dataclass(frozen=True, slots=True)
class Status:
    """What an embedder logs at start."""

    scene: str
    model_version: str
    events: int  # records in the log
    capacity: int  # records that fit
    log_bytes: int  # size of the log's file
    encrypted: bool
    durability: str
    disk_failures: int  # writes that nobody waited for and the disk refused, since opening
    damaged: int  # records found damaged when the log was opened
    unknown_items: int  # item names met since opening that the bundle does not know
    decisions: int  # decisions made since opening
    errors: int  # of these, how many had an error code
    errors_by_code: dict[str, int]  # name of the code -> how many
    policy_version: int  # of the policy in force
    policy_error: str  # why an installed policy is not in force, with the mend; "" = nothing is wrong


# ---- orders ----


def by_score(scores: F32) -> I64:
    """Candidate indices, score descending, then lower index."""
    order: I64 = (-scores).argsort(kind="stable")
    return order


def places(order: I64) -> I64:
    """The place (0 = first) of each candidate in an order that holds them all."""
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return place
