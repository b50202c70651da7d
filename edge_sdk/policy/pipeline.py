"""The policy pipeline: which candidates are eligible, their final scores, the draw and the list.

Pure functions over memory and arrays. The steps, in this order:

1. Scores change: the model's weight and bounds, boosts, cost (`scoring.py`).
2. Rules suppress candidates: dates, eligibility, blocks, caps, quiet hours, budget (`eligibility.py`, `targeting.py`,
   `frequency_caps.py`).
3. Each offer keeps one treatment, and the slate fits what caps and budget have left (`slate_caps.py`).
4. The model moves no offer further than the policy allows (`rank_bound.py`); then diversity (`scoring.py`).
5. The minimum score, the draw (`exploration.py`), category limits and pins (`slate.py`).

ADR 17 gives the reasons for this order. A step that the policy does not use takes one comparison.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from edge_sdk.clock import LocalTime
from edge_sdk.memory.memory import Memory
from edge_sdk.policy.candidates import CandidateSet
from edge_sdk.policy.compiled import CompiledPolicy
from edge_sdk.policy.eligibility import Eligibility, EvaluatedRules
from edge_sdk.policy.exploration import Draw, drawn_order
from edge_sdk.policy.rules import Exploration, Explore
from edge_sdk.policy.scoring import adjusted, bounded, diversified
from edge_sdk.policy.slate import Slate, earlier_of_same, pin_places
from edge_sdk.policy.slate_caps import over_budget, over_caps
from edge_sdk.policy.stages import Stages
from edge_sdk.policy.targeting import budget_bits, quiet_bits
from edge_sdk.reasons import Reason
from edge_sdk.types import F32, I64, by_score

_NO_DRAW: Final = Exploration()


class Request(NamedTuple):
    """When a decision is made, the list that was asked for, and the noise of its draw."""

    now_ms: int
    local: LocalTime  # of a moment not after `now_ms`
    limit: int | None  # at most so many offers; None = all
    seed: int
    number: int  # the decision's


class Spend(NamedTuple):
    """The cost weight at this moment, and the rest of the budget."""

    cost_weight: float  # λ in force
    units_left: float  # of the budget, a whole number; infinity = no budget


class PolicyInputs(NamedTuple):
    """Everything that the steps read besides scores. Built by keyword."""

    policy: CompiledPolicy
    candidates: CandidateSet
    evaluated: EvaluatedRules
    memory: Memory
    request: Request
    spend: Spend

    @property
    def size(self) -> int:
        """Returns the number of places on the slate."""
        count, limit = len(self.candidates.rows), self.request.limit
        return count if limit is None else min(count, max(0, limit))

    @property
    def is_plain(self) -> bool:
        """Returns whether only weights and rules that suppress offers apply, so that most steps can be skipped."""
        evaluated = self.evaluated
        if not self.policy.is_plain or evaluated.boost is not None or evaluated.pins:
            return False
        return self.candidates.identities is None


class PolicyResult(NamedTuple):
    """The result of the policy for the candidates of one decision."""

    stages: Stages
    dropped_bits: I64 | None  # (C,) reason bits of suppressed candidates, 0 = eligible; None = all are
    eligible_order: I64  # (S,) the eligible candidates in their final order
    pinned: tuple[int, ...]  # candidate indices
    draw: Draw


def suppressed(inputs: PolicyInputs) -> Eligibility:
    """Returns which candidates dates, eligibility, blocks, caps, quiet hours and the budget suppress."""
    policy, candidates, request = inputs.policy, inputs.candidates, inputs.request
    answer = inputs.evaluated.eligibility(policy.caps, inputs.memory.caps, candidates.cap_cells, request.now_ms)
    bits = answer.bits
    if policy.rules.quiet_hours:
        bits = _both(bits, quiet_bits(policy.rules, candidates.candidates, request.now_ms, request.local))
    if inputs.spend.units_left < candidates.highest_units:
        bits = _both(bits, budget_bits(candidates.cost_units, inputs.spend.units_left))
    if bits is answer.bits:
        return answer
    return answer._replace(bits=bits, mask=None if bits is None else bits == 0)


def apply_policy(inputs: PolicyInputs, base: F32, model: F32, model_weight: float) -> PolicyResult:
    """Applies the whole policy.

    Args:
        inputs: everything that the steps read besides scores.
        base: (C,) fused base logits.
        model: (C,) the model's fused logits.
        model_weight: how much the model's adjustment counts, 0 to 1.
    """
    policy, candidates = inputs.policy.rules, inputs.candidates
    if model_weight == 1.0 and inputs.is_plain:
        return _plain_result(inputs, base, model)
    shifted = adjusted(base, model, model_weight, policy.max_score_change)
    boosted, anchor = shifted, base
    boost = inputs.evaluated.boost
    if boost is not None:
        boosted, anchor = shifted + boost, base + boost
    priced = boosted
    if inputs.spend.cost_weight and candidates.highest_cost:
        cost = np.float32(inputs.spend.cost_weight) * candidates.costs
        priced, anchor = boosted - cost, anchor - cost
    eligible = _Eligible(suppressed(inputs), len(base))
    order, pins = _fit_slate(inputs, by_score(priced), eligible)
    near = priced  # the scores after the rank bound
    if policy.max_rank_change is not None and len(order) > policy.max_rank_change + 1:
        near, order = bounded(priced, order, eligible.of(by_score(anchor)), policy.max_rank_change)
    final = near
    if policy.diversity and len(order):
        final = diversified(near, order, candidates.categories, policy.diversity)
        order = eligible.of(by_score(final))
    stages = Stages(base, model, shifted, boosted, priced, near, final)
    return _list(inputs, stages, order, pins, eligible, policy.exploration)


def apply_without_model(inputs: PolicyInputs) -> PolicyResult:
    """Applies the rules that suppress candidates and the slate's rules to the base order and its scores."""
    candidates = inputs.candidates
    eligible = _Eligible(suppressed(inputs), len(candidates.rows))
    order, pins = _fit_slate(inputs, candidates.order, eligible)
    return _list(inputs, Stages.of_base(candidates.scores), order, pins, eligible, _NO_DRAW)


def is_still_allowed(inputs: PolicyInputs, listed: I64) -> bool:
    """Returns whether no rule suppresses one of these candidates (S,), and their slate is within caps and budget."""
    mask = suppressed(inputs).mask
    if mask is not None and not mask[listed].all():
        return False
    return not _over_slate(inputs, listed, ())


def _plain_result(inputs: PolicyInputs, base: F32, model: F32) -> PolicyResult:
    """Returns the result of `apply_policy` for a plain policy: checking each step would take 4% of a decision."""
    eligibility = suppressed(inputs)
    mask = eligibility.mask
    order = by_score(model)
    if mask is not None:
        order = order[mask[order]]
    draw = Draw(_NO_DRAW, model, Slate(order, (), (), None, None), order)
    stages = Stages(base, model, model, model, model, model, model)
    return PolicyResult(stages, eligibility.bits, order, (), draw)


class _Eligible:
    """The eligible candidates, of which steps suppress more. The array passed in is not changed."""

    def __init__(self, start: Eligibility, count: int) -> None:
        self.bits, self._mask = start.bits, start.mask
        self._count, self._is_copied = count, False

    def suppress(self, candidates: I64, reason: Reason) -> None:
        """Suppresses these candidates, for this reason."""
        if not len(candidates):
            return
        if self.bits is None or not self._is_copied:
            self.bits = np.zeros(self._count, np.int64) if self.bits is None else self.bits.copy()
            self._is_copied = True
        self.bits[candidates] |= int(reason)
        self._mask = self.bits == 0

    def of(self, order: I64) -> I64:
        """Returns the eligible candidates of an order, (S,)."""
        return order if self._mask is None else order[self._mask[order]]


def _both(one: I64 | None, other: I64 | None) -> I64 | None:
    if one is None or other is None:
        return other if one is None else one
    both: I64 = one | other
    return both


class _Pins(NamedTuple):
    """The pinned candidates and their places, by place."""

    candidates: tuple[int, ...]
    places: tuple[int, ...]


_NO_PINS: Final = _Pins((), ())


def _fit_slate(inputs: PolicyInputs, best_first: I64, eligible: _Eligible) -> tuple[I64, _Pins]:
    """Keeps one treatment of each offer, so that one slate stays within the rest of caps and budget.

    Where an offer's best treatment does not fit, its next one is tried.

    Args:
        inputs: everything that the steps read besides scores.
        best_first: (C,) candidate indices.
        eligible: the eligible candidates; this function suppresses more of them.

    Returns:
        (S,) eligible candidate indices, best first, and the pinned ones among them.
    """
    candidates = inputs.candidates
    while True:
        order, others = eligible.of(best_first), None
        if candidates.identities is not None:
            is_other = earlier_of_same(candidates.identities[order]) > 0
            order, others = order[~is_other], order[is_other]
        pins = _pins(inputs, order) if inputs.evaluated.pins else _NO_PINS
        over = _over_slate(inputs, order, pins.candidates) if inputs.policy.fits_slates else ()
        for group, reason in over:
            eligible.suppress(group, reason)
        if not over:
            if others is not None:
                eligible.suppress(others, Reason.OTHER_TREATMENT)
            return order, pins


def _list(
    inputs: PolicyInputs, stages: Stages, order: I64, pins: _Pins, eligible: _Eligible, exploration: Exploration
) -> PolicyResult:
    """Applies the minimum score, the draw, category limits and pins.

    Args:
        inputs: everything that the steps read besides scores.
        stages: the scores after each step.
        order: (S,) eligible candidate indices, best first.
        pins: the pinned candidates among them.
        eligible: the eligible candidates; this function suppresses more of them.
        exploration: the mode of the draw.
    """
    policy, candidates = inputs.policy.rules, inputs.candidates
    if policy.minimum_score is not None and len(order) and stages.final[order[-1]] < np.float32(policy.minimum_score):
        is_below = stages.final < np.float32(policy.minimum_score)
        is_below[list(pins.candidates)] = False  # the minimum score does not apply to pinned candidates
        eligible.suppress(order[is_below[order]], Reason.BELOW_MINIMUM)
        order = eligible.of(order)
    limits = policy.category_limits
    slate = Slate(order, pins.candidates, pins.places, None if limits is None else candidates.categories, limits)
    drawn = order
    if exploration.mode is not Explore.OFF:
        drawn = drawn_order(exploration, stages.final, slate, inputs.request.seed, inputs.request.number)
    listed = slate.listed(drawn)
    if len(listed) < len(drawn):
        is_out = np.ones(len(candidates.rows), np.bool_)
        is_out[listed] = False
        eligible.suppress(drawn[is_out[drawn]], Reason.CATEGORY_FULL)
    draw = Draw(exploration, stages.final, slate, drawn)
    return PolicyResult(stages, eligible.bits, listed, pins.candidates, draw)


def _pins(inputs: PolicyInputs, order: I64) -> _Pins:
    """Returns the pinned candidates among the eligible ones (best first)."""
    wanted: list[tuple[int, int]] = []
    for rule, mask in inputs.evaluated.pins:
        best = order[mask[order]][: rule.count].tolist()
        wanted += [(candidate, rule.place + number) for number, candidate in enumerate(best)]
    return _Pins(*pin_places(wanted))


def _over_slate(inputs: PolicyInputs, order: I64, pinned: tuple[int, ...]) -> list[tuple[I64, Reason]]:
    """Returns the candidates with which one slate would exceed caps or budget, and why; pinned ones come first."""
    candidates, size, counts = inputs.candidates, inputs.size, inputs.memory.caps
    if not size:
        return []  # nothing is shown, so nothing is exceeded
    now_ms, caps = inputs.request.now_ms, inputs.policy.caps.rules
    limits = [
        (caps[index], counts.remaining(index, candidates.rows, size, now_ms)) for index in inputs.policy.slate_caps
    ]
    is_expensive = candidates.highest_slate_units[size] > inputs.spend.units_left
    if not is_expensive and all(remaining is None for _, remaining in limits):
        return []  # in most decisions
    is_out = np.zeros(len(candidates.rows), np.bool_)
    by_priority = np.array([*pinned, *(index for index in order.tolist() if index not in pinned)], np.int64)
    found = []
    for cap, remaining in limits:
        if remaining is not None:
            kept = by_priority[~is_out[by_priority]]
            over = over_caps(kept, cap, remaining, inputs.policy.rules, candidates)
            is_out[over] = True
            found.append((over, cap.reason))
    if is_expensive:
        kept = by_priority[~is_out[by_priority]]
        found.append((over_budget(kept, size, candidates.cost_units, inputs.spend.units_left), Reason.OVER_BUDGET))
    return [(group, reason) for group, reason in found if len(group)]
