"""Rank changes: which step of a decision moved an offer, from which place to which. Pure over the decision's arrays."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from edge_sdk.decision.decision import Decision
from edge_sdk.types import I64, by_score

STEPS: Final = (
    "eligibility",  # suppressed candidates are dropped, so later candidates move up
    "events",  # the model
    "score_bound",  # warm-up weight and max_score_change
    "boosts",
    "cost",
    "rank_bound",  # max_rank_change
    "diversity",
    "exploration",
    "pins",
)


@dataclass(frozen=True, slots=True)
class RankChange:
    """A step that changed an offer's place."""

    step: str  # one of STEPS
    before: int  # place, 1 = first; before the step "eligibility" among all candidates, later among the eligible
    after: int


@dataclass(frozen=True, slots=True, eq=False)
class PlacesByStep:
    """Every candidate's place after each step that can change places."""

    steps: tuple[str, ...]  # (T,)
    places: I64  # (T + 1, C) from 1; the first row is the base order of all; 0 = not eligible

    def rank_changes(self, index: int) -> tuple[RankChange, ...]:
        """Returns the rank changes from a candidate's base place to its final place; () where it is not eligible."""
        column = self.places[:, index].tolist()
        if not column[-1]:
            return ()
        changes = zip(self.steps, pairwise(column), strict=True)
        return tuple(RankChange(step, before, after) for step, (before, after) in changes if before != after)


def places_by_step(decision: Decision) -> PlacesByStep:
    """Returns places after each step: by score (ties by index), then in the drawn order, then in the listed order."""
    (stages, _, eligible, _, draw), count = decision.trace.result, len(decision.candidates)
    scores = (stages.base, stages.model, stages.adjusted, stages.boosted, stages.priced, stages.bounded, stages.final)
    orders = {STEPS[0]: decision.base_order}
    if not decision.error:
        for step, (before, after) in zip(STEPS[1:], pairwise(scores), strict=False):
            if after is not before:
                orders[step] = by_score(after)
        orders["exploration"] = draw.order
    orders["pins"] = eligible
    is_eligible = np.zeros(count, np.bool_)
    is_eligible[eligible] = True
    table = np.zeros((len(orders) + 1, count), np.int64)
    table[0, decision.base_order] = np.arange(1, count + 1)
    for row, order in zip(table[1:], orders.values(), strict=True):
        row[order[is_eligible[order]]] = np.arange(1, len(eligible) + 1)
    return PlacesByStep(tuple(orders), table)
