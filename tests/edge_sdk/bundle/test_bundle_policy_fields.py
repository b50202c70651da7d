"""A policy, machine or channel that contradicts the rest of its bundle is refused, and the error names the field."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_sdk.bundle.format.generated import edge_generated as fb
from edge_sdk.bundle.reader import read_bundle
from edge_sdk.errors import BundleInvalidError
from edge_sdk.vocabulary import category_id, item_words
from tests.support.bundle_changes import changed
from tests.support.policy_refusals import bundle as bundle
from tests.support.policy_refusals import names, payload_of
from tests.support.policy_refusals import payload as payload
from tests.support.policy_refusals import scene as scene


def when(rule: Any, **fields: Any) -> None:
    rule.when = [fb.ConditionT(**fields)]


def put(owner: Any, **fields: Any) -> None:
    for name, value in fields.items():
        assert hasattr(owner, name)
        setattr(owner, name, value)


Case = tuple[Callable[[Any], object], str]
NAN, INF = float("nan"), float("inf")
INVALID: dict[str, Case] = {
    "an unknown field": (
        lambda p: when(p.rules[0], name="phase", values=["new"]),
        "eligibility[0].when[0].name: 'phase'",
    ),
    "an unknown value": (
        lambda p: when(p.rules[0], name="stage", values=["old"]),
        "eligibility[0].when[0].values[0]: 'old' is none of new, active",
    ),
    "no values": (lambda p: when(p.blocks[0], source=1, name="mood"), "blocks[0].when[0].values: none"),
    "an unknown machine": (
        lambda p: when(p.blocks[0], source=1, name="moon", values=["new"]),
        "blocks[0].when[0].name: 'moon'",
    ),
    "an unknown state": (
        lambda p: when(p.pins[0], source=1, name="mood", values=["sad"]),
        "pins[0].when[0].values[0]: 'sad'",
    ),
    "an unknown attribute": (
        lambda p: when(p.boosts[0], source=2, name="age", below=3.0),
        "boosts[0].when[0].name: 'age'",
    ),
    "bounds that are NaN": (
        lambda p: when(p.boosts[0], source=2, name="balance", below=NAN),
        "boosts[0].when[0].at_least: ",
    ),
    "bounds the wrong way": (
        lambda p: when(p.boosts[0], source=2, name="balance", atLeast=3.0, below=3.0),
        "boosts[0].when[0].at_least: 3",
    ),
    "an unknown source": (lambda p: when(p.boosts[0], source=3, name="balance"), "boosts[0].when[0].source: 3"),
    "an unknown channel": (
        lambda p: put(p.blocks[0].selection, channels=["fax"]),
        "blocks[0].selection.channels: 'fax'",
    ),
    "weights by an offer": (
        lambda p: when(p.weightRules[0], source=1, name="holding", values=["before"]),
        "weight_rules[0].when[0].name: 'holding'",
    ),
    "a weight too few": (
        lambda p: put(p.weightRules[0], weights=np.ones(1, np.float32)),
        "weight_rules[0].weights: 1 numbers, not 2",
    ),
    "a weight of NaN": (
        lambda p: put(p.weightRules[0], weights=np.array([1, NAN], np.float32)),
        "weight_rules[0].weights[1]: nan",
    ),
    "a default weight of NaN": (lambda p: put(p.objectives[1], weight=NAN), "objectives[1]: nan"),
    "a boost without bound": (lambda p: put(p.boosts[0], add=INF), "boosts[0].add: inf"),
    "place 0": (lambda p: put(p.pins[0], place=0), "pins[0].place: 0"),
    "count 0": (lambda p: put(p.pins[0], count=0), "pins[0].count: 0"),
    "by whom": (lambda p: put(p.pins[0], by=2), "pins[0].by: 2"),
    "by whom blocked": (lambda p: put(p.blocks[1], by=2), "blocks[1].by: 2"),
    "no such minute": (lambda p: put(p.quietHours[0], untilMinute=1440), "quiet_hours[0].from_minute: 1320, until"),
    "no minutes": (lambda p: put(p.quietHours[0], untilMinute=1320), "quiet_hours[0].from_minute: 1320, until"),
    "quiet nowhere": (lambda p: put(p.quietHours[0], channels=["fax"]), "quiet_hours[0].channels: 'fax'"),
    "a cap on no kind": (lambda p: put(p.caps[0], kind=1), "caps[0].kind: 1 is not"),
    "a cap on another kind": (lambda p: put(p.caps[0], moreKinds=np.array([2], np.uint16)), "caps[0].kind: 2 is not"),
    "a cap per moon": (lambda p: put(p.caps[0], per=3), "caps[0].per: 3"),
    "a cap of no channel": (lambda p: put(p.caps[1], channels=["fax"]), "caps[1].channels: 'fax'"),
    "min above full": (lambda p: put(p, minEvents=9), "min_events: 9, full_events 8"),
    "full above the window": (lambda p: put(p, fullEvents=9), "min_events: 2, full_events 9, in a window of 8"),
    "a max score change below 0": (lambda p: put(p, maxScoreChange=-0.5), "max_score_change: -0.5"),
    "a cost weight of NaN": (lambda p: put(p, costWeight=NAN), "cost_weight: nan"),
    "a cost weight below 0": (lambda p: put(p, costWeight=-1.0), "cost_weight: -1"),
    "a diversity below 0": (lambda p: put(p, diversity=-1.0), "diversity: -1"),
    "a minimum score of NaN": (lambda p: put(p, minimumScore=NAN), "minimum_score: nan"),
    "a period of 0": (lambda p: put(p.budget, periodS=0), "budget.period_s: 0"),
    "an amount below 0": (lambda p: put(p.budget, amount=-1.0), "budget.amount: -1"),
    "a pacing gain of NaN": (lambda p: put(p.budget, pacingGain=NAN), "budget.pacing_gain: nan"),
    "epsilon above 1": (lambda p: put(p.exploration, epsilon=1.5), "exploration.epsilon: 1.5"),
    "epsilon of NaN": (lambda p: put(p.exploration, epsilon=NAN), "exploration.epsilon: nan"),
    "temperature 0": (lambda p: put(p.exploration, mode=2, temperature=0.0), "exploration.temperature: 0"),
    "a mode that nobody knows": (lambda p: put(p.exploration, mode=3), "exploration.mode: 3"),
    "a category limit of 0": (lambda p: put(p.categoryLimits[0], limit=0), "category_limits: a limit of 0"),
    "a former rule on no field": (lambda p: put(p, eligibility=[fb.EligibilityT(field=2)]), "eligibility[0].field: 2"),
    "a former rule beyond the offers": (
        lambda p: put(p, eligibility=[fb.EligibilityT(offers=[7])]),
        "eligibility[0].offers: row 7 of 6",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", INVALID)
def test_a_contradiction_in_the_policy_is_named(payload: bytes, case: str) -> None:
    change, words = INVALID[case]
    refused(payload, lambda bundle: change(bundle.policy), f"policy.{words}")


def refused(payload: bytes, change: Callable[[Any], object], words: str) -> None:
    container = changed(payload, change)
    with pytest.raises(BundleInvalidError) as caught:
        read_bundle(Path("a.edge"), memoryview(payload_of(container)))
    assert str(caught.value).startswith(f"a.edge: {words}")


OTHERS: dict[str, Case] = {
    "a channel twice": (lambda b: put(b.channels[1], name="push"), "channels[1].name: 'push'"),
    "a channel without a name": (lambda b: put(b.channels[0], name=""), "channels[0].name: ''"),
    "a channel that shows nothing": (lambda b: put(b.channels[0], shownKind=1), "channels[0].shown_kind: 1"),
    "a channel of NaN": (lambda b: put(b.channels[0], cost=NAN), "channels[0].cost: nan"),
    "a channel that pays": (lambda b: put(b.channels[0], cost=-1.0), "channels[0].cost: -1"),
    "an offer that pays": (lambda b: put(b.offers, costs=-np.ones(6, np.float32)), "offers.costs: "),
    "costs of too few offers": (lambda b: put(b.offers, costs=np.ones(5, np.float32)), "offers.costs: "),
    "a machine twice": (lambda b: put(b.machines[1], name="stage"), "machines[1].name: 'stage'"),
    "a machine per moon": (lambda b: put(b.machines[1], per=3), "machines[1].per: 3"),
    "a machine without states": (lambda b: put(b.machines[1], states=[]), "machines[1].states: none"),
    "a state twice": (lambda b: put(b.machines[1], states=["a", "a"]), "machines[1].states: none, or one that"),
    "a step to nowhere": (lambda b: put(b.machines[1].steps[0], to=2), "machines[1].steps[0].to: 2"),
    "a step from nowhere": (lambda b: put(b.machines[1].steps[0], from_=[2]), "machines[1].steps[0].to: 1, from [2]"),
    "a step on nothing": (lambda b: put(b.machines[1].steps[0], on=1), "machines[1].steps[0].on: 1"),
    "a step by both": (lambda b: put(b.machines[1].steps[0], afterS=5), "machines[1].steps[0].after_s: 5, and on "),
    "a step by neither": (lambda b: put(b.machines[1].steps[0], on=0), "machines[1].steps[0].after_s: 0"),
    "time in a circle": (
        lambda b: put(b.machines[0].steps[0], on=0, afterS=5), "machines[0].steps: those by time lead from a state"
    ),
    "a field from an offer's machine": (lambda b: put(b.machines[0], per=0), "machines[0]: 'stage' is a context field"),
    "a state that is no value": (
        lambda b: put(b.machines[0], states=["new", "old"]), "machines[0]: 'stage' is a context field"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", OTHERS)
def test_a_contradiction_beside_the_policy_is_named(payload: bytes, case: str) -> None:
    change, words = OTHERS[case]
    refused(payload, change, words)


def test_a_cap_of_0_is_one_of_1(payload: bytes) -> None:
    """docs/format.md defines a limit of 0 as 1."""
    container = changed(payload, lambda bundle: put(bundle.policy.caps[0], limit=0))
    assert read_bundle(Path("a.edge"), memoryview(payload_of(container))).layout.caps[0].limit == 1


LOW, HIGH = item_words("coupon_a")


@pytest.mark.parametrize(
    ("lows", "highs", "is_selected"),
    [
        ([5, LOW], [9, HIGH], True),
        ([5, LOW], None, True),  # as up to format 2 of policies: the low word decides
        ([5, LOW], [9, HIGH ^ 1], False),  # another offer with the same low word
    ],
)
def test_ids_of_a_selection_outlive_the_rows(
    payload: bytes, lows: list[int], highs: list[int] | None, is_selected: bool
) -> None:
    """Offers and categories that the bundle does not know are no contradiction."""
    offers = {"offers": np.array(lows, np.uint32), "offerHighs": highs and np.array(highs, np.uint16)}

    def change(bundle: Any) -> None:
        ids = [category_id("fund"), category_id("to come")]
        bundle.policy.blocks[1].selection = fb.OfferSelectorT(categories=np.array(ids, np.uint32), **offers)

    bundle = read_bundle(Path("a.edge"), memoryview(payload_of(changed(payload, change))))
    selected = names(bundle, bundle.policy.drops[3].selection.offers)
    assert selected == [*["coupon_a"] * is_selected, "fund_a", "fund_b", "fund_c", "fund_d"]


def test_high_words_are_as_many_as_the_offers(payload: bytes) -> None:
    def change(bundle: Any) -> None:
        bundle.policy.blocks[1].selection = fb.OfferSelectorT(
            offers=np.array([5, LOW], np.uint32), offerHighs=np.array([HIGH], np.uint16)
        )

    refused(payload, change, "policy.blocks[1].selection.offer_highs: 1, and 2 offers")
