"""The engine's order follows base logits, weights and model without any error.

Without events the order is the base order, to the bit of the logits and of the scores, ties as they were given. Events,
time and context change the scores; the weights and the limit of a call take effect; a base decision copies its logits.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk import BaseDecision, Engine, ErrorCode, Reason
from edge_sdk.testing.white_box import internals
from tests.support.engine_acts import fresh, names
from tests.support.scene import FUNDS, HOME, OFFERS, SettableClock, Small


@given(data=st.data(), count=st.integers(1, 6), per_objective=st.booleans())
@settings(max_examples=80, deadline=None)
def test_without_events_the_order_is_the_base_order(
    small: Small, data: st.DataObject, count: int, per_objective: bool
) -> None:
    offers = data.draw(st.permutations(OFFERS))[:count]
    logit = st.one_of(st.sampled_from([-1.0, 0.0, 0.5]), st.floats(-50, 50, width=32))  # with ties
    size = count * 2 if per_objective else count
    flat = np.array(data.draw(st.lists(logit, min_size=size, max_size=size)), np.float32)
    base = BaseDecision(offers, flat.reshape(count, 2) if per_objective else flat)
    folder, engine = fresh(small, SettableClock())
    with folder, engine:
        decision = engine.rank(base, context=HOME)
    pairs = flat.reshape(count, 2) if per_objective else np.stack([flat, flat], axis=1)
    assert decision.error is ErrorCode.NONE
    assert decision.scores.tolist() == (pairs[:, 0] + pairs[:, 1] * np.float32(0.5)).tolist()
    assert decision.order.tolist() == decision.base_order.tolist()
    assert [offer.reasons for offer in decision.offers] == [Reason.KEPT] * count
    assert [(offer.place, offer.base_place) for offer in decision.offers] == [(n, n) for n in range(1, count + 1)]


def test_without_events_the_logits_are_the_base_logits_to_the_bit(engine: Engine, base: BaseDecision) -> None:
    engine.rank(base, context=HOME)
    assert internals(engine).session.bound_inputs(6).logits.tobytes() == base.logits.tobytes()


def test_ties_are_listed_in_the_order_given(engine: Engine) -> None:
    decision = engine.rank(BaseDecision(OFFERS, [0, 1, 0, 1, 0, 1]), context=HOME)
    assert names(decision) == ["coupon_b", "fund_b", "fund_d", "coupon_a", "fund_a", "fund_c"]


def test_events_change_the_scores(engine: Engine, base: BaseDecision, clock: SettableClock) -> None:
    before = engine.rank(base, context=HOME)
    engine.record("click", item="fund_b", value=10.0)
    after = engine.rank(base, context=HOME)
    assert (before.scores != after.scores).all()
    clock.now_ms += 600_000
    later = engine.rank(base, context=HOME)
    assert (later.scores != after.scores).all()
    elsewhere = engine.rank(base, context={"surface": "wealth", "stage": "new"})
    assert (elsewhere.scores != later.scores).all()


def test_weights_of_the_call_replace_those_of_the_bundle(engine: Engine) -> None:
    base = BaseDecision(["fund_a", "fund_b"], [[1.0, 0.0], [0.0, 1.5]])
    assert names(engine.rank(base, context=HOME)) == ["fund_a", "fund_b"]  # 1.0 against 0.75
    decision = engine.rank(base, context=HOME, weights={"convert": 2.0})
    assert names(decision) == ["fund_b", "fund_a"]
    assert decision.scores.tolist() == [0.0, 3.0]
    assert decision.base_order.tolist() == [1, 0]
    assert names(engine.rank(base, context=HOME, weights={})) == ["fund_a", "fund_b"]  # all 0: the order given


@pytest.mark.parametrize(("limit", "kept"), [(-1, 0), (0, 0), (1, 1), (4, 4), (10**30, 4), (None, 4)])
def test_a_limit_means_up_to(engine: Engine, limit: int | None, kept: int) -> None:
    decision = engine.rank(BaseDecision(FUNDS, [4, 3, 2, 1]), context=HOME, limit=limit)
    assert decision.error is ErrorCode.NONE
    assert names(decision) == list(FUNDS[:kept])


def test_a_base_decision_copies_its_logits() -> None:
    logits: npt.NDArray[np.float64] = np.array([1.0, 2.0])
    base = BaseDecision(["a", "b"], logits)
    logits[0] = 9.0
    assert base.logits.tolist() == [1.0, 2.0]
    assert base.logits.dtype == np.float32
    with pytest.raises(ValueError, match="read-only"):
        base.logits[0] = 9.0
