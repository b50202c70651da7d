"""Scoring: from the model's logits to final scores, step by step. Pure functions over float32 arrays.

A score is always a sum: base + the model's adjustment + boosts − λ · cost − …, so that an explanation adds up.
"""

from __future__ import annotations

import numpy as np

from edge_sdk.policy.rank_bound import bounded_order
from edge_sdk.policy.rules import Budget, Policy
from edge_sdk.policy.slate import earlier_of_same
from edge_sdk.types import F32, I64


def fused(logits: F32, weights: F32) -> F32:
    """Returns logits (C, K) fused to one score each, (C,): summed by weight in the order of the objectives, in float32.

    The base's and the model's logits are fused by the same arithmetic, so without events both scores are equal to the
    bit. Equal candidates get equal scores in every position; a matrix product would round by position.
    """
    scores: F32 = logits[:, 0] * weights[0]
    for k in range(1, len(weights)):
        scores += logits[:, k] * weights[k]
    return scores


def warm_up_weight(policy: Policy, events: int) -> float:
    """Returns the weight of the model's adjustment, 0 to 1, for this many events in the window.

    The weight is 0 below `min_events` and 1 from `full_events` on; from `min_events` on it grows linearly.
    """
    if events >= policy.full_events:
        return 1.0
    if events < policy.min_events:
        return 0.0
    return (events + 1 - policy.min_events) / (policy.full_events + 1 - policy.min_events)


def adjusted(base: F32, model: F32, model_weight: float, max_score_change: float | None) -> F32:
    """Returns base + model_weight · clip(model − base, ±max_score_change)."""
    if model_weight == 1.0 and max_score_change is None:
        return model  # unchanged to the bit
    if model_weight == 0.0:
        return base
    difference = model - base
    if max_score_change is not None:
        if model_weight == 1.0 and float(np.abs(difference).max()) <= max_score_change:
            return model
        np.minimum(np.maximum(difference, np.float32(-max_score_change)), np.float32(max_score_change), out=difference)
    shifted: F32 = base + np.float32(model_weight) * difference
    return shifted


def current_cost_weight(cost_weight: float, budget: Budget | None, spent_units: int, elapsed: float) -> float:
    """Returns λ at this moment: it rises as spending runs ahead of an even pace through the period.

    λ · max(0, 1 + pacing_gain · (spent / amount − elapsed)): proportional control of the pace. With an amount of 0 no
    offer that costs may be shown, and λ is constant.

    Args:
        cost_weight: the policy's λ.
        budget: its budget.
        spent_units: in the running period.
        elapsed: the part of the period that is over, 0 to 1.
    """
    amount = budget.amount_units if budget else 0
    if budget is None or not budget.pacing_gain or not amount:
        return cost_weight
    return cost_weight * max(0.0, 1.0 + budget.pacing_gain * (spent_units / amount - elapsed))


def bounded(scores: F32, order: I64, anchor: I64, max_rank_change: int) -> tuple[F32, I64]:
    """Returns scores that rank no eligible candidate more than `max_rank_change` places from its place in the anchor.

    The order changes, the set of scores does not: a candidate that moves takes the score of its new place.

    Args:
        scores: (C,)
        order: (S,) candidate indices by these scores.
        anchor: (S,) the same indices by the scores without the model's adjustment.
        max_rank_change: number of places.

    Returns:
        Scores (C,), and the candidate indices in their order (S,).
    """
    near = bounded_order(order, anchor, max_rank_change, len(scores))
    if near is order:
        return scores, order
    moved = scores.copy()
    moved[near] = scores[order]
    return moved, near


def diversified(scores: F32, order: I64, categories: I64, diversity: float) -> F32:
    """Returns scores reduced by `diversity` for every better eligible offer of the same category.

    Args:
        scores: (C,)
        order: (S,) candidate indices, best first.
        categories: (C,) category rows; scores without a category (0) do not change.
        diversity: logit.
    """
    of = categories[order]
    better = earlier_of_same(of)
    better *= of > 0
    loss = np.zeros(len(scores), np.float32)
    loss[order] = better
    loss *= np.float32(diversity)
    spread: F32 = scores - loss
    return spread
