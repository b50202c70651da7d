"""Evidence: copies of a decision's inputs, overwritten by an erase also where the app keeps the decision."""

from __future__ import annotations

import gc
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from edge_sdk import BaseDecision, Engine
from edge_sdk.errors import ExplanationGoneError
from edge_sdk.testing.white_box import internals
from tests.support.scene import HOME, SettableClock


def test_decisions_between_two_events_share_one_copy_of_the_window(engine: Engine, base: BaseDecision) -> None:
    engine.record("click", item="fund_a")
    first, second = engine.rank(base, context=HOME), engine.rank(base, context=HOME)
    engine.record("click", item="fund_b")
    third = engine.rank(base, context=HOME)
    windows = [decision.trace.evidence.window for decision in (first, second, third) if decision.trace.evidence]
    assert windows[0] is windows[1]
    assert windows[1] is not windows[2]


@pytest.mark.parametrize("erasure", [{}, {"items": ["fund_a"]}, {"before": 1 << 41}])
def test_an_erase_overwrites_the_evidence_of_decisions_that_the_app_keeps(
    engine: Engine, base: BaseDecision, clock: SettableClock, erasure: dict[str, object]
) -> None:
    for _ in range(3):
        engine.record("impression", item="fund_a", value=7.0)
    engine.record("dismiss", item="fund_b")
    clock.now_ms += 1000
    decision = engine.rank(base, context=HOME)
    evidence = decision.trace.evidence
    assert evidence is not None
    assert evidence.free_at_ms is not None
    window, counters, free_at_ms = evidence.window, evidence.counters, evidence.free_at_ms
    assert any(column.any() for column in window.read(clock.now_ms))
    assert counters.any()
    assert free_at_ms.any()

    engine.erase(**erasure)  # type: ignore[arg-type]

    item, kind, _, value = window.read(clock.now_ms)
    assert [column.any() for column in (item, kind, value, counters, free_at_ms)] == [False] * 5
    assert evidence.is_gone
    assert evidence.user_states == ()
    with pytest.raises(ExplanationGoneError):
        engine.explain(decision)
    assert not engine.is_still_valid(decision)


def test_an_erase_of_nothing_ends_no_explanation(engine: Engine, base: BaseDecision) -> None:
    engine.record("click", item="fund_a")
    decision = engine.rank(base, context=HOME)
    before = engine.explain(decision)
    assert (engine.erase(items=[]), engine.erase(kinds=[])) == (0, 0)
    assert engine.explain(decision) == before


def test_another_engine_explains_no_decision_of_this_one(engine: Engine, base: BaseDecision) -> None:
    decision = engine.rank(base, context=HOME)
    internals(engine).maker.forget()
    with pytest.raises(ExplanationGoneError):
        engine.explain(decision)


@pytest.mark.parametrize("context", [HOME, {"surface": "nowhere"}], ids=["by the model", "in base order"])
def test_a_decision_itself_has_no_time_of_an_event(engine: Engine, base: BaseDecision, context: dict[str, str]) -> None:
    """When a cap frees an offer tells when its events were: only evidence has that, and `erase` reaches evidence."""
    engine.record("dismiss", item="fund_b")
    decision = engine.rank(base, context=context)
    assert decision.dropped
    around: list[object] = [decision.trace.result, decision.trace.costs, decision.trace.base_order]
    seen, arrays = set[int](), list[Any]()
    while around:
        one = around.pop()
        if id(one) not in seen and not isinstance(one, type | ModuleType):
            seen.add(id(one))
            around += gc.get_referents(one)
            arrays += [one] if isinstance(one, np.ndarray) and one.size else []
    assert len(arrays) > 3
    assert max(float(array.max()) for array in arrays) < 1e6  # places, bits and scores, no time in ms or s
