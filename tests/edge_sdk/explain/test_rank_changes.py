"""From the base place to the final one: every step that changed a place, and no other."""

from __future__ import annotations

import numpy as np
import pytest

from edge_sdk import BaseDecision, Decision, ErrorCode
from edge_sdk.explain.rank_changes import Move, stages_places
from edge_sdk.policy.exploration import Draw
from edge_sdk.policy.rules import Exploration
from edge_sdk.policy.slate import Slate
from edge_sdk.policy.stages import Stages
from edge_sdk.types import F32, I64, by_score


def indices(*numbers: int) -> I64:
    return np.array(numbers, np.int64)


def scores(*numbers: float) -> F32:
    return np.array(numbers, np.float32)


def decision(stages: Stages, standing: I64, drawn: I64, dropped: I64 | None, error: ErrorCode) -> Decision:
    names = "abcd"[: len(stages.base)]
    return Decision(
        id=1,
        time_ms=0,
        scene="small",
        model_version="",
        policy_version=0,
        error=error,
        detail="",
        base=BaseDecision(names, stages.base),
        stages=stages,
        base_ranking=by_score(stages.base),
        dropped_bits=dropped,
        standing=standing,
        pinned=(),
        draw=Draw(Exploration(), stages.final, Slate(drawn, (), (), None, None), drawn),
        costs=scores(*[0.0] * len(names)),
        known=None,
        limit=None,
        again_at_ms=None,
        trace=None,
    )


def test_each_step_that_moved_an_offer() -> None:
    base, model, boosted, priced = scores(4, 3, 2, 1), scores(4, 3, 2, 9), scores(4, 3, 8, 9), scores(4, 9.5, 8, 9)
    stages = Stages(base, model, model, boosted, priced, priced, priced)
    found = stages_places(decision(stages, indices(2, 1, 3), indices(1, 2, 3), indices(128, 0, 0, 0), ErrorCode.NONE))
    assert found.moves(0) == ()  # it does not stand
    assert found.moves(1) == (
        Move("standing", 2, 1), Move("events", 1, 2), Move("boosts", 2, 3), Move("cost", 3, 1), Move("pins", 1, 2)
    )  # fmt: skip
    assert found.moves(2) == (
        Move("standing", 3, 2), Move("events", 2, 3), Move("boosts", 3, 2), Move("cost", 2, 3),
        Move("exploration", 3, 2), Move("pins", 2, 1),
    )  # fmt: skip
    assert found.moves(3) == (
        Move("standing", 4, 3), Move("events", 3, 1), Move("cost", 1, 2), Move("exploration", 2, 3)
    )  # fmt: skip


def test_a_bare_base_order_moves_only_what_stands_behind_a_dropped_one() -> None:
    stages = Stages.of_base(scores(np.nan, np.nan, np.nan))
    found = stages_places(decision(stages, indices(1, 2), indices(), indices(16, 0, 0), ErrorCode.BAD_BASE_LOGITS))
    assert [found.moves(index) for index in range(3)] == [(), (Move("standing", 2, 1),), (Move("standing", 3, 2),)]


@pytest.mark.parametrize("index", [0, 1])
def test_who_never_moved_has_no_moves(index: int) -> None:
    stages = Stages.of_base(scores(2, 1))
    assert stages_places(decision(stages, indices(0, 1), indices(0, 1), None, ErrorCode.NONE)).moves(index) == ()
