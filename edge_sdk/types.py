"""What goes in and out of the engine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntFlag
from functools import cache, cached_property
from itertools import repeat

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import ErrorCode

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]


class Reason(IntFlag):
    """Why an offer stands where it stands; bits, so that a port can carry them as one integer."""

    BASE_ORDER = 1  # the device did not adjust this decision
    RAISED = 2  # stands above its place in the base order
    LOWERED = 4  # stands below it
    KEPT = 8  # the device agreed with the cloud
    NOT_YET_VALID = 16
    EXPIRED = 32
    NOT_ELIGIBLE = 64
    CAPPED = 128
    COOLING_DOWN = 256
    UNKNOWN_OFFER = 512  # the bundle does not know it

    @property
    def text(self) -> str:
        """The reason in words, e.g. ``raised by recent events``."""
        return "; ".join(text for bit, text in _REASON_TEXTS.items() if bit in self)


_REASON_TEXTS = {
    Reason.BASE_ORDER: "as the cloud ranked it",
    Reason.RAISED: "raised by recent events",
    Reason.LOWERED: "lowered by recent events, or overtaken",
    Reason.KEPT: "recent events leave it where the cloud put it",
    Reason.NOT_YET_VALID: "not on offer yet",
    Reason.EXPIRED: "no longer on offer",
    Reason.NOT_ELIGIBLE: "not for this user's stage or surface",
    Reason.CAPPED: "shown often enough",
    Reason.COOLING_DOWN: "resting after the user's answer",
    Reason.UNKNOWN_OFFER: "not in the installed bundle",
}


@dataclass(frozen=True, slots=True)
class Event:
    """One record of the event log, as read back."""

    seq: int
    time_ms: int  # milliseconds since 1970-01-01 UTC
    kind: int  # crc32(kind name) & 0xFFFF
    item: int  # crc32(item name); 0 = about no item
    value: float
    decision: int  # 0 = none


@dataclass(frozen=True, slots=True, eq=False)
class BaseDecision:
    """The cloud's ranking for this user: offers with their base logits.

    Args:
        offers: names of the candidates, best first.
        logits: shape (C,) when all objectives share one logit, or (C, K), one column an objective
            in the scene's order. Copied. Not checked here: `Engine.rank` answers bad ones with the
            order given and an error code.
    """

    offers: tuple[str, ...]
    logits: F32

    def __init__(self, offers: Sequence[str], logits: npt.ArrayLike) -> None:
        object.__setattr__(self, "offers", tuple(offers))
        try:
            with np.errstate(over="ignore"):  # 1e39 becomes infinite: an error code, not a warning on stderr
                array = np.array(logits, dtype=np.float32)
        except (TypeError, ValueError, OverflowError):  # words, ragged rows: as good as no number
            array = np.full(len(self.offers), np.nan, np.float32)
        array.setflags(write=False)
        object.__setattr__(self, "logits", array)


@dataclass(frozen=True, slots=True)
class RankedOffer:
    """One offer of a decision."""

    id: str
    score: float  # fused logit; NaN when the base logits were unusable
    place: int  # 1 = first
    base_place: int  # its place in the base order, 1 = first
    reasons: Reason


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """What a decision was made from; the events themselves stay in the log."""

    base: BaseDecision
    context: F32  # (X,) one-hot
    weights: F32  # (K,)
    last_seq: int  # newest event that the memory held
    era: object  # of the state folder: between two erasures; decisions of another cannot be explained


@dataclass(frozen=True, eq=False)
class Decision:
    """An answer of `Engine.rank`: always there, with `error` set when it is the bare base order.

    Arrays run over the candidates as they were given to `rank`. What a person reads (`offers`, `dropped`, reasons) is
    made when first asked for.
    """

    id: int
    time_ms: int  # the clock's answer, milliseconds since 1970-01-01 UTC
    scene: str
    model_version: str
    error: ErrorCode
    detail: str  # what to mend; empty without an error
    candidates: tuple[str, ...]
    scores: F32  # (C,) fused logits
    ranking: I64  # (C,) candidate indices, best first, the dropped ones among them
    base_ranking: I64  # (C,) the same for the base order
    dropped_bits: I64 | None  # (C,) why a rule takes an offer out, 0 = it stands; None = all stand
    known: npt.NDArray[np.bool_] | None  # (C,) whether the bundle knows each candidate; None = all
    limit: int | None
    trace: Trace | None  # None when the answer is the bare base order

    @cached_property
    def order(self) -> I64:
        """Candidate indices of the offers to show, best first, at most `limit`."""
        bits = self.dropped_bits
        standing = self.ranking if bits is None else self.ranking[bits[self.ranking] == 0]
        return standing if self.limit is None else standing[: max(0, self.limit)]

    @cached_property
    def offers(self) -> tuple[RankedOffer, ...]:
        """The offers to show, best first."""
        return self._ranked(self.order.tolist(), range(1, len(self.ranking) + 1))

    @cached_property
    def dropped(self) -> tuple[RankedOffer, ...]:
        """The offers that a rule took out (place 0), in base order; their reasons say which."""
        if self.dropped_bits is None:
            return ()
        out = [index for index in self.base_ranking.tolist() if self.dropped_bits[index]]
        return self._ranked(out, repeat(0))

    def _ranked(self, indices: list[int], places: Iterable[int]) -> tuple[RankedOffer, ...]:
        bits = [0] * len(self.candidates) if self.dropped_bits is None else self.dropped_bits.tolist()
        base_places, device_places = _inverse(self.base_ranking), _inverse(self.ranking)
        ranked = []
        for index, place in zip(indices, places, strict=False):
            before, now = base_places[index], device_places[index]
            if self.error:
                reasons = bits[index] | _BASE_ORDER
            else:
                reasons = bits[index] | (_KEPT if now == before else _RAISED if now < before else _LOWERED)
            if self.known is not None and not self.known[index]:
                reasons |= _UNKNOWN_OFFER
            name, score = self.candidates[index], float(self.scores[index])
            ranked.append(RankedOffer(name, score, place, before + 1, _as_reason(reasons)))
        return tuple(ranked)


# Plain integers, and each combination made once: enum arithmetic costs 2 µs a step.
_BASE_ORDER, _UNKNOWN_OFFER = int(Reason.BASE_ORDER), int(Reason.UNKNOWN_OFFER)
_RAISED, _LOWERED, _KEPT = int(Reason.RAISED), int(Reason.LOWERED), int(Reason.KEPT)
_as_reason = cache(Reason)


def _inverse(order: I64) -> list[int]:
    places = [0] * len(order)
    for place, index in enumerate(order.tolist()):
        places[index] = place
    return places


@dataclass(frozen=True, slots=True)
class Term:
    """One summand of an offer's score."""

    label: str  # e.g. "item_view fund_017, 12 s ago"
    value: float
    event: int  # place in the window, 0 = newest; -1 for a term that is not one event


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why one offer has its score: ``base + sum of the terms = score``, to 1e-5."""

    offer: str
    score: float
    base: float  # fused base logit
    terms: tuple[Term, ...]  # largest effect first


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
