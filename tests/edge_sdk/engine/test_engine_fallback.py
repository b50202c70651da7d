"""`rank` answers every request, with the base order where nothing else can be computed.

A base decision, context, weights or limit that cannot be used, and a model that fails or gives no number, all give the
base order, with an error code and a sentence that names the fix; nothing is raised and the log is unchanged.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from edge_sdk import BaseDecision, Engine, ErrorCode, Reason
from edge_sdk.model.session import BoundInputs
from tests.support.engine_acts import names, tape
from tests.support.scene import FUNDS, HOME, OFFERS

GOOD = [5.0, 4.0, 3.0, 2.0, 1.0, 0.0]
NAN = math.nan


def six(logits: object) -> BaseDecision:
    return BaseDecision(OFFERS, logits)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("base", "error", "fix"),
    [
        (BaseDecision([], []), ErrorCode.NO_CANDIDATES, "pass the offers to choose from"),
        (BaseDecision([f"x{n}" for n in range(4097)], [0.0] * 4097), ErrorCode.TOO_MANY_CANDIDATES, "keep the best"),
        (BaseDecision(["fund_a", ""], [2, 1]), ErrorCode.UNKNOWN_OFFER, "'' cannot be the name of an offer"),
        (BaseDecision(range(8), range(8, 0, -1)), ErrorCode.UNKNOWN_OFFER, "4 and 3 more"),  # type: ignore[arg-type]
        (BaseDecision(["fund_a", "\ud800"], [2, 1]), ErrorCode.UNKNOWN_OFFER, "pass the names that the cloud exported"),
        (
            BaseDecision(["x", "fund_a"], [2, 1], categories=["fund"]),
            ErrorCode.BAD_CATEGORIES,
            "1 categories for 2 offers",
        ),
        (BaseDecision(["fund_a", 7, None], [3, 2, 1]), ErrorCode.UNKNOWN_OFFER, "7, None"),  # type: ignore[list-item]
        (six([NAN, *GOOD[1:]]), ErrorCode.BAD_BASE_LOGITS, "fix the base decision where it is made"),
        (six([math.inf, *GOOD[1:]]), ErrorCode.BAD_BASE_LOGITS, "NaN or infinite"),
        (six([1e39, *GOOD[1:]]), ErrorCode.BAD_BASE_LOGITS, "NaN or infinite"),
        (six(GOOD[:5]), ErrorCode.BAD_BASE_LOGITS, "shape (5,); pass (6,) or (6, 2)"),
        (six(np.zeros((6, 3))), ErrorCode.BAD_BASE_LOGITS, "shape (6, 3); pass (6,) or (6, 2)"),
        (six(np.zeros((2, 6))), ErrorCode.BAD_BASE_LOGITS, "shape (2, 6)"),
        (six(1.0), ErrorCode.BAD_BASE_LOGITS, "shape ()"),
        (six(None), ErrorCode.BAD_BASE_LOGITS, "shape ()"),
        (six(["high", "low"] * 3), ErrorCode.BAD_BASE_LOGITS, "NaN or infinite"),
        (six([[1.0], [1.0, 2.0]] * 3), ErrorCode.BAD_BASE_LOGITS, "NaN or infinite"),
        (six([1j] * 6), ErrorCode.BAD_BASE_LOGITS, "NaN or infinite"),
    ],
)
def test_a_base_decision_that_cannot_be_scored(engine: Engine, base: BaseDecision, error: ErrorCode, fix: str) -> None:
    engine.record("click", item="fund_a")
    before = tape(engine)
    decision = engine.rank(base, context=HOME)
    assert decision.error is error
    assert fix in decision.detail
    assert names(decision) == list(base.offers)  # the base order: best first, as it was given
    assert all(Reason.BASE_ORDER in offer.reasons for offer in decision.offers)
    assert decision.trace.evidence is None
    assert tape(engine) == before
    assert engine.status().errors == 1


def test_an_unknown_offer_is_marked_in_the_base_order_too(engine: Engine) -> None:
    decision = engine.rank(BaseDecision(["x", "fund_a"], [1.0, 2.0]), context=HOME, limit=2.5)  # type: ignore[arg-type]
    assert [(offer.id, offer.reasons) for offer in decision.offers] == [
        ("fund_a", Reason.BASE_ORDER),
        ("x", Reason.BASE_ORDER | Reason.UNKNOWN_OFFER),
    ]


@pytest.mark.parametrize(
    ("context", "fix"),
    [
        ({"surface": "kitchen"}, "it declares {'surface': ['home', 'wealth'], 'stage': ['new', 'active']}"),
        ({"weather": "fine"}, "'weather'"),
        ({"surface": 5}, "it declares"),
        ({"surface": ["home"]}, "it declares"),
        ({3: "home", "x": "y"}, "it declares"),
        ("home", "it declares"),
        (7, "it declares"),
        (["surface"], "it declares"),
    ],
)
def test_an_unknown_context_gives_the_base_order(engine: Engine, context: object, fix: str) -> None:
    engine.record("click", item="fund_a")
    decision = engine.rank(BaseDecision(FUNDS, [0, 3, 1, 2]), context=context)  # type: ignore[arg-type]
    assert decision.error is ErrorCode.UNKNOWN_CONTEXT
    assert fix in decision.detail
    assert names(decision) == ["fund_b", "fund_d", "fund_c", "fund_a"]


@pytest.mark.parametrize(
    "weights",
    [
        {"click": NAN},
        {"click": math.inf},
        {"click": 1e39},
        {"click": 1.0, "joy": 1.0},
        {"click": "much"},
        {"click": None},
        {"click": [1.0, 2.0]},
        {"click": [1.0], "convert": [2.0]},
        ["click"],
        3,
    ],
)
def test_bad_weights_give_the_base_order(engine: Engine, weights: object) -> None:
    engine.record("click", item="fund_a")
    decision = engine.rank(BaseDecision(FUNDS, [0, 3, 1, 2]), context=HOME, weights=weights)  # type: ignore[arg-type]
    assert decision.error is ErrorCode.BAD_WEIGHTS
    assert "pass finite numbers for click, convert" in decision.detail
    assert names(decision) == ["fund_b", "fund_d", "fund_c", "fund_a"]


@pytest.mark.parametrize(("limit", "kept"), [(2.5, 2), (NAN, None), (math.inf, None), ("2", 2), ([1], None), (True, 1)])
def test_a_limit_that_is_no_whole_number_gives_the_base_order(engine: Engine, limit: Any, kept: int | None) -> None:
    engine.record("click", item="fund_a")
    decision = engine.rank(BaseDecision(FUNDS, [4, 3, 2, 1]), context=HOME, limit=limit)
    assert decision.error is ErrorCode.BAD_LIMIT
    assert "pass a whole number or None" in decision.detail
    assert names(decision) == list(FUNDS)[:kept]


@pytest.mark.parametrize("logits", [[3e38] * 4, [-3e38, 3e38, 3e38, -3e38]])
def test_logits_that_overflow_give_the_base_order(engine: Engine, logits: list[float]) -> None:
    decision = engine.rank(BaseDecision(FUNDS, logits), context=HOME)
    assert decision.error is ErrorCode.BAD_BASE_LOGITS
    assert names(decision) == list(FUNDS)
    assert all(np.isnan(offer.score) for offer in decision.offers)


def test_a_model_that_fails_gives_the_base_order(
    engine: Engine, base: BaseDecision, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.record("click", item="fund_a")

    def broken(_: BoundInputs) -> None:
        raise RuntimeError("no such kernel")

    with monkeypatch.context() as patch:
        patch.setattr(BoundInputs, "run", broken)
        decision = engine.rank(base, context=HOME)
    assert decision.error is ErrorCode.MODEL_FAILED
    assert decision.detail == "RuntimeError: no such kernel; report it with the model version"
    fused = base.logits @ np.array([1.0, 0.5], np.float32)
    assert names(decision) == [OFFERS[index] for index in np.argsort(-fused, kind="stable")]
    assert engine.rank(base, context=HOME).error is ErrorCode.NONE


def test_a_model_that_gives_nan_gives_the_base_order(
    engine: Engine, base: BaseDecision, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BoundInputs, "run", lambda call: call.logits.fill(np.nan))
    decision = engine.rank(base, context=HOME)
    assert decision.error is ErrorCode.MODEL_FAILED
    assert decision.detail == "the model gave NaN or infinity; export it again"
    assert decision.order.tolist() == decision.base_order.tolist()
