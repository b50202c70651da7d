"""An offer that the bundle does not know is ranked by its category and its base logits, and no cap allows it more."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk import BaseDecision, Engine, ErrorCode, Reason
from edge_sdk.testing.white_box import internals
from tests.support.random_policies import Table, policies
from tests.support.rich_engine import opened, signed, under
from tests.support.rich_engine import rich as rich
from tests.support.scene import SettableClock, Small

WHY_NOT = Reason(sum(reason for reason in Reason if 16 <= reason <= Reason.OTHER_TREATMENT and reason != 512))
SURFACE = {"surface": "home"}
LIST = BaseDecision(
    ["fund_a", "new_fund", "new_thing", "coupon_a"], [0.4, 0.3, 0.2, 0.1], categories=["", "fund", "moon", ""]
)
SEEN_TWICE = {"caps": [{"kind": "impression", "per": "offer", "limit": 2, "within_s": 3600}]}


def visited(engine: Engine) -> None:
    for item in ("fund_a", "fund_b", "coupon_a"):
        engine.record("click", item=item)


def suppressed(engine: Engine, base: BaseDecision = LIST) -> dict[str, Reason]:
    dropped = engine.rank(base, context=SURFACE).dropped
    return {offer.id: offer.reasons & ~Reason.UNKNOWN_OFFER for offer in dropped}


def test_the_others_are_ranked_as_always_and_the_unknown_ones_by_what_is_known(rich: Small) -> None:
    with under(rich, {}, SettableClock()) as engine:
        visited(engine)
        alone = engine.rank(BaseDecision(["fund_a", "coupon_a"], [0.4, 0.1]), context=SURFACE)
        decision = engine.rank(LIST, context=SURFACE)
        explanations = engine.explain(decision)
    assert decision.error is ErrorCode.NONE
    assert decision.scores[[0, 3]].tolist() == pytest.approx(alone.scores.tolist(), abs=1e-6)
    base = decision.trace.result.stages.base
    assert decision.scores[2] == base[2]  # nothing is known of it but its base logit
    assert decision.scores[1] != pytest.approx(base[1], abs=1e-3)  # clicks on funds count
    unknown = {offer.id for offer in decision.offers if Reason.UNKNOWN_OFFER in offer.reasons}
    assert unknown == {"new_fund", "new_thing"}
    assert all(Reason.BASE_ORDER not in offer.reasons for offer in decision.offers)
    for found in explanations:
        assert found.base + sum(one.value for one in found.contributions) == pytest.approx(found.score, abs=1e-5)
    assert "fund" in {one.item for one in explanations.of("new_fund").contributions} | {
        one.item.partition("_")[0] for one in explanations.of("new_fund").contributions
    }


def test_the_category_of_an_unknown_offer_has_the_mean_of_its_offers(rich: Small) -> None:
    """The mean of their rows, the counters of the category, none of its own."""
    with under(rich, {}, SettableClock()) as engine:
        visited(engine)
        decision = engine.rank(LIST, context=SURFACE)
        bundle = internals(engine).bundle
        candidates = internals(engine).maker.cached(LIST).candidates
    assert bundle.tables is not None
    assert bundle.stand_ins is not None
    categories, offers = bundle.layout.offers.row_category, len(bundle.layout.offers)
    fund = int(candidates.categories[1])
    of_fund = np.flatnonzero(categories == fund)
    row = bundle.tables.offers[of_fund].mean(axis=0)
    found = bundle.stand_ins[candidates.rows[1] - len(bundle.tables.offers)]
    np.testing.assert_allclose(found, row, rtol=0, atol=1e-6)
    assert candidates.slots[1].tolist() == [0, offers + 1 + fund]
    assert decision.trace.known is not None
    assert decision.trace.known.tolist() == [True, False, False, True]


@pytest.mark.parametrize("seen", ["new_fund", "new_thing", "another"])
def test_a_cap_per_offer_counts_all_unknown_offers_together(rich: Small, seen: str) -> None:
    clock = SettableClock()
    with under(rich, SEEN_TWICE, clock) as engine:
        for _ in range(2):
            assert suppressed(engine) == {}
            engine.record("impression", item=seen)
        assert suppressed(engine) == {"new_fund": Reason.CAPPED, "new_thing": Reason.CAPPED}
        engine.record("impression", item="page_home")  # an item, and no offer
        engine.record("impression")
        clock.now_ms += 3_600_000
        assert suppressed(engine) == {}


def test_the_count_outlives_closing_an_erase_of_other_items_and_a_new_policy(rich: Small, tmp_path: Any) -> None:
    clock = SettableClock()
    with opened(rich, tmp_path / "s", clock) as engine:
        engine.install_policy(signed(SEEN_TWICE))
        for item in ("new_fund", "fund_a", "new_fund"):
            engine.record("impression", item=item)
    with opened(rich, tmp_path / "s", clock) as engine:
        assert suppressed(engine) == {"new_fund": Reason.CAPPED, "new_thing": Reason.CAPPED}
        engine.erase(items=["fund_a"])
        assert suppressed(engine) == {"new_fund": Reason.CAPPED, "new_thing": Reason.CAPPED}
        more = {"caps": [*SEEN_TWICE["caps"], {"kind": "click", "per": "user", "limit": 9, "within_s": 60}]}
        engine.install_policy(signed(more, version=2))
        assert suppressed(engine) == {"new_fund": Reason.CAPPED, "new_thing": Reason.CAPPED}
        engine.erase(items=["new_fund"])
        assert suppressed(engine) == {}


def test_a_rule_per_category_cannot_count_an_unknown_offer_of_a_category(rich: Small) -> None:
    caps = [{"kind": "click", "per": "category", "limit": 5, "within_s": 3600, "name": "clicks"}]
    cooldowns = [{"kind": "convert", "per": "category", "rest_s": 60, "name": "bought", "channel": ["push"]}]
    with under(rich, {"caps": caps, "cooldowns": cooldowns}, SettableClock()) as engine:
        decision = engine.rank(LIST, context=SURFACE)
        assert {one.id: one.reasons for one in decision.dropped} == {"new_fund": Reason.CAPPED | Reason.UNKNOWN_OFFER}
        (why,) = engine.explain(decision).of("new_fund").suppressions
        assert (why.reason, why.rule, why.until_ms) == (Reason.CAPPED, "clicks", None)
        pushed = BaseDecision(LIST.offers, LIST.logits, categories=LIST.categories, channels=["push"] * 4)
        assert suppressed(engine, pushed) == {"new_fund": Reason.CAPPED | Reason.COOLING_DOWN}


def test_rules_select_unknown_offers_by_name_and_category(rich: Small) -> None:
    policy = {
        "blocks": [{"category": "fund", "channel": ["push"], "when": {}}, {"offers": ["new_thing"], "when": {}}],
        "boosts": [{"category": "fund", "add": 2.0, "when": {}}],
        "category_limits": {"fund": 1},
    }
    with under(rich, policy, SettableClock()) as engine:
        decision = engine.rank(LIST, context=SURFACE)
        assert {one.id: one.reasons & ~Reason.UNKNOWN_OFFER for one in decision.dropped} == {
            "new_thing": Reason.BLOCKED,
            "new_fund": Reason.CATEGORY_FULL | Reason.BOOSTED,
        }
        pushed = BaseDecision(LIST.offers, LIST.logits, categories=LIST.categories, channels=["push", "push", "", ""])
        assert suppressed(engine, pushed)["new_fund"] & Reason.BLOCKED


def test_an_unknown_offer_is_listed_once(rich: Small) -> None:
    twice = BaseDecision(["new", "new", "other", "fund_a"], [0.1, 0.9, 0.3, 0.2], channels=["", "push", "", ""])
    with under(rich, {}, SettableClock()) as engine:
        decision = engine.rank(twice, context=SURFACE)
    assert (decision.offers[0].id, decision.offers[0].channel) == ("new", "push")
    assert [(offer.id, offer.channel, offer.reasons & Reason.OTHER_TREATMENT) for offer in decision.dropped] == [
        ("new", "", Reason.OTHER_TREATMENT)
    ]


@given(
    policy=policies(),
    names=st.lists(st.sampled_from(["fund_a", "coupon_b", "x", "y", "", "fund_d", "é"]), min_size=1, max_size=6),
    categories=st.lists(st.sampled_from(["fund", "coupon", "", "moon", "\ud800", 7]), min_size=6, max_size=6),
    limit=st.none() | st.integers(0, 6),
)
@settings(max_examples=60, deadline=None)
def test_any_list_is_answered_under_every_rule(
    rich: Small, policy: Table, names: list[str], categories: list[Any], limit: int | None
) -> None:
    base = BaseDecision(names, np.linspace(1, 0, len(names)), categories=categories[: len(names)])
    with under(rich, policy, SettableClock()) as engine:
        engine.record("click", item="x")
        decision = engine.rank(base, context=SURFACE, limit=limit)
        assert decision.error is (ErrorCode.UNKNOWN_OFFER if "" in names else ErrorCode.NONE)
        listed = {*decision.trace.result.eligible_order.tolist()}
        bits = decision.trace.result.dropped_bits
        assert listed == {at for at in range(len(names)) if bits is None or not bits[at]}
        if decision.error:
            return
        explanations = engine.explain(decision)
    for found, ranked in zip(explanations, (*decision.offers, *decision.dropped), strict=True):
        assert found.base + sum(one.value for one in found.contributions) == pytest.approx(found.score, abs=1e-5)
        why_not = ranked.reasons & WHY_NOT
        assert {suppression.reason for suppression in found.suppressions} == {one for one in Reason if one & why_not}
