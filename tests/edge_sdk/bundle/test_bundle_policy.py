"""A packed policy, machines, channels and texts are read as written, and so is a bundle of edge-sdk 0.1."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cloud_export.export.bundle_writer import pack_payload
from cloud_export.features.layout import build_layout
from edge_sdk.bundle.bundle import Bundle
from edge_sdk.bundle.container import open_container
from edge_sdk.bundle.reader import read_bundle
from edge_sdk.errors import BundleDamagedError, BundleInvalidError, EdgeError
from edge_sdk.memory.caps import CapRule
from edge_sdk.memory.spending import Periods, SpendingRule
from edge_sdk.memory.state_machines import MachineRule, MachineStep
from edge_sdk.memory.targets import Scope
from edge_sdk.policy.conditions import Conditions, ContextCondition, NumberCondition, StateCondition
from edge_sdk.policy.frequency_caps import FrequencyCap
from edge_sdk.policy.rules import NO_LIMIT, Budget, Channel, Exploration, Explore
from edge_sdk.reasons import Reason
from edge_sdk.vocabulary import kind_id
from tests.support.bundle_changes import Change, changed
from tests.support.former_bundles import FORMER, FORMER_KEY
from tests.support.policy_refusals import bundle as bundle
from tests.support.policy_refusals import names, payload_of
from tests.support.policy_refusals import payload as payload
from tests.support.policy_refusals import scene as scene
from tests.support.scene import Small


def test_rules_that_suppress_offers(bundle: Bundle) -> None:
    first, second, third, fourth = bundle.policy.drops
    assert [rule.name for rule in bundle.policy.drops] == ["eligibility[0]", "calm", "no pushes", "not this"]
    assert [rule.drops_when for rule in bundle.policy.drops] == [False, False, True, True]
    assert [rule.reason for rule in bundle.policy.drops] == [
        Reason.NOT_ELIGIBLE, Reason.NOT_ELIGIBLE, Reason.BLOCKED, Reason.HIDDEN,
    ]  # fmt: skip
    assert names(bundle, first.selection.offers) == ["coupon_a", "coupon_b"]
    assert names(bundle, second.selection.offers) == ["fund_a"]  # fund_z is unknown and matches nothing
    assert (third.selection.offers, third.selection.channels) == (None, frozenset({1}))
    assert names(bundle, fourth.selection.offers) == ["fund_b"]
    assert first.when == Conditions((ContextCondition(1, frozenset({0})),))
    assert second.when == Conditions(
        (NumberCondition(0, 100.0, float("inf")),), (StateCondition(1, frozenset({0, 1})),)
    )
    assert third.when == Conditions((StateCondition(2, frozenset({1})),))
    assert fourth.when == Conditions()


def test_rules_that_change_scores_and_places(bundle: Bundle) -> None:
    policy = bundle.policy
    (rule,), (boost,), (pin,), (night,) = policy.weight_rules, policy.boosts, policy.pins, policy.quiet_hours
    assert (rule.name, rule.when, rule.weights.tolist()) == (
        "at home", Conditions((ContextCondition(0, frozenset({0})),)), [0.25, 2.0],
    )  # fmt: skip
    assert (boost.name, float(boost.add), boost.selection.channels) == ("boosts[0]", -0.5, frozenset({0, 2}))
    assert names(bundle, boost.selection.offers) == ["fund_a", "fund_b", "fund_c", "fund_d"]
    assert boost.when == Conditions((NumberCondition(0, 10.0, 20.5),))
    assert (pin.name, pin.place, pin.count, pin.by_user) == ("pins[0]", 1, 3, True)
    assert len(names(bundle, pin.selection.offers) or ()) == 6
    assert pin.when == Conditions((ContextCondition(0, frozenset({1})),))
    assert (night.name, night.channels, night.from_minute, night.until_minute) == ("night", frozenset({1}), 1320, 510)


def test_numbers(bundle: Bundle) -> None:
    policy = bundle.policy
    assert (policy.version, policy.min_events, policy.full_events) == (7, 2, 8)
    assert (policy.max_score_change, policy.max_rank_change, policy.cost_weight, policy.diversity) == (
        0.75,
        3,
        0.5,
        0.125,
    )
    assert (policy.minimum_score, policy.retry_after_s) == (-1.5, 600)
    shown = frozenset(map(kind_id, ("impression", "push_shown", "sms_shown")))
    assert policy.budget == Budget(10.0, Periods(86_400, is_local=True), 0.25, shown)
    assert bundle.layout.spending == SpendingRule(shown, Periods(86_400, is_local=True))
    assert policy.exploration == Exploration(Explore.EPSILON_GREEDY, epsilon=0.25)
    assert policy.category_limits is not None
    assert policy.category_limits.tolist() == [NO_LIMIT, 3, 2]  # coupon, fund
    assert policy.weights.tolist() == [1.0, 0.5]


def test_caps(bundle: Bundle) -> None:
    impression, push, sms, convert, dismiss = map(
        kind_id, ("impression", "push_shown", "sms_shown", "convert", "dismiss")
    )
    assert push < impression  # the ids of a cap's kinds are sorted: their order in a scene does not count
    assert bundle.policy.caps == (
        FrequencyCap(CapRule((push, impression), Scope.USER, 9, 604_800, False), "caps[0]"),
        FrequencyCap(CapRule((push,), Scope.USER, 2, 86_400, False), "few pushes", frozenset({1})),
        FrequencyCap(CapRule((sms,), Scope.USER, 2, 86_400, False), "few pushes", frozenset({2})),
        FrequencyCap(CapRule((convert,), Scope.CATEGORY, 3, 7200, False), "caps[2]", frozenset({2})),
        FrequencyCap(CapRule((dismiss,), Scope.OFFER, 1, 1800, True), "cooldowns[0]"),
    )
    assert bundle.layout.caps == tuple(cap.counted for cap in bundle.policy.caps)


def test_machines_channels_variants_and_attributes(bundle: Bundle) -> None:
    click, convert, dismiss = map(kind_id, ("click", "convert", "dismiss"))
    assert bundle.layout.machines == (
        MachineRule("stage", Scope.USER, ("new", "active"), (
            MachineStep(frozenset({0}), click, 3, 0, 1), MachineStep(frozenset({1}), 0, 1, 86_400, 0),
        )),
        MachineRule("holding", Scope.OFFER, ("before", "during"), (MachineStep(frozenset(), convert, 1, 0, 1),)),
        MachineRule("mood", Scope.USER, ("fresh", "tired"), (MachineStep(frozenset(), dismiss, 1, 0, 1),)),
    )  # fmt: skip
    assert bundle.machine_fields == ((0, 1, (0, 1)),)
    assert bundle.channels == (
        Channel("", kind_id("impression"), 0.0),
        Channel("push", kind_id("push_shown"), 0.25),
        Channel("sms", kind_id("sms_shown"), 0.0),
    )
    assert (bundle.policy.variants, bundle.policy.attributes) == (("short", "long"), ("balance",))


def test_texts_are_merged_and_read_on_demand(bundle: Bundle, payload: bytes) -> None:
    assert bundle.languages == ("en", "zh", "zh-Hant")
    english, chinese = bundle.texts("en"), bundle.texts("zh")
    assert (english["offer.fund_a"], english["variant.short"]) == ("Fund A", "Look!")
    assert english["reason.BASE_ORDER"] == "as the cloud ranked it"
    assert (chinese["state.mood.tired"], chinese["reason.BASE_ORDER"]) == ("累了", "按云端给出的顺序")
    assert bundle.texts("zh-Hant") == {"kind.view": "瀏覽"}
    assert bundle.texts("fr") == {}
    assert list(english) == sorted(english)


def test_opening_proves_the_texts(payload: bytes) -> None:
    def refused(change: Change, error: type[EdgeError], words: str) -> None:
        with pytest.raises(error, match=words):
            read_bundle(Path("a.edge"), memoryview(payload_of(changed(payload, change))))

    fewer = r"a\.edge: texts\.en: \d+ keys, 0 texts; rebuild"
    refused(lambda b: setattr(b.texts[0], "texts", []), BundleInvalidError, fewer)
    twice = r"texts\[1\]\.language: 'en' is listed twice"
    refused(lambda b: setattr(b.texts[1], "language", "en"), BundleInvalidError, twice)
    for place in (0, 45):  # of many texts, which are checked at once, and of few
        refused(text_set(0, place, b"\xff\xfe"), BundleDamagedError, "Texts.texts: no UTF-8")
    refused(text_set(2, 0, b"caf\xe9"), BundleDamagedError, "Texts.texts: no UTF-8")


def text_set(language: int, place: int, text: bytes) -> Change:
    return lambda b: b.texts[language].texts.__setitem__(place, text)


def test_the_cloud_and_the_device_have_the_same_policy(scene: Small, bundle: Bundle) -> None:
    assert scene.layout.memory.caps == bundle.layout.caps
    assert scene.layout.memory.spending == bundle.layout.spending
    assert scene.layout.memory.machines == bundle.layout.machines
    for name in ("version", "channels", "quiet_hours", "budget", "exploration", "cost_weight", "max_score_change"):
        assert str(getattr(scene.layout.policy, name)) == str(getattr(bundle.policy, name)), name
    assert [rule.when for rule in scene.layout.policy.drops] == [rule.when for rule in bundle.policy.drops]
    assert scene.layout.policy.offer_costs.tolist() == bundle.policy.offer_costs.tolist() == [0.0] * 7


def test_offer_costs_are_packed_by_row(scene: Small) -> None:
    catalogue = replace(scene.log.catalogue, cost=np.array([0.5, 0, 1, 2, 3, 4.25], np.float32))
    log = replace(scene.log, catalogue=catalogue)
    layout = build_layout(scene.scene, log, training_events=np.ones(len(log.events.item), np.bool_))
    payload = pack_payload(replace(scene.content, layout=layout))

    bundle = read_bundle(Path("a.edge"), memoryview(payload))

    costs = dict(zip(bundle.layout.offers.names(), bundle.policy.offer_costs[1:].tolist(), strict=True))
    assert costs == {"coupon_a": 0.5, "coupon_b": 0, "fund_a": 1, "fund_b": 2, "fund_c": 3, "fund_d": 4.25}
    assert bundle.policy.offer_costs.tolist() == layout.policy.offer_costs.tolist()


# ---- a bundle of edge-sdk 0.1 ----


def test_a_bundle_of_0_1_reads_as_it_did() -> None:
    bundle = read_bundle(FORMER, open_container(FORMER, trusted_keys=[FORMER_KEY], allow_unsigned=False))

    assert bundle.created_by == "cloud-export 0.1.0"
    (rule,) = bundle.policy.drops
    assert (rule.name, rule.drops_when, rule.reason) == ("eligibility[0]", False, Reason.NOT_ELIGIBLE)
    assert names(bundle, rule.selection.offers) == ["coupon_a", "coupon_b"]
    assert (rule.selection.channels, rule.when) == (None, Conditions((ContextCondition(1, frozenset({0})),)))
    assert [(cap.kinds, cap.per, cap.limit, cap.within_s, cap.cooldown) for cap in bundle.layout.caps] == [
        ((kind_id("impression"),), Scope.OFFER, 2, 3600, False),
        ((kind_id("convert"),), Scope.CATEGORY, 3, 7200, False),
        ((kind_id("stay"),), Scope.OFFER, 4, 600, False),
        ((kind_id("dismiss"),), Scope.OFFER, 1, 1800, True),
    ]
    assert [cap.name for cap in bundle.policy.caps] == ["caps[0]", "caps[1]", "caps[2]", "caps[3]"]
    assert bundle.channels == (Channel("", kind_id("impression"), 0.0),)
    assert (bundle.layout.machines, bundle.machine_fields, bundle.languages, bundle.texts("en")) == ((), (), (), {})
    assert (bundle.policy.exploration, bundle.layout.spending) == (Exploration(), None)
    assert (bundle.policy.version, bundle.policy.max_rank_change, bundle.policy.category_limits) == (0, None, None)
