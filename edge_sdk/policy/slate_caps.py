"""Slate-level caps: showing a whole slate at once must not exceed the rest of caps and budget.

Candidates that do not fit are suppressed before an order is drawn, lowest scores first, so that the probabilities of
the draw stay exact.
"""

from __future__ import annotations

from bisect import insort

import numpy as np

from edge_sdk.memory.targets import Scope
from edge_sdk.policy.candidates import CandidateSet
from edge_sdk.policy.frequency_caps import FrequencyCap
from edge_sdk.policy.rules import Policy
from edge_sdk.policy.slate import earlier_of_same
from edge_sdk.policy.targeting import Candidates, in_channels
from edge_sdk.types import F64, I64, Mask


def over_caps(order: I64, cap: FrequencyCap, remaining: I64, policy: Policy, candidates: CandidateSet) -> I64:
    """Returns the candidates that exceed a cap when all better candidates are on the slate.

    Args:
        order: (S,) candidate indices, best first.
        cap: the rule.
        remaining: (C,) `CapCounts.remaining`: how many more events the rule allows each candidate's target.
        policy: has the channels.
        candidates: the C candidates.
    """
    counted = order[_counts_for(cap, policy, candidates.candidates)[order]]
    if cap.counted.per is not Scope.CATEGORY:
        return counted[np.arange(len(counted)) >= remaining[counted]]
    groups = candidates.categories[counted]
    return counted[(groups > 0) & (earlier_of_same(groups) >= remaining[counted])]


def _counts_for(cap: FrequencyCap, policy: Policy, candidates: Candidates) -> Mask:
    """Returns whether a rule counts showing a candidate and may suppress it, (C,)."""
    counting = frozenset(
        number
        for number, channel in enumerate(policy.channels)
        if channel.shown_kind in cap.counted.kinds and (not cap.channels or number in cap.channels)
    )
    return in_channels(counting, candidates)


def over_budget(order: I64, size: int, cost_units: F64, left: float) -> I64:
    """Returns the candidates with which the most expensive slate would cost more than `left`.

    Args:
        order: (S,) candidate indices, best first.
        size: number of places on the slate.
        cost_units: (C,) whole numbers; a sum of them is exact as long as it is not above the rest of any budget.
        left: units, the rest of the budget.
    """
    of = cost_units[order]
    if float(np.sort(of)[::-1][:size].sum()) <= left:
        return order[:0]  # in most decisions
    kept: list[float] = []  # units of the candidates that fit, ascending
    out = []
    for index, cost in zip(order.tolist(), of.tolist(), strict=True):
        tried = kept.copy()
        insort(tried, cost)
        if sum(tried[-size:] if size else []) > left:
            out.append(index)
        else:
            kept = tried
    return np.array(out, np.int64)
