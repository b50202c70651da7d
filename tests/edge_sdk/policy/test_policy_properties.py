"""Each step of the policy changes exactly the values that its documentation names, under random policies."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from edge_sdk.base_decision import BaseDecision
from edge_sdk.policy.pipeline import PolicyResult, apply_policy
from edge_sdk.reasons import Reason
from edge_sdk.types import by_score
from tests.support.naive_policy import boosted, pinned
from tests.support.random_policies import ELIGIBILITY_RULES, EXPLORING, LIST_RULES, SCORE_RULES, Table, policies
from tests.support.random_settings import Case
from tests.support.rich_engine import rich as rich
from tests.support.scene import OFFERS, Small

STAGES = ("base", "model", "adjusted", "boosted", "priced", "bounded", "final")
seeds = st.integers(0, 2**32 - 1)
many = settings(max_examples=100, deadline=None)


def bits_of(result: PolicyResult) -> np.ndarray:
    """Reason bits (C,), zeros where all candidates are eligible."""
    bits = result.dropped_bits
    return np.zeros(len(result.stages.base), np.int64) if bits is None else bits


def alike(one: PolicyResult, other: PolicyResult) -> None:
    """Asserts that two results are equal to the bit."""
    for stage in STAGES:
        assert getattr(one.stages, stage).tobytes() == getattr(other.stages, stage).tobytes()
    assert bits_of(one).tolist() == bits_of(other).tolist()
    assert one.eligible_order.tolist() == other.eligible_order.tolist()


PINNED_PUSH: Table = {
    "caps": [{"per": "channel", "limit": 1, "channel": ["push"], "within": "hour"}],
    "pins": [{"category": ["coupon"], "channel": ["push"], "place": 1}, {"place": 1}],
    "diversity": 0.0625,
}


@given(policies(), seeds)
@example(PINNED_PUSH, 0)
@many
def test_a_part_does_not_change_earlier_steps(rich: Small, policy: Table, seed: int) -> None:
    """Without one part, all scores of earlier steps are the same to the bit."""
    case = Case(rich, seed)
    whole = case.result(policy)
    for part in policy:
        less = case.result({name: rule for name, rule in policy.items() if name != part})
        for stage in STAGES[: STAGES.index(before(part, policy)) + 1]:
            assert getattr(whole.stages, stage).tobytes() == getattr(less.stages, stage).tobytes(), (part, stage)
    if not policy:
        assert whole.stages.final is whole.stages.adjusted


EACH_ONCE = BaseDecision(OFFERS, [0.0] * len(OFFERS))
PLAIN_RULES = {name: rule for name, rule in ELIGIBILITY_RULES.items() if name not in ("quiet_hours", "budget")} | {
    name: SCORE_RULES[name] for name in ("weights", "boosts")
}  # caps of more than one offer together are not plain: they are assumed away


@given(policies(PLAIN_RULES), seeds)
@many
def test_the_plain_path_equals_the_whole_pipeline(rich: Small, policy: Table, seed: int) -> None:
    """Results and probabilities are equal to the bit."""
    case, random = Case(rich, seed), np.random.default_rng(seed)
    inputs = case.inputs(policy, EACH_ONCE)
    base, model = random.normal(size=(2, len(OFFERS))).astype(np.float32)
    assume(inputs.is_plain or inputs.evaluated.boost is not None)
    if not inputs.is_plain:
        return  # a boost applies: the plain path is not taken
    general = copy.copy(inputs.policy)
    general.is_plain = False
    short, long = (
        apply_policy(inputs, base, model, 1.0),
        apply_policy(inputs._replace(policy=general), base, model, 1.0),
    )
    alike(short, long)
    assert short.pinned == long.pinned == ()
    assert short.draw.first_propensity().tolist() == long.draw.first_propensity().tolist()
    assert short.draw.inclusion(3).tolist() == long.draw.inclusion(3).tolist()


@pytest.mark.parametrize(
    "policy",
    [
        {"quiet_hours": [{"from": "22:00", "until": "07:00"}]},
        {"budget": {"amount": 1.0, "period": "day"}},
        {"warm_up": {"min_events": 1, "full_events": 2}},
        {"model_bounds": {"max_rank_change": 2}},
        {"model_bounds": {"max_score_change": 0.5}},
        {"cost": {"weight": 0.5}},
        {"diversity": 0.25},
        {"minimum": {"score": 0.0, "retry_after_s": 0}},
        {"category_limits": {"*": 2}},
        {"exploration": {"mode": "softmax", "temperature": 1.0}},
        {"boosts": [{"add": 0.5}]},
        {"pins": [{"place": 1, "count": 1, "by": "user"}]},
        {"caps": [{"kind": "impression", "per": "category", "limit": 2, "within": "day"}]},
    ],
    ids=lambda policy: "-".join(policy),
)
def test_a_policy_with_another_step_is_not_plain(rich: Small, policy: Table) -> None:
    assert Case(rich, 1).inputs({}, EACH_ONCE).is_plain
    assert not Case(rich, 1).inputs(policy, EACH_ONCE).is_plain


def before(part: str, policy: Table) -> str:
    """The last stage of scores that a part of a policy does not change."""
    if part == "model_bounds":
        return "priced" if policy[part].get("max_score_change") is None else "model"
    # A pinned treatment is the one that stays, and has room on the slate first: who is eligible depends on pins.
    own = {"boosts": "adjusted", "cost": "boosted", "budget": "boosted", "diversity": "bounded", "pins": "priced"}
    # The rank bound is measured among eligible candidates. Warm-up and weights come before all stages.
    return own.get(part, "priced" if part in ELIGIBILITY_RULES else "final")


@given(policies(), seeds)
@many
def test_each_step_changes_scores_within_its_bounds(rich: Small, policy: Table, seed: int) -> None:
    case = Case(rich, seed)
    result, stages = case.result(policy), case.result(policy).stages
    by_index, inputs = case.candidates, case.inputs(policy)
    most = policy.get("model_bounds", {}).get("max_score_change")
    if most is not None:
        assert (np.abs(stages.adjusted - stages.base) <= np.float32(most) + np.float32(1e-6)).all()
    added = [sum(boosted(policy, case.ledger, case.moment, one)) for one in by_index]
    assert stages.boosted.tolist() == (stages.adjusted + np.array(added, np.float32)).tolist()
    costs = np.array([one.cost for one in by_index], np.float32)
    assert (stages.priced <= stages.boosted).all()
    assert stages.priced[costs == 0].tolist() == stages.boosted[costs == 0].tolist()
    assert inputs.spend.cost_weight >= 0
    # Diversity lowers only later candidates of a category among those that are eligible until then.
    assert (stages.final <= stages.bounded).all()
    early = Reason(sum({reason for reason in Reason if reason.name in BEFORE_SCORES}))
    suppressed = np.flatnonzero(bits_of(result) & int(early))
    assert stages.final[suppressed].tolist() == stages.bounded[suppressed].tolist()


BEFORE_SCORES = {
    "NOT_YET_VALID", "EXPIRED", "NOT_ELIGIBLE", "COOLING_DOWN", "BLOCKED", "HIDDEN", "QUIET", "OTHER_TREATMENT",
}  # fmt: skip


@given(policies(), seeds, LIST_RULES["minimum"])
@many
def test_the_minimum_score_suppresses_only_lower_scores(rich: Small, policy: Table, seed: int, minimum: Table) -> None:
    case = Case(rich, seed)
    without = case.result({name: rule for name, rule in policy.items() if name not in ("minimum", "exploration")})
    result = case.result({**policy, "minimum": minimum})
    before, after = bits_of(without), bits_of(result)
    is_out = (after & int(Reason.BELOW_MINIMUM)) > 0
    assert (result.stages.final[is_out] < minimum["score"]).all()
    late = int(Reason.CAPPED | Reason.OVER_BUDGET | Reason.CATEGORY_FULL)
    assert not (before[is_out] & ~late).any()
    eligible = result.eligible_order
    of_pins = np.array(result.pinned, np.int64)
    assert (result.stages.final[np.setdiff1d(eligible, of_pins)] >= minimum["score"]).all()
    assert not is_out[of_pins].any()


@given(policies(), seeds)
@many
def test_exploration_changes_neither_scores_nor_the_length_of_the_list(rich: Small, policy: Table, seed: int) -> None:
    """Only category limits may make other candidates eligible."""
    case = Case(rich, seed)
    drawn = case.result(policy)
    greedy = case.result({name: rule for name, rule in policy.items() if name != "exploration"})
    full = int(Reason.CATEGORY_FULL)
    assert drawn.stages.final.tobytes() == greedy.stages.final.tobytes()
    assert (bits_of(drawn) & ~full).tolist() == (bits_of(greedy) & ~full).tolist()
    assert len(drawn.eligible_order) == len(greedy.eligible_order)
    if "category_limits" not in policy:
        assert sorted(drawn.eligible_order.tolist()) == sorted(greedy.eligible_order.tolist())
    if "exploration" not in policy:
        alike(drawn, greedy)


NO_CANDIDATE_RULES: dict[str, Any] = {
    "eligibility": {"offers": ["unheard of"], "when": {"surface": ["home"]}},
    "blocks": {"category": ["unheard of"], "when": {}},
    "boosts": {"offers": ["unheard of"], "add": 1.0, "when": {}},
    "pins": {"offers": ["unheard of"], "place": 1, "count": 3},
    "caps": {"kind": ["note"], "per": "user", "limit": 1, "within": "total"},
    "cooldowns": {"kind": ["note"], "per": "offer", "rest_s": 60},
}


@given(policies(), seeds)
@many
def test_rules_without_candidates_change_nothing(rich: Small, policy: Table, seed: int) -> None:
    case = Case(rich, seed)
    more = {name: [*policy.get(name, []), rule] for name, rule in NO_CANDIDATE_RULES.items()}
    limits = {**policy.get("category_limits", {}), "unheard of": 1}
    alike(case.result(policy), case.result({**policy, **more, "category_limits": limits}))


@given(policies({**ELIGIBILITY_RULES, **LIST_RULES}), seeds)
@many
def test_a_model_weight_of_0_keeps_the_base_order_to_the_bit(rich: Small, policy: Table, seed: int) -> None:
    case = Case(rich, seed)
    inputs, base = case.inputs(policy), case.scores.base
    silent, other = (apply_policy(inputs, base, model, 0.0) for model in (case.scores.model, -case.scores.model))
    assert silent.stages.final.tobytes() == base.tobytes()
    assert silent.eligible_order.tolist() == other.eligible_order.tolist()
    if "pins" not in policy:
        ranked = by_score(base).tolist()
        assert [
            index for index in ranked if index in set(silent.eligible_order.tolist())
        ] == silent.eligible_order.tolist()


@given(policies(), seeds)
@many
def test_another_order_of_the_candidates_gives_the_same_answer(rich: Small, policy: Table, seed: int) -> None:
    case = Case(rich, seed)
    order = np.random.default_rng(seed).permutation(len(case.base.offers))
    one, other = case.result(policy), case.permuted(policy, order)
    for stage in STAGES:
        assert getattr(one.stages, stage)[order].tobytes() == getattr(other.stages, stage).tobytes()
    for mine, its in (
        (one.draw.first_propensity(), other.draw.first_propensity()),
        (one.draw.inclusion(case.limit), other.draw.inclusion(case.limit)),
    ):
        assert its == pytest.approx(mine[order], abs=1e-9)
    assert one.draw.slate.best_first.tolist() == order[other.draw.slate.best_first].tolist()
    if "exploration" not in policy:
        assert bits_of(one)[order].tolist() == bits_of(other).tolist()
        assert one.eligible_order.tolist() == order[other.eligible_order].tolist()


@given(policies({**SCORE_RULES, **LIST_RULES, **EXPLORING}), seeds)
@many
def test_pins_are_the_last_step(rich: Small, policy: Table, seed: int) -> None:
    """A pinned candidate is at its place, or at the end of a shorter list, for every draw."""
    case = Case(rich, seed)
    result, by_index = case.result(policy), case.candidates
    is_eligible = bits_of(result) & ~int(Reason.BELOW_MINIMUM | Reason.CATEGORY_FULL) == 0
    best = [by_index[index] for index in by_score(result.stages.priced).tolist() if is_eligible[index]]
    places = pinned(policy, case.ledger, case.moment, best)
    listed = [by_index[index] for index in result.eligible_order.tolist()]
    assert {by_index[index] for index in result.pinned} == set(places)
    for one, place in places.items():
        later = sum(other > place for other in places.values())
        assert listed.index(one) == min(place, len(listed) - 1 - later)
