"""What caps and the budget have left for one slate: showing all of it at once must not go beyond them.

Who does not fit is taken out before an order is drawn, best scores first, so that the draw's probabilities stay exact.
"""

from __future__ import annotations

from bisect import insort

import numpy as np

from edge_sdk.memory.caps import CapRule
from edge_sdk.memory.targets import Scope
from edge_sdk.policy.candidates import CandidateSet
from edge_sdk.policy.rules import Policy
from edge_sdk.policy.slate import earlier_of_same
from edge_sdk.policy.targeting import Candidates, in_channels
from edge_sdk.types import F32, I64, Mask


def rations(policy: Policy, caps: tuple[CapRule, ...]) -> tuple[int, ...]:
    """Indices of the caps that one slate can go beyond: they count what is shown, for more than one offer together."""
    shown = {channel.shown_kind for channel in policy.channels}
    return tuple(index for index, rule in enumerate(caps) if rule.per is not Scope.OFFER and shown & {*rule.kinds})


def over_caps(order: I64, rule: CapRule, room: I64, policy: Policy, prepared: CandidateSet) -> I64:
    """Candidates that a slate of the better ones leaves no room for under a cap.

    Args:
        order: (S,) candidate indices, best first.
        rule: the cap.
        room: (C,) how many more events it lets each candidate's target have, `CapCounts.left`.
        policy: for the channels.
        prepared: the candidates.
    """
    counted = order[_counts_for(rule, policy, prepared.candidates)[order]]
    if rule.per is not Scope.CATEGORY:
        return counted[np.arange(len(counted)) >= room[counted]]
    groups = prepared.categories[counted]
    return counted[(groups > 0) & (earlier_of_same(groups) >= room[counted])]


def _counts_for(rule: CapRule, policy: Policy, candidates: Candidates) -> Mask:
    """Whether showing a candidate is counted by a rule that may keep it out, (C,)."""
    counting = frozenset(
        number
        for number, channel in enumerate(policy.channels)
        if channel.shown_kind in rule.kinds and (not rule.channels or number in rule.channels)
    )
    return in_channels(counting, candidates)


def over_budget(order: I64, size: int, costs: F32, left: float) -> I64:
    """Candidates with which the dearest slate would cost more than is left.

    Args:
        order: (S,) candidate indices, best first.
        size: places on the slate.
        costs: (C,)
        left: of the budget.
    """
    of = costs[order].astype(np.float64)
    if float(np.sort(of)[::-1][:size].sum()) <= left:
        return order[:0]  # mostly
    kept: list[float] = []  # costs of those taken in, ascending
    out = []
    for index, cost in zip(order.tolist(), of.tolist(), strict=True):
        tried = kept.copy()
        insort(tried, cost)
        if sum(tried[-size:] if size else []) > left:
            out.append(index)
        else:
            kept = tried
    return np.array(out, np.int64)
