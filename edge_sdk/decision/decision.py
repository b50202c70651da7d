"""The decision that `Engine.rank` returns. Offers, reasons and probabilities are computed at their first access."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import repeat
from typing import NamedTuple

import numpy as np

from edge_sdk.base_decision import BaseDecision
from edge_sdk.decision.evidence import Evidence
from edge_sdk.errors import ErrorCode, InvalidValueError
from edge_sdk.policy.pipeline import PolicyResult
from edge_sdk.reasons import Reason
from edge_sdk.types import F32, F64, I64, Mask, by_score


class RankedOffer(NamedTuple):
    """One offer of a decision."""

    id: str
    score: float  # logit after all steps; NaN where the base logits are unusable
    place: int  # 1 = first; 0 = a rule suppressed it
    base_place: int  # place in the base order of all candidates, 1 = first
    reasons: Reason
    channel: str = ""  # "" = in the app
    variant: str = ""  # wording; "" = the offer's own


class Trace(NamedTuple):
    """Internals of a decision: for this project's own modules, ports and evaluations. Not a stable interface."""

    result: PolicyResult
    base_order: I64  # (C,) candidate indices by the fused base logits
    costs: F32  # (C,) of showing each once
    known: Mask | None  # (C,) whether the bundle knows each candidate; None = all
    limit: int | None
    weight_rule: str = ""  # name of the rule that set the weights; "" = none
    model_weight: float = 1.0  # weight of the model's adjustment, 0 to 1
    evidence: Evidence | None = None  # None where the decision is only the base order


@dataclass(frozen=True, eq=False)
class Decision:
    """A decision of `Engine.rank`. With `error` set it is only the base order; `rank` never fails without a decision.

    Arrays are indexed by the candidates in the order passed to `rank`. A decision refers to the evidence that
    `Engine.explain` reads.
    """

    id: int
    time_ms: int  # when it was made, milliseconds since 1970-01-01 UTC
    scene: str
    model_version: str
    policy_version: int
    error: ErrorCode
    detail: str  # how to fix the error; empty without an error
    base: BaseDecision
    retry_at_ms: int | None  # where no offer is eligible: when to rank again; None = not known
    trace: Trace

    @property
    def candidates(self) -> tuple[str, ...]:
        """Returns the offers as passed; an offer may be listed with several channels or variants."""
        return self.base.offers

    @property
    def scores(self) -> F32:
        """Returns the scores after all steps, (C,)."""
        return self.trace.result.stages.final

    @property
    def base_order(self) -> I64:
        """Returns the candidate indices in the base order, (C,)."""
        return self.trace.base_order

    @property
    def order(self) -> I64:
        """Returns the candidate indices of the offers to show, best first, at most `limit`."""
        eligible, limit = self.trace.result.eligible_order, self.trace.limit
        return eligible if limit is None else eligible[: max(0, limit)]

    @property
    def is_empty(self) -> bool:
        """Returns whether no offer is eligible; `retry_at_ms` is when to rank again."""
        return len(self.trace.result.eligible_order) == 0

    @cached_property
    def offers(self) -> tuple[RankedOffer, ...]:
        """Returns the offers to show, best first."""
        return self.ranked()

    @cached_property
    def dropped(self) -> tuple[RankedOffer, ...]:
        """Returns the candidates that rules suppress (place 0), in base order, with their reasons."""
        dropped_bits = self.trace.result.dropped_bits
        if dropped_bits is None:
            return ()
        order = self.trace.base_order
        out = order[dropped_bits[order] != 0]
        bits = self.policy_bits | dropped_bits | (_BASE_ORDER if self.error else 0)
        return self._offers(out, repeat(0, len(out)), _places(order, out, len(order)), bits.take(out).tolist())

    @cached_property
    def propensity(self) -> F64:
        """Returns the probability of each candidate to be first, before the draw, (C,).

        The sum is 1 where any candidate is eligible.
        """
        return self.trace.result.draw.first_propensity()

    @cached_property
    def inclusion(self) -> F64:
        """Returns the probability of each candidate to be on the slate (within `limit`), before the draw, (C,)."""
        return self.trace.result.draw.inclusion(self.trace.limit)

    @cached_property
    def policy_bits(self) -> I64:
        """Returns reason bits of how the policy changed each candidate's score or place, (C,)."""
        bits = self._policy_bits()
        return np.zeros(len(self.candidates), np.int64) if bits is None else bits

    def _policy_bits(self) -> I64 | None:
        """Returns `policy_bits`; None = the policy changed nothing, as in most decisions."""
        (stages, _, _, pinned, draw), model_weight = self.trace.result, self.trace.model_weight
        is_drawn = draw.order is not draw.slate.best_first
        if self.error or (stages.final is stages.model and model_weight == 1.0 and not is_drawn and not pinned):
            return None
        bits = np.zeros(len(self.candidates), np.int64)
        if model_weight < 1.0:
            bits |= _TOO_FEW_EVENTS
        elif stages.adjusted is not stages.model:
            bits |= _changed(stages.adjusted, stages.model, _BOUNDED)
        for after, before, bit in (
            (stages.boosted, stages.adjusted, _BOOSTED),
            (stages.priced, stages.boosted, _PRICED),
            (stages.bounded, stages.priced, _BOUNDED),
            (stages.final, stages.bounded, _DIVERSIFIED),
        ):
            if after is not before:
                bits |= _changed(after, before, bit)
        if is_drawn:
            bits[draw.raised()] |= _EXPLORED
        if pinned:
            bits[list(pinned)] |= _PINNED
        return bits

    def ranked(self) -> tuple[RankedOffer, ...]:
        """Returns `offers`, made anew."""
        shown, bits = self.order, self._policy_bits()
        base_places = _places(self.trace.base_order, shown, len(self.trace.base_order))
        if self.error:
            reasons = [_BASE_ORDER] * len(shown)
        else:
            reasons = self._event_reasons(shown, base_places, is_model_order=bits is None)
        if bits is not None:
            reasons = [one | other for one, other in zip(reasons, bits.take(shown).tolist(), strict=True)]
        return self._offers(shown, range(1, len(self.trace.result.eligible_order) + 1), base_places, reasons)

    def _event_reasons(self, shown: I64, base_places: list[int], *, is_model_order: bool) -> list[int]:
        """Returns how the user's events moved each of these eligible candidates (S,), among all that are eligible.

        The reason agrees with the step "events" of the explanation (`explain/rank_changes.py`): from the base order to
        the order of the model's scores.

        Args:
            shown: the first candidates in the final order.
            base_places: (S,) their places in the base order.
            is_model_order: whether the final order is that of the model's scores.
        """
        eligible, base_order, earlier = self.trace.result.eligible_order, self.trace.base_order, base_places
        is_eligible = None
        if len(eligible) < len(base_order):
            is_eligible = np.zeros(len(base_order), np.bool_)
            is_eligible[eligible] = True
            earlier = (is_eligible[base_order].cumsum() - 1).take(base_places).tolist()
        now: Iterable[int] = range(len(shown))
        if not is_model_order:
            order = by_score(self.trace.result.stages.model)
            now = _places(order if is_eligible is None else order[is_eligible[order]], shown, len(base_order))
        return [
            _KEPT if after == before else _RAISED if after < before else _LOWERED
            for after, before in zip(now, earlier, strict=True)
        ]

    def _offers(
        self, shown: I64, places: Iterable[int], base_places: list[int], reasons: list[int]
    ) -> tuple[RankedOffer, ...]:
        """Returns candidates (S,) with their places, their places in the base order (from 0), and reasons."""
        known = self.trace.known
        if known is not None:
            of = known.take(shown).tolist()
            reasons = [one if is_known else one | _UNKNOWN_OFFER for one, is_known in zip(reasons, of, strict=True)]
        indices, base = shown.tolist(), self.base
        channels: Iterable[str] = repeat("")
        variants: Iterable[str] = repeat("")
        if base.channels is not None or base.variants is not None:
            channels, variants = map(base.channel, indices), map(base.variant, indices)
        rows = zip(
            [base.offers[index] for index in indices],
            self.scores.take(shown).tolist(),
            places,
            [place + 1 for place in base_places],
            map(_as_reason, reasons),
            channels,
            variants,
            strict=False,
        )
        return tuple([_as_tuple(RankedOffer, row) for row in rows])


# Plain integers, and each combination is made once: enum arithmetic takes 2 µs a step.
_BASE_ORDER, _UNKNOWN_OFFER = int(Reason.BASE_ORDER), int(Reason.UNKNOWN_OFFER)
_RAISED, _LOWERED, _KEPT = int(Reason.RAISED), int(Reason.LOWERED), int(Reason.KEPT)
_TOO_FEW_EVENTS, _BOUNDED = int(Reason.TOO_FEW_EVENTS), int(Reason.BOUNDED)
_BOOSTED, _PRICED, _DIVERSIFIED = int(Reason.BOOSTED), int(Reason.PRICED), int(Reason.DIVERSIFIED)
_PINNED, _EXPLORED = int(Reason.PINNED), int(Reason.EXPLORED)
_as_reason = cache(Reason)
_as_tuple = tuple.__new__  # for 50 offers 4 µs less than the named tuple's constructor, 5% of a decision


def _places(order: I64, of: I64, count: int) -> list[int]:
    """Returns the place (0 = first) of each candidate `of` in an order; `count`: number of all candidates."""
    if len(order) == count:
        place_of = order.argsort()
    else:
        place_of = np.zeros(count, np.int64)
        place_of[order] = np.arange(len(order))
    places: list[int] = place_of.take(of).tolist()
    return places


def _changed(after: F32, before: F32, bit: int) -> I64:
    return np.where(after != before, bit, 0)


def require_decision(decision: Decision) -> None:
    """Raises if an app passes something else, such as a decision's id.

    Raises:
        InvalidValueError: this is no decision.
    """
    if not isinstance(decision, Decision):
        raise InvalidValueError("decision", decision)
