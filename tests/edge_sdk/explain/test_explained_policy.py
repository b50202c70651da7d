"""Explanations under a policy with every sort of rule.

The contributions sum to the score, the rank changes lead from the base place to the place, and each dropped offer names
the rules that suppress it and until when.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk import BaseDecision, Engine, Reason
from edge_sdk.explain.contribution import ContributionSource
from edge_sdk.explain.explainer import Explanations
from edge_sdk.explain.explanation import Explanation
from edge_sdk.explain.messages import Messenger
from edge_sdk.policy.suppressions import Suppression
from edge_sdk.testing.white_box import internals
from tests.support.engine_acts import ACTS, Act, do
from tests.support.scene import NOW_MS, OFFERS, SCENE, VALID_UNTIL_MS, SettableClock, Small, packed

MINUTE_MS, DAY_MS = 60_000, 86_400_000
RULES: dict[str, Any] = {
    **SCENE,
    "variants": ["warm"],
    "channels": {"push": {"shown": "note", "cost": 0.5}},
    "attributes": {"names": ["balance"]},
    "machines": [
        {
            "name": "stage",  # gives the context field of this name
            "states": ["new", "active"],
            "steps": [
                {"from": "new", "on": "convert", "to": "active"},
                {"from": "active", "after_s": 7200, "to": "new"},
            ],
        },
        {
            "name": "holding",
            "per": "offer",
            "states": ["before", "held", "after"],
            "steps": [
                {"on": "convert", "to": "held"},
                {"from": "held", "after_s": 600, "to": "after"},
                {"from": "after", "after_s": 300, "to": "before"},
            ],
        },
    ],
    "policy": {
        "eligibility": [
            {"name": "coupons_for_new", "category": "coupon", "when": {"stage": ["new"]}},
            {"name": "only_before", "offers": "fund_b", "when": {"holding": ["before"]}},
            {"name": "rich_only", "offers": "fund_c", "when": {"balance": {"at_least": 100}}},
        ],
        "caps": [
            {"name": "hourly", "kind": "impression", "limit": 2, "within_s": 3600},
            {"name": "twice_ever", "kind": "click", "limit": 2, "within": "total"},
        ],
        "cooldowns": [{"name": "after_dismiss", "kind": "dismiss", "rest_s": 1800}],
        "quiet_hours": [{"name": "night", "channel": "push", "from": "22:00", "until": "08:00"}],
        "boosts": [
            {"name": "campaign", "category": "fund", "add": 0.3},
            {"name": "home_coupons", "category": "coupon", "add": -0.2, "when": {"surface": "home"}},
            {"name": "held_funds", "category": "fund", "add": 0.7, "when": {"holding": "held"}},
        ],
        "warm_up": {"min_events": 2, "full_events": 5},
        "model_bounds": {"max_rank_change": 2, "max_score_change": 1.5},
        "cost": {"weight": 0.8},
        "diversity": 0.25,
        "pins": [{"name": "d_first", "offers": "fund_d", "place": 1, "when": {"surface": "wealth"}}],
        "exploration": {"mode": "softmax", "temperature": 0.5},
    },
    "texts": {
        "en": {
            "variant.warm": "{event} {age} ago; {offer} is {state:holding}, you are {state:stage}: {attribute:balance}",
            "variant.warm.plain": "{offer} is {state:holding}",
            "state.holding.held": "yours",
        },
        "zh": {"variant.warm": "{age}前{event}:{offer}"},
    },
}
CHANNELS = ("", "push", "", "push", "", "")
BASE = BaseDecision(OFFERS, np.linspace(1, 0, 6), channels=CHANNELS)


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Small:
    """The small scene under these rules."""
    return packed(tmp_path_factory.mktemp("rules"), RULES)


@pytest.fixture
def engine(rules: Small, clock: SettableClock, tmp_path: Path) -> Iterator[Engine]:
    with opened(rules, tmp_path / "state", clock) as engine:
        yield engine


def opened(rules: Small, state: Path, clock: SettableClock) -> Engine:
    keys = [rules.public_key]
    return Engine.open(state, bundle=rules.bundle, trusted_keys=keys, clock=clock, utc_offset_s=lambda _: 3600, seed=3)


def suppressions(engine: Engine, **rank: Any) -> dict[str, tuple[Suppression, ...]]:
    decision = engine.rank(BASE, **{"context": {"surface": "home"}, "attributes": {"balance": 500.0}, **rank})
    assert not decision.error, decision.detail
    return {found.offer: found.suppressions for found in engine.explain(decision) if not found.place}


@given(acts=ACTS, surface=st.sampled_from(["home", "wealth"]), limit=st.sampled_from([None, 2]))
@settings(max_examples=60, deadline=None)
def test_every_explanation_adds_up(
    rules: Small, tmp_path_factory: pytest.TempPathFactory, acts: list[Act], surface: str, limit: int | None
) -> None:
    clock = SettableClock()
    with opened(rules, tmp_path_factory.mktemp("s") / "state", clock) as engine:
        do(engine, clock, acts)
        decision = engine.rank(BASE, context={"surface": surface}, limit=limit)
        explanations = engine.explain(decision)
        expected = [(offer.id, offer.place) for offer in (*decision.offers, *decision.dropped)]
        assert [(found.offer, found.place) for found in explanations] == expected
        for found in explanations:
            adds_up(found)
            leads_to_its_place(found)
            assert bool(found.suppressions) == (found.place == 0)
            assert all(found.text(language) for language in ("en", "zh"))


def adds_up(found: Explanation) -> None:
    assert found.base + sum(one.value for one in found.contributions) == pytest.approx(found.score, abs=1e-5)
    for top in (0, 2, 100):
        short = found.named(top)
        assert found.base + sum(one.value for one in short) == pytest.approx(found.score, abs=1e-5)
        assert sum(one.source is ContributionSource.EVENT for one in short) <= top + 1


def leads_to_its_place(found: Explanation) -> None:
    at = found.base_place
    for change in found.rank_changes:
        assert change.before == at
        assert change.after != at
        at = change.after
    assert not found.place or at == found.place


def test_rules_that_suppress_an_offer_are_named_with_their_end(engine: Engine, clock: SettableClock) -> None:
    for kind, item in [("impression", "fund_a"), ("impression", "fund_a"), ("click", "fund_d"), ("click", "fund_d")]:
        engine.record(kind, item=item)
    engine.record("dismiss", item="coupon_a")
    clock.now_ms += MINUTE_MS
    assert suppressions(engine) == {
        "fund_a": (Suppression(Reason.CAPPED, "hourly", NOW_MS + 60 * MINUTE_MS),),
        "fund_d": (Suppression(Reason.CAPPED, "twice_ever", None),),
        "coupon_a": (Suppression(Reason.COOLING_DOWN, "after_dismiss", NOW_MS + 30 * MINUTE_MS),),
    }


def test_a_machine_that_sets_a_context_field_ends_a_suppression(engine: Engine, clock: SettableClock) -> None:
    engine.record("convert", item="fund_b")
    clock.now_ms += MINUTE_MS
    not_eligible = Reason.NOT_ELIGIBLE
    by_machine = Suppression(not_eligible, "coupons_for_new", NOW_MS + 120 * MINUTE_MS)
    assert suppressions(engine) == {
        "coupon_a": (by_machine,),
        "coupon_b": (by_machine,),
        "fund_b": (Suppression(not_eligible, "only_before", NOW_MS + 15 * MINUTE_MS),),  # held, then after, then before
    }
    with_stage = suppressions(engine, context={"surface": "home", "stage": "active"})
    assert with_stage["coupon_a"] == (
        Suppression(not_eligible, "coupons_for_new", None),
    )  # the app passed the stage: time does not change it


def test_a_missing_attribute_suppresses_without_an_end(engine: Engine) -> None:
    assert suppressions(engine, attributes={})["fund_c"] == (Suppression(Reason.NOT_ELIGIBLE, "rich_only", None),)
    assert "fund_c" not in suppressions(engine)


def test_quiet_hours_end_by_the_local_clock(engine: Engine, clock: SettableClock) -> None:
    clock.now_ms += 9 * 60 * MINUTE_MS + 30 * MINUTE_MS  # 21:30 UTC, 22:30 there
    night = Suppression(Reason.QUIET, "night", NOW_MS + 19 * 60 * MINUTE_MS)  # 07:00 UTC
    assert suppressions(engine) == {"coupon_b": (night,), "fund_b": (night,)}
    clock.now_ms = NOW_MS + 19 * 60 * MINUTE_MS
    assert suppressions(engine) == {}


def test_dates(engine: Engine, clock: SettableClock) -> None:
    clock.now_ms = VALID_UNTIL_MS
    assert suppressions(engine)["fund_d"] == (Suppression(Reason.EXPIRED, "", None),)
    clock.now_ms = NOW_MS - 10 * DAY_MS
    assert suppressions(engine)["fund_d"] == (Suppression(Reason.NOT_YET_VALID, "", 1_768_003_200_000),)


def test_boosts_and_costs_are_contributions_of_their_own(engine: Engine) -> None:
    explanations = engine.explain(engine.rank(BASE, context={"surface": "home"}))
    of_boosts = {ContributionSource.BIAS, ContributionSource.CONTEXT}
    added = {
        found.offer: [
            (one.label, one.source, round(one.value, 6)) for one in found.contributions if one.source in of_boosts
        ]
        for found in explanations
    }
    assert added["fund_b"] == [("campaign", ContributionSource.BIAS, 0.3)]
    assert added["coupon_a"] == [("home_coupons", ContributionSource.CONTEXT, -0.2)]
    costs = {found.offer: [one.value for one in found.contributions if one.label == "cost"] for found in explanations}
    assert costs["coupon_b"] == [pytest.approx(-0.4)]
    assert costs["coupon_a"] == []
    assert explanations.of("coupon_b").channel == "push"


def test_a_boost_by_each_offers_own_state(engine: Engine) -> None:
    engine.record("convert", item="fund_a")
    explanations = engine.explain(engine.rank(BASE, context={"surface": "home"}))
    boosted = [found.offer for found in explanations if any(one.label == "held_funds" for one in found.contributions)]
    assert boosted == ["fund_a"]


def test_a_pin_is_the_last_rank_change(engine: Engine) -> None:
    explanations: Explanations = engine.explain(engine.rank(BASE, context={"surface": "wealth"}))
    assert explanations[0].offer == "fund_d"
    assert (explanations[0].rank_changes[-1].step, explanations[0].rank_changes[-1].after) == ("pins", 1)


def test_explanations_made_before_an_erase_do_not_change(engine: Engine) -> None:
    engine.record("click", item="fund_a")
    explanations = engine.explain(engine.rank(BASE, context={"surface": "home"}))
    engine.record("dismiss", item="fund_a")
    engine.erase()
    assert ("click", "fund_a") in {(one.kind, one.item) for one in explanations.of("fund_a").contributions}


def test_a_message_is_filled_from_this_device(engine: Engine, clock: SettableClock) -> None:
    base = BaseDecision(["fund_a", "fund_b"], [1.0, 0.0], variants=["warm", ""])
    messenger = Messenger(internals(engine).bundle)
    decision = engine.rank(base, context={"surface": "home"}, attributes={"balance": 120.0})

    def message(language: str = "en") -> str:
        return messenger.message(decision, "fund_a", language, internals(engine).state.memory, clock.now_ms)

    assert message() == "fund_a is before"
    engine.record("convert", item="fund_a")
    clock.now_ms += 2 * MINUTE_MS
    assert message() == "you took fund_a 2 min ago; fund_a is yours, you are active: 120"
    assert message("zh") == "2 分钟前您办理了 fund_a:fund_a"
    assert messenger.message(decision, "fund_b", "en", internals(engine).state.memory, clock.now_ms) == "fund_b"
