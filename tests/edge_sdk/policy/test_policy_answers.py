"""Explanations and retry times of an engine under random policies, and equal decisions for equal requests."""

from __future__ import annotations

import shutil
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk import BaseDecision, Decision, Engine, ErrorCode, Reason
from edge_sdk.explain.explanation import Explanation
from edge_sdk.policy.suppressions import Suppression
from edge_sdk.testing.white_box import internals
from tests.support.random_policies import ELIGIBILITY_RULES, EVERY_RULE, SHOWN, Table, policies
from tests.support.rich_engine import opened, signed, treatments, under
from tests.support.rich_engine import rich as rich
from tests.support.scene import HOME, NOW_MS, OFFERS, SettableClock, Small

seeds = st.integers(0, 2**32 - 1)
BASE = BaseDecision(OFFERS, np.arange(6.0))
MONTH_MS = 30 * 86_400_000
many = settings(max_examples=60, deadline=None)
WHY_NOT = Reason(sum(reason for reason in Reason if 16 <= reason <= Reason.OTHER_TREATMENT and reason != 512))
STEPS = ("eligibility", "events", "score_bound", "boosts", "cost", "rank_bound", "diversity", "exploration", "pins")


class Asked:
    """A user with some hours of events, and one request. Ranking it again changes only the decision's id."""

    def __init__(self, engine: Engine, clock: SettableClock, seed: int) -> None:
        self.engine, self.clock = engine, clock
        random = np.random.default_rng(seed)
        for _ in range(int(random.integers(0, 20))):
            clock.now_ms += int(random.integers(0, 3_000_000))
            kind = str(random.choice(["view", "click", "dismiss", "convert", *SHOWN.values()]))
            engine.record(kind, item=str(random.choice([*OFFERS, ""])), value=float(random.integers(0, 3)) / 4)
        clock.now_ms += int(random.integers(0, 3_000_000))
        self.base = treatments(random)
        self.rank: dict[str, Any] = {"limit": int(random.integers(0, 5)) if random.random() < 0.3 else None}
        if random.random() < 0.8:
            self.rank["context"] = {"surface": str(random.choice(["home", "wealth"]))}
        if random.random() < 0.7:
            self.rank["attributes"] = {"balance": float(random.normal(100, 100))}

    def at(self, now_ms: int) -> Decision:
        self.clock.now_ms = now_ms
        decision = self.engine.rank(self.base, **self.rank)
        assert not decision.error, decision.detail
        return decision


@given(policies(), seeds)
@many
def test_every_explanation_adds_up_and_names_every_reason(rich: Small, policy: Table, seed: int) -> None:
    clock = SettableClock()
    with under(rich, policy, clock) as engine:
        asked = Asked(engine, clock, seed)
        decision = asked.at(clock.now_ms)
        explanations = engine.explain(decision)
    assert len(explanations) == len(decision.offers) + len(decision.dropped)
    for found, ranked in zip(explanations, (*decision.offers, *decision.dropped), strict=True):
        assert found.base + sum(one.value for one in found.contributions) == pytest.approx(found.score, abs=1e-5)
        leads_to_its_place(found)
        bits = ranked.reasons & WHY_NOT
        assert {suppression.reason for suppression in found.suppressions} == {
            reason for reason in Reason if reason & bits
        }
        assert bool(bits) == (ranked.place == 0)


def leads_to_its_place(found: Explanation) -> None:
    """Rank changes lead from the base place to the place, in the order of the steps."""
    at = found.base_place
    for change in found.rank_changes:
        assert change.before == at != change.after
        at = change.after
    assert found.place in (0, at)
    steps = [STEPS.index(change.step) for change in found.rank_changes]
    assert steps == sorted(set(steps))


# ---- until when ----


@given(policies(ELIGIBILITY_RULES), seeds)
@many
def test_each_suppression_ends_at_its_end(rich: Small, policy: Table, seed: int) -> None:
    """One millisecond before its end it is in force; at its end, without another event, it is not."""
    clock = SettableClock()
    with under(rich, policy, clock) as engine:
        asked = Asked(engine, clock, seed)
        start_ms = clock.now_ms
        for index, suppressions in suppressions_of(asked, start_ms).items():
            for suppression in suppressions:
                if suppression.until_ms is None or not suppression.rule:
                    continue
                assert suppression.until_ms > start_ms
                assert named(suppression) in {
                    named(one) for one in suppressions_of(asked, suppression.until_ms - 1).get(index, ())
                }
                after = suppressions_of(asked, suppression.until_ms).get(index, ())
                assert named(suppression) not in {named(one) for one in after}


def suppressions_of(asked: Asked, now_ms: int) -> dict[int, tuple[Suppression, ...]]:
    """The suppressions of each dropped candidate at a time, by candidate index."""
    decision = asked.at(now_ms)
    index_of = {
        pair: index for index, pair in enumerate(zip(asked.base.offers, asked.base.channels or (), strict=True))
    }
    return {
        index_of[found.offer, found.channel]: found.suppressions
        for found in asked.engine.explain(decision)
        if not found.place
    }


def named(suppression: Suppression) -> tuple[Reason, str]:
    return suppression.reason, suppression.rule


@given(EVERY_RULE["budget"], seeds)
@many
def test_a_budget_is_over_until_its_period_is(rich: Small, budget: Table, seed: int) -> None:
    """An offer that costs more than the whole budget is suppressed without an end."""
    clock = SettableClock()
    with under(rich, {"budget": budget}, clock) as engine:
        asked = Asked(engine, clock, seed)
        decision = asked.at(clock.now_ms)
        assert decision.trace.evidence is not None
        left, costs = decision.trace.evidence.inputs.spend.units_left, decision.trace.costs.tolist()
        for index, suppressions in suppressions_of(asked, clock.now_ms).items():
            for suppression in (one for one in suppressions if one.reason is Reason.OVER_BUDGET):
                assert (suppression.until_ms is None) == (costs[index] > budget["amount"])
                if suppression.until_ms is not None and round(costs[index] * 1_000_000) > left:
                    assert is_over(asked, suppression.until_ms - 1, index)
                    later = asked.at(suppression.until_ms)
                    assert later.trace.evidence is not None
                    assert later.trace.evidence.inputs.spend.units_left == round(budget["amount"] * 1_000_000)


def is_over(asked: Asked, now_ms: int, index: int) -> bool:
    return Reason.OVER_BUDGET in {suppression.reason for suppression in suppressions_of(asked, now_ms)[index]}


# ---- when to rank again ----


@given(policies(ELIGIBILITY_RULES), seeds)
@many
def test_retry_at_is_the_first_moment_with_an_eligible_candidate(rich: Small, policy: Table, seed: int) -> None:
    clock = SettableClock()
    with under(rich, policy, clock) as engine:
        asked = Asked(engine, clock, seed)
        decision = asked.at(clock.now_ms)
        retry_ms = decision.retry_at_ms
        if not decision.is_empty:
            assert retry_ms is None
            return
        until_ms = retry_ms or decision.time_ms + MONTH_MS
        assert until_ms > decision.time_ms
        between = np.random.default_rng(seed).integers(decision.time_ms, until_ms, 40).tolist()
        for at_ms in [until_ms - 1, *between]:
            assert asked.at(at_ms).is_empty
        if retry_ms is not None:
            assert not asked.at(retry_ms).is_empty


def test_retry_at_is_after_a_suppression_that_another_one_follows(rich: Small) -> None:
    """The cap frees the offers at night, in quiet hours, so the first moment is in the morning."""
    policy = {
        "caps": [{"kind": ["impression"], "per": "user", "limit": 1, "within_s": 12 * 3600}],
        "quiet_hours": [{"from": "22:00", "until": "08:00"}],
    }
    clock = SettableClock(NOW_MS)  # 12:00
    with under(rich, policy, clock) as engine:
        engine.record("impression", item="fund_a")
        clock.now_ms += 60_000
        decision = engine.rank(BASE, context=HOME)
    assert decision.is_empty
    assert decision.retry_at_ms == NOW_MS + 20 * 3_600_000


def test_retry_at_follows_a_stage_of_the_device_also_in_the_base_order(rich: Small) -> None:
    policy = {"eligibility": [{"when": {"stage": ["new"]}}]}
    clock = SettableClock(NOW_MS)
    with under(rich, policy, clock) as engine:
        for _ in range(3):
            engine.record("click", item="fund_a")
            engine.record("convert", item="fund_a")
        clock.now_ms += 1000
        asked = engine.rank(BASE, context={"surface": "home"})
        broken = engine.rank(BaseDecision(BASE.offers, [np.nan] * len(BASE.offers)), context={"surface": "home"})
        with_stage = engine.rank(BaseDecision(BASE.offers, [np.nan] * len(BASE.offers)), context={"stage": "active"})
    assert (asked.error, broken.error) == (ErrorCode.NONE, ErrorCode.BAD_BASE_LOGITS)
    assert asked.is_empty
    assert asked.retry_at_ms == broken.retry_at_ms == NOW_MS + 2 * 86_400_000
    assert with_stage.retry_at_ms is None  # the app passed the stage, and time does not change it


def test_an_offer_that_costs_more_than_the_whole_budget_is_never_eligible(rich: Small) -> None:
    policy = {"budget": {"amount": 0.5, "period": "day", "pacing_gain": 1.0}}
    clock = SettableClock(NOW_MS)
    dear = BaseDecision(OFFERS, np.arange(6.0), costs=[1.0] * 6)
    with under(rich, policy, clock) as engine:
        decision = engine.rank(dear, context=HOME)
        assert decision.is_empty
        assert decision.retry_at_ms is None
        assert engine.explain(decision)[0].suppressions == (Suppression(Reason.OVER_BUDGET, "", None),)
        engine.record("impression", item="fund_a", value=0.25)
        some = engine.rank(BaseDecision(OFFERS, np.arange(6.0), costs=[0.5] * 6), context=HOME)
        assert some.retry_at_ms == NOW_MS + 12 * 3_600_000


def test_a_budget_of_0_keeps_free_offers_eligible(rich: Small) -> None:
    policy = {"cost": {"weight": 1.0}, "budget": {"amount": 0, "period": "day", "pacing_gain": 0.5}}
    with under(rich, policy, SettableClock()) as engine:
        decision = engine.rank(BaseDecision(OFFERS, np.arange(6.0), costs=[0, 1, 0, 1, 0, 1]), context=HOME)
    assert not decision.error
    assert {offer.id for offer in decision.offers} == {"coupon_a", "fund_a", "fund_c"}


def test_an_overspent_budget_keeps_free_offers_eligible(rich: Small) -> None:
    """A new policy may allow less than the spending under the former one."""
    with under(rich, {"budget": {"amount": 9, "period": "day"}}, SettableClock()) as engine:
        engine.record("impression", item="fund_a", value=5.0)
        engine.install_policy(signed({"budget": {"amount": 1, "period": "day"}}, 2))
        decision = engine.rank(BaseDecision(OFFERS, np.arange(6.0), costs=[0, 1, 0, 1, 0, 1]), context=HOME)
    assert {offer.id for offer in decision.offers} == {"coupon_a", "fund_a", "fund_c"}


@pytest.mark.parametrize("rule", ["caps", "budget"])
def test_a_list_without_places_suppresses_no_candidate(rich: Small, rule: str) -> None:
    policy: Table = {
        "caps": [{"kind": ["impression"], "per": "user", "limit": 3, "within": "day"}],
        "budget": {"amount": 3, "period": "day"},
    }
    with under(rich, {rule: policy[rule]}, SettableClock()) as engine:
        engine.record("impression", item="fund_a", value=1.0)
        decision = engine.rank(BASE, context=HOME, limit=0)
    assert (decision.offers, decision.dropped) == ((), ())
    assert not decision.is_empty


# ---- decisions that are not shown, and equal requests ----


@given(policies(), seeds)
@settings(max_examples=10, deadline=None)
def test_a_decision_that_is_not_shown_is_not_counted(rich: Small, policy: Table, seed: int) -> None:
    clock = SettableClock()
    with under(rich, policy, clock) as engine:
        asked = Asked(engine, clock, seed)
        events, memory = engine.status().events, internals(engine).state.memory.dump()
        first = asked.at(clock.now_ms)
        for _ in range(1000):
            last = asked.at(clock.now_ms)
        engine.shown(last, count=0)
        assert engine.status().events == events
        assert internals(engine).state.memory.dump() == memory
    if "exploration" not in policy:
        assert answer(last)[1:] == answer(first)[1:]


def answer(decision: Decision) -> tuple[Any, ...]:
    """The id, and everything else of a decision to the bit."""
    result = decision.trace.result
    own = (decision.policy_bits, decision.propensity, decision.inclusion)
    arrays = (*result.stages, result.eligible_order, result.dropped_bits, result.draw.order, *own)
    raw = [None if array is None else array.tobytes() for array in arrays]
    return decision.id, *raw, result.pinned, decision.retry_at_ms


@given(policies(), seeds)
@many
def test_a_copy_of_the_folder_answers_the_same_to_the_bit(
    rich: Small, tmp_path_factory: pytest.TempPathFactory, policy: Table, seed: int
) -> None:
    """The next opening of the folder and the one after it also give the same decisions."""
    folder, clock = tmp_path_factory.mktemp("folders"), SettableClock()
    with opened(rich, folder / "a", clock, seed=seed) as engine:
        engine.install_policy(signed(policy))
        asked = Asked(engine, clock, seed)
        copied_at_ms = clock.now_ms
        shutil.copytree(folder / "a", folder / "killed")
        answers = [answer(asked.at(clock.now_ms))[1:] for _ in range(3)]
    shutil.copytree(folder / "a", folder / "closed")
    again = {}
    for name in ("killed", "closed", "a"):
        with opened(rich, folder / name, clock, seed=seed) as asked.engine:
            assert asked.engine.status().policy_version == 1
            again[name] = [answer(asked.at(copied_at_ms)) for _ in range(3)]
    assert again["closed"] == again["a"]
    if "exploration" not in policy:
        assert [one[1:] for one in again["a"]] == [one[1:] for one in again["killed"]] == answers
