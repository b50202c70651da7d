"""Rank changes lead from the base place to the final place by every step that changed a place, and by no other."""

from __future__ import annotations

import numpy as np
import pytest

from edge_sdk import BaseDecision, Decision, ErrorCode
from edge_sdk.decision.decision import Trace
from edge_sdk.explain.rank_changes import RankChange, places_by_step
from edge_sdk.policy.exploration import Draw
from edge_sdk.policy.pipeline import PolicyResult
from edge_sdk.policy.rules import Exploration
from edge_sdk.policy.slate import Slate
from edge_sdk.policy.stages import Stages
from edge_sdk.types import F32, I64, by_score


def indices(*numbers: int) -> I64:
    return np.array(numbers, np.int64)


def scores(*numbers: float) -> F32:
    return np.array(numbers, np.float32)


def decision(stages: Stages, eligible: I64, drawn: I64, dropped: I64 | None, error: ErrorCode) -> Decision:
    names = "abcd"[: len(stages.base)]
    return Decision(
        id=1,
        time_ms=0,
        scene="small",
        model_version="",
        policy_version=0,
        error=error,
        detail="",
        base=BaseDecision(tuple(names), stages.base),
        retry_at_ms=None,
        trace=Trace(
            result=PolicyResult(
                stages=stages,
                dropped_bits=dropped,
                eligible_order=eligible,
                pinned=(),
                draw=Draw(Exploration(), stages.final, Slate(drawn, (), (), None, None), drawn),
            ),
            base_order=by_score(stages.base),
            costs=scores(*[0.0] * len(names)),
            known=None,
            limit=None,
        ),
    )


def test_each_step_that_moved_an_offer() -> None:
    base, model, boosted, priced = scores(4, 3, 2, 1), scores(4, 3, 2, 9), scores(4, 3, 8, 9), scores(4, 9.5, 8, 9)
    stages = Stages(base, model, model, boosted, priced, priced, priced)
    found = places_by_step(decision(stages, indices(2, 1, 3), indices(1, 2, 3), indices(128, 0, 0, 0), ErrorCode.NONE))
    assert found.rank_changes(0) == ()  # it is dropped
    assert found.rank_changes(1) == (
        RankChange("eligibility", 2, 1),
        RankChange("events", 1, 2),
        RankChange("boosts", 2, 3),
        RankChange("cost", 3, 1),
        RankChange("pins", 1, 2),
    )
    assert found.rank_changes(2) == (
        RankChange("eligibility", 3, 2),
        RankChange("events", 2, 3),
        RankChange("boosts", 3, 2),
        RankChange("cost", 2, 3),
        RankChange("exploration", 3, 2),
        RankChange("pins", 2, 1),
    )
    assert found.rank_changes(3) == (
        RankChange("eligibility", 4, 3),
        RankChange("events", 3, 1),
        RankChange("cost", 1, 2),
        RankChange("exploration", 2, 3),
    )


def test_in_a_base_order_only_offers_after_a_dropped_one_change_places() -> None:
    stages = Stages.of_base(scores(np.nan, np.nan, np.nan))
    found = places_by_step(decision(stages, indices(1, 2), indices(), indices(16, 0, 0), ErrorCode.BAD_BASE_LOGITS))
    assert [found.rank_changes(index) for index in range(3)] == [
        (),
        (RankChange("eligibility", 2, 1),),
        (RankChange("eligibility", 3, 2),),
    ]


@pytest.mark.parametrize("index", [0, 1])
def test_an_offer_at_its_base_place_has_no_rank_changes(index: int) -> None:
    stages = Stages.of_base(scores(2, 1))
    found = places_by_step(decision(stages, indices(0, 1), indices(0, 1), None, ErrorCode.NONE))
    assert found.rank_changes(index) == ()
