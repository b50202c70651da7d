"""An explanation accounts for the score.

Its terms sum to the score, largest first, and name the events they come from; later events do not change it. What can
no longer be explained, because the log has gone round or was erased, is refused rather than explained wrongly.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import HOME, OFFERS, SettableClock, Small
from engine_acts import ACTS, Act, do, fresh, names
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk import BaseDecision, Decision, Engine
from edge_sdk.errors import ExplanationGoneError, InvalidValueError


def sums_up(decision: Decision, engine: Engine) -> None:
    explanations = engine.explain(decision)
    assert [explanation.offer for explanation in explanations] == names(decision)
    for explanation, offer in zip(explanations, decision.offers, strict=True):
        assert explanation.score == offer.score
        total = explanation.base + sum(term.value for term in explanation.terms)
        assert total == pytest.approx(explanation.score, abs=1e-5)
        sizes = [abs(term.value) for term in explanation.terms]
        assert sizes == sorted(sizes, reverse=True)


@given(acts=ACTS, later_ms=st.integers(0, 100_000))
@settings(max_examples=40, deadline=None)
def test_the_terms_sum_to_the_score(small: Small, acts: list[Act], later_ms: int) -> None:
    clock = SettableClock()
    folder, engine = fresh(small, clock)
    with folder, engine:
        do(engine, clock, acts)
        clock.now_ms += later_ms
        sums_up(engine.rank(BaseDecision(OFFERS, np.linspace(1, 0, 6)), context=HOME), engine)


@given(acts=ACTS, later=ACTS)
@settings(max_examples=20, deadline=None)
def test_an_explanation_does_not_change_with_later_events(small: Small, acts: list[Act], later: list[Act]) -> None:
    clock = SettableClock()
    folder, engine = fresh(small, clock)
    with folder, engine:
        do(engine, clock, acts)
        decision = engine.rank(BaseDecision(OFFERS, np.linspace(1, 0, 6)), context=HOME, weights={"convert": 1.0})
        now = engine.explain(decision)
        do(engine, clock, later)
        assert engine.explain(decision) == now


def test_an_explanation_names_the_events(engine: Engine, base: BaseDecision, clock: SettableClock) -> None:
    engine.record("click", item="fund_a")
    engine.record("view", item="never heard of")
    clock.now_ms += 12_000
    explanation = engine.explain(engine.rank(base, context=HOME))[0]
    assert {(term.label, term.event) for term in explanation.terms if term.event >= 0} == {
        ("view (an item not in the bundle), 12 s ago", 0),
        ("click fund_a, 12 s ago", 1),
    }


def test_without_events_the_explanation_is_the_base(engine: Engine) -> None:
    decision = engine.rank(BaseDecision(["fund_a"], [2.0]), context=HOME)
    (explanation,) = engine.explain(decision)
    assert (explanation.offer, explanation.base, explanation.score, explanation.terms) == ("fund_a", 3.0, 3.0, ())


def test_a_bare_base_order_has_no_explanation(engine: Engine) -> None:
    with pytest.raises(InvalidValueError, match="NO_CANDIDATES"):
        engine.explain(engine.rank(BaseDecision([], [])))


def test_what_the_log_no_longer_holds_cannot_be_explained(
    small: Small, clock: SettableClock, base: BaseDecision, tmp_path: Path
) -> None:
    with small.open(tmp_path / "s", clock, log_bytes=4096) as engine:
        for _ in range(100):
            engine.record("click", item="fund_a")
        decision = engine.rank(base, context=HOME)
        for _ in range(26):
            engine.record("view", item="fund_a")
        sums_up(decision, engine)
        engine.record("view", item="fund_a")
        with pytest.raises(ExplanationGoneError, match=r"open with a larger log_bytes"):
            engine.explain(decision)


def test_a_decision_from_before_an_erase_cannot_be_explained(engine: Engine, base: BaseDecision) -> None:
    engine.record("click", item="fund_a")
    decision = engine.rank(base, context=HOME)
    engine.erase()
    with pytest.raises(ExplanationGoneError):
        engine.explain(decision)
    engine.record("dismiss", item="fund_b")  # the log is as long as it was, and about something else
    with pytest.raises(ExplanationGoneError):
        engine.explain(decision)
