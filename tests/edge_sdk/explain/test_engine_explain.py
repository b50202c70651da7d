"""Explanations account for the scores.

The contributions sum to the score, largest first, and name their events. An explanation gives the reasons for an
offer's place or for its suppression, also as text. Later events do not change it, because a decision explains itself
from its evidence. A decision whose evidence was erased or released is refused.
"""

from __future__ import annotations

import builtins
import gc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk import BaseDecision, Decision, Engine, Reason
from edge_sdk.decision.evidence import Evidence
from edge_sdk.errors import ExplanationGoneError, InvalidValueError, NotLoadedError
from edge_sdk.explain.contribution import ContributionSource
from edge_sdk.limits import EXPLAINABLE_DECISIONS
from tests.support.engine_acts import ACTS, Act, do, fresh
from tests.support.scene import HOME, OFFERS, SettableClock, Small


def contributions_sum_up(decision: Decision, engine: Engine) -> None:
    explanations = engine.explain(decision)
    offers = (*decision.offers, *decision.dropped)
    assert [explanation.offer for explanation in explanations] == [offer.id for offer in offers]
    for explanation, offer in zip(explanations, offers, strict=True):
        assert (explanation.place, explanation.base_place) == (offer.place, offer.base_place)
        assert explanation.score == offer.score
        total = explanation.base + sum(contribution.value for contribution in explanation.contributions)
        assert total == pytest.approx(explanation.score, abs=1e-5)
        sizes = [abs(contribution.value) for contribution in explanation.contributions]
        assert sizes == sorted(sizes, reverse=True)


@given(acts=ACTS, later_ms=st.integers(0, 100_000))
@settings(max_examples=40, deadline=None)
def test_the_contributions_sum_to_the_score(small: Small, acts: list[Act], later_ms: int) -> None:
    clock = SettableClock()
    folder, engine = fresh(small, clock)
    with folder, engine:
        do(engine, clock, acts)
        clock.now_ms += later_ms
        contributions_sum_up(engine.rank(BaseDecision(OFFERS, np.linspace(1, 0, 6)), context=HOME), engine)


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
    assert {(c.label, c.event, c.kind, c.item, c.age_s) for c in explanation.contributions if c.event >= 0} == {
        ("view (an item not in the bundle), 12 s ago", 0, "view", "", 12.0),
        ("click fund_a, 12 s ago", 1, "click", "fund_a", 12.0),
    }
    assert {c.source for c in explanation.contributions if c.event >= 0} == {ContributionSource.EVENT}


def test_events_counted_before_the_window_are_contributions_of_their_counters(
    engine: Engine, base: BaseDecision
) -> None:
    engine.record("click", item="fund_a")
    for _ in range(8):  # the window's size
        engine.record("dismiss", item="coupon_a")
    contributions = engine.explain(engine.rank(base, context=HOME)).of("fund_a").contributions
    counted = {
        (found.label, found.kind, found.item) for found in contributions if found.source is ContributionSource.COUNTER
    }
    assert counted == {
        ("earlier click of the offer", "click", ""),
        ("earlier click of the offer's category", "click", "fund"),
    }


def test_the_text_of_a_decision(engine: Engine, clock: SettableClock) -> None:
    engine.record("click", item="fund_a")
    clock.now_ms += 300_000
    for _ in range(2):
        engine.record("impression", item="coupon_a")
    explanations = engine.explain(engine.rank(BaseDecision(["coupon_a", "fund_a"], [2.0, 1.0]), context=HOME))
    english, chinese = explanations.of("fund_a").text(), explanations.of("fund_a").text("zh")
    assert english.startswith("fund_a stands 1st (2nd in the cloud's order). Its way: 2nd → 1st as others left. ")
    assert "because you tapped fund_a 5 min ago" in english
    assert "5 分钟前您点击了 fund_a" in chinese
    dropped = explanations.of("coupon_a").text()
    assert dropped.startswith("coupon_a is not shown (1st in the cloud's order): shown often enough")
    assert ", for another 60 min. " in dropped


def test_an_offer_that_is_not_a_candidate_has_no_explanation(engine: Engine, base: BaseDecision) -> None:
    explanations = engine.explain(engine.rank(base, context=HOME))
    assert len(explanations) == 6
    assert [found.offer for found in explanations[4:]] == [explanations[4].offer, explanations[-1].offer]
    with pytest.raises(InvalidValueError, match="never heard of"):
        explanations.of("never heard of")


def test_without_events_the_explanation_is_the_base(engine: Engine) -> None:
    decision = engine.rank(BaseDecision(["fund_a"], [2.0]), context=HOME)
    (explanation,) = engine.explain(decision)
    assert (explanation.offer, explanation.base, explanation.score, explanation.contributions) == (
        "fund_a",
        3.0,
        3.0,
        (),
    )


def test_a_base_order_without_scores_has_no_explanation(engine: Engine) -> None:
    with pytest.raises(InvalidValueError, match="NO_CANDIDATES"):
        engine.explain(engine.rank(BaseDecision([], [])))


def test_a_decision_explains_itself_whatever_is_shown_and_recorded_since(
    small: Small, clock: SettableClock, base: BaseDecision, tmp_path: Path
) -> None:
    """Apps explain after `rank` and `shown`; the log wraps many times here."""
    with small.open(tmp_path / "s", clock, log_bytes=4096) as engine:
        for _ in range(200):
            engine.record("click", item="fund_a", value=2.0)
        engine.record("dismiss", item="fund_b")
        decision = engine.rank(base, context=HOME)
        before = engine.explain(decision)
        engine.shown(decision)
        for offer in decision.offers:
            engine.feedback(decision, offer.id, "click")
        for _ in range(500):
            clock.now_ms += 60_000
            engine.record("view", item="fund_a")
        assert engine.explain(decision) == before
        contributions_sum_up(decision, engine)
        assert any(found.suppressions for found in before)


def test_the_newest_decisions_that_an_app_keeps_can_be_explained(engine: Engine, base: BaseDecision) -> None:
    engine.record("click", item="fund_a")
    kept = [engine.rank(base, context=HOME) for _ in range(EXPLAINABLE_DECISIONS + 3)]
    for decision in (kept[3], kept[-1]):
        contributions_sum_up(decision, engine)
    for decision in kept[:3]:
        with pytest.raises(ExplanationGoneError):
            engine.explain(decision)


@pytest.mark.parametrize("kept", [1, 2, 5])
def test_many_kept_decisions_leave_little_evidence(engine: Engine, base: BaseDecision, kept: int) -> None:
    engine.record("click", item="fund_a")
    decisions = [engine.rank(base, context=HOME) for _ in range(kept * EXPLAINABLE_DECISIONS)]
    evidence = [decision.trace.evidence for decision in decisions]
    assert sum(one is not None and not one.is_gone for one in evidence) <= 1.5 * EXPLAINABLE_DECISIONS
    for decision in decisions[-EXPLAINABLE_DECISIONS:]:
        assert engine.explain(decision)


def test_dropped_decisions_release_their_evidence(engine: Engine, base: BaseDecision) -> None:
    of_other_engines = [found for found in gc.get_objects() if isinstance(found, Evidence)]
    first = engine.rank(base, context=HOME)
    for _ in range(3 * EXPLAINABLE_DECISIONS):
        engine.rank(base, context=HOME)
    contributions_sum_up(first, engine)
    evidence = [found for found in gc.get_objects() if isinstance(found, Evidence)]
    assert [found for found in evidence if found not in of_other_engines] == [first.trace.evidence]


def test_reasons_agree_with_explanations(engine: Engine) -> None:
    """An offer is raised, lowered or kept by events exactly as in the explanation's step "events"."""
    random, seen = np.random.default_rng(11), set()
    for number in range(60):
        engine.record(str(random.choice(["click", "dismiss", "view", "convert"])), item=str(random.choice(OFFERS)))
        decision = engine.rank(BaseDecision(OFFERS, random.normal(size=(6, 2))), context=HOME if number % 2 else {})
        explanations = engine.explain(decision)
        for offer, explanation in zip(decision.offers, explanations, strict=False):
            changes = [change for change in explanation.rank_changes if change.step == "events"]
            expected = Reason.KEPT
            if changes:
                expected = Reason.RAISED if changes[0].after < changes[0].before else Reason.LOWERED
            assert offer.reasons & (Reason.RAISED | Reason.LOWERED | Reason.KEPT) == expected
            seen.add(expected)
        for dropped in decision.dropped:
            assert not dropped.reasons & (Reason.RAISED | Reason.LOWERED | Reason.KEPT)
    assert seen == {Reason.RAISED, Reason.LOWERED, Reason.KEPT}


def test_a_decision_from_before_an_erase_cannot_be_explained(engine: Engine, base: BaseDecision) -> None:
    engine.record("click", item="fund_a")
    decision = engine.rank(base, context=HOME)
    engine.erase()
    with pytest.raises(ExplanationGoneError):
        engine.explain(decision)
    engine.record("dismiss", item="fund_b")  # the log has as many events as before, about another item
    with pytest.raises(ExplanationGoneError):
        engine.explain(decision)


@pytest.mark.parametrize("problem", [OSError(24, "Too many open files"), MemoryError(), SyntaxError("expected ':'")])
def test_a_module_that_cannot_be_loaded_is_named_whatever_the_import_raises(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: Exception
) -> None:
    real = builtins.__import__

    def importing(name: str, *rest: object) -> object:
        if name == "edge_sdk.explain.explainer":
            raise problem
        return real(name, *rest)  # type: ignore[arg-type]

    with small.open(tmp_path, SettableClock()) as engine:
        decision = engine.rank(BaseDecision(["fund_a"], [[1.0, 0.5]]), context=HOME)
        monkeypatch.setattr(builtins, "__import__", importing)
        with pytest.raises(NotLoadedError, match="free memory"):
            engine.explain(decision)
        monkeypatch.undo()
        assert len(engine.explain(decision)) == 1
