"""The scenarios of the golden decisions; `make_decisions.py` adds the expected results.

Numbers are chosen so that no two scores that decide an order are closer than 1e-4; the generator refuses closer ones.
"""

from __future__ import annotations

from typing import Any

from tests.golden.vector_requests import (
    BASE,
    DAY,
    FLAT,
    HOUR,
    MINUTE,
    STILL_VALID,
    TREATMENTS,
    TWO,
    VISIT,
    WEALTH,
    many,
    rank,
    scenario,
)
from tests.support.scene import NOW_MS as NOW
from tests.support.scene import OFFERS, VALID_FROM_MS, VALID_UNTIL_MS

Scenario = dict[str, Any]


def scenarios() -> dict[str, Scenario]:
    """Returns the scenarios by the name of their file."""
    made = (
        _silent_device,
        _window_and_counters,
        _log_wraps,
        _erasures,
        _dates_and_stage,
        _states,
        _caps_and_cooldowns,
        _quiet_hours,
        _budget,
        _warm_up_and_max_score_change,
        _weights_boosts_and_rank_bound,
        _slate,
        _epsilon_greedy,
        _softmax,
        _another_policy,
        _unknown_offers,
        _error_answers,
    )
    return {scenario_of.__name__[1:]: scenario_of() for scenario_of in made}


def _silent_device() -> Scenario:
    return scenario(
        "Without events the order is the base order, equal scores by lower index, under any limit and any weights.",
        [
            rank(),
            rank(base=FLAT, limit=4),
            rank(limit=0),
            rank(limit=-3),
            rank(context=None, limit=9),
            rank(weights={"convert": 2.5}),
            rank(weights={}),
            rank(base={"offers": ["fund_b"], "logits": [-2]}),
        ],
        policy="plain.policy",
    )


def _window_and_counters() -> Scenario:
    return scenario(
        "Events of every sort, derived ones among them, fill window and counters; the clock steps back once.",
        [
            rank(),
            rank(NOW, BASE, {"record": [[NOW + 500, "view", "fund_d", 7.25], [NOW + 900, "click", "fund_d", 0]]}),
            rank(NOW + 2000, context=WEALTH),
            rank(NOW + HOUR, BASE, {"record": [[NOW - HOUR, "view", "coupon_a", 0], [NOW, "click", "fund_a", 0]]}),
            rank(NOW + 5),
            rank(NOW + 40 * DAY, BASE, {"reopen": True}),
            rank(NOW + 40 * DAY + 1),
        ],
        policy="plain.policy",
        events=VISIT,
    )


def _log_wraps() -> Scenario:
    return scenario(
        "More events than the log has room for: counters and caps keep overwritten events, also when reopened.",
        [rank(NOW), rank(NOW + 1, BASE, {"reopen": True}), rank(NOW + 2)],
        policy="counts.policy",
        events=many(NOW - 150 * MINUTE, 150, MINUTE),
    )


def _erasures() -> Scenario:
    return scenario(
        "Events about items, of a kind, before a time are erased, then all: ids of decisions restart.",
        [
            rank(NOW, BASE, {"erase": {"items": ["fund_a", "fund_b"]}}),
            rank(NOW, BASE, {"erase": {"kinds": ["dismiss"]}}),
            rank(NOW, BASE, {"erase": {"before": NOW - 3 * MINUTE}}),
            rank(NOW, BASE, STILL_VALID, {"erase": {}}, STILL_VALID),
            rank(NOW, BASE, {"record": [[NOW + 1, "click", "fund_d", 0]]}),
            rank(NOW + 2),
        ],
        events=VISIT,
    )


def _dates_and_stage() -> Scenario:
    return scenario(
        "An offer's dates to the millisecond, and eligibility by a context field that may be left out.",
        [
            rank(VALID_FROM_MS - 1),
            rank(VALID_FROM_MS),
            rank(VALID_UNTIL_MS - 1, context={"surface": "home", "stage": "active"}),
            rank(VALID_UNTIL_MS, context={}),
            rank(VALID_FROM_MS - 1, {"offers": ["fund_d"], "logits": [0]}),
            rank(VALID_UNTIL_MS, {"offers": ["fund_d"], "logits": [0]}),
        ],
    )


def _states() -> Scenario:
    return scenario(
        "Machines of users, offers and categories step by events and by time; rules and a field follow them.",
        [
            rank(context={"surface": "home"}, attributes={"balance": 100}),
            rank(context={"surface": "wealth"}, attributes={"balance": 99.99, "age": 4}),
            rank(NOW + 1, TREATMENTS, context={"surface": "home"}),
            rank(NOW + 2, {"offers": ["fund_b"], "logits": [1]}),
            rank(NOW + 8 * MINUTE - 1, context={"surface": "wealth"}, attributes={"balance": 999}),
            rank(NOW + 8 * MINUTE, context={"surface": "wealth"}, attributes={"balance": 1000}),
            rank(NOW + 11 * MINUTE, {"offers": ["fund_a", "fund_d"], "logits": [1, 0.5]}, context=WEALTH),
            rank(NOW + 30 * MINUTE, TREATMENTS, context={"surface": "home", "stage": "active"}),
            rank(NOW + 3 * HOUR, context={}),
        ],
        policy="states.policy",
        events=[
            *VISIT,
            [NOW - 20_000, "view", "fund_c", 0],
            [NOW - 10_000, "view", "fund_d", 0],
            [NOW - 5000, "click", "page_home", 0],
        ],
    )


def _caps_and_cooldowns() -> Scenario:
    return scenario(
        "Caps per offer, category, channel and user, cooldowns, caps on one slate, when to rank again.",
        [
            rank(NOW, BASE, {"shown": 2}, {"feedback": ["coupon_b", "dismiss", 0]}, STILL_VALID, limit=3),
            rank(NOW + MINUTE, TREATMENTS, {"shown": None}, limit=3),
            rank(NOW + 2 * MINUTE, TREATMENTS, {"shown": 1}),
            rank(NOW + 3 * MINUTE, BASE, {"feedback": ["fund_c", "convert", 50.5]}),
            rank(NOW + 3 * MINUTE + 1, BASE),
            rank(NOW + 30 * MINUTE - 1, TWO),
            rank(NOW + 30 * MINUTE, TWO),
            rank(NOW + 31 * MINUTE + 1, BASE, {**STILL_VALID, "at_ms": NOW + 10 * HOUR}),
            rank(NOW + 61 * MINUTE + 5, TREATMENTS),
            rank(NOW + 3 * HOUR, BASE, {"shown": 2}),
            rank(NOW + 3 * HOUR + MINUTE, BASE, limit=6),
            rank(NOW - DAY, BASE),
        ],
        policy="counts.policy",
    )


def _quiet_hours() -> Scenario:
    return scenario(
        "Quiet hours of some channels over midnight and of all at noon, in local time eight hours ahead of UTC.",
        [
            rank(NOW, TREATMENTS),
            rank(NOW + 2 * HOUR - 1, TREATMENTS),
            rank(NOW + 2 * HOUR, TREATMENTS),
            rank(NOW + 12 * HOUR + 30 * MINUTE, TREATMENTS),
            rank(NOW + 16 * HOUR + 30 * MINUTE - 1, TREATMENTS),
            rank(NOW + 16 * HOUR + 45 * MINUTE, TREATMENTS),
            rank(NOW + 17 * HOUR, TREATMENTS),
            rank(NOW + 3 * HOUR, {"offers": ["fund_a", "coupon_a"], "logits": [1, 0], "channels": ["push", "sms"]}),
        ],
        policy="counts.policy",
        utc_offset_s=28_800,
    )


def _budget() -> Scenario:
    return scenario(
        "Costs of offers, channels and requests; the cost weight follows spending; the budget restarts each hour.",
        [
            rank(NOW + 60_000, BASE, {"shown": 2}),
            rank(NOW + 120_000, TREATMENTS, {"shown": 1}, limit=2),
            rank(NOW + 180_000, TREATMENTS),
            rank(NOW + 240_000, BASE, {"shown": None}, limit=4),
            rank(NOW + 300_000, {**BASE, "costs": [3, 0, 0.1, 0.2, 2.75, 0.05]}),
            rank(NOW + 300_000, {**TREATMENTS, "costs": [9, 9, 9, 9, 9, 9, 9]}),
            rank(NOW + HOUR - 1),
            rank(NOW + HOUR, TWO, {"shown": 2}),
            rank(NOW + HOUR - 1, TWO),
            rank(NOW - 1, TWO),
        ],
        policy="money.policy",
        events=VISIT[:3],
    )


def _warm_up_and_max_score_change() -> Scenario:
    clicks = [{"record": [[NOW + n * 1000, "click", OFFERS[n % 6], 0]]} for n in range(12)]
    return scenario(
        "The model's weight grows with the events in the window; no score changes by more than 0.4.",
        [
            rank(NOW, BASE, clicks[0]),
            rank(NOW + 1, BASE, clicks[1]),
            rank(NOW + 1002, BASE, clicks[2], clicks[3]),
            rank(NOW + 3001, BASE, clicks[4], clicks[5], clicks[6], clicks[7]),
            rank(NOW + 7001),
        ],
        policy="trust.policy",
    )


def _weights_boosts_and_rank_bound() -> Scenario:
    return scenario(
        "Weights by rule and by request, boosts by attribute, channel, state; cost, the rank bound, diversity.",
        [
            rank(),
            rank(context=WEALTH, attributes={"balance": 10}),
            rank(context=WEALTH, attributes={"balance": 20.5, "age": 3}),
            rank(base=TREATMENTS, context=WEALTH, attributes={"balance": 20.25}),
            rank(weights={"click": 3, "convert": -1}, context=WEALTH, limit=2),
            rank(NOW + HOUR, TREATMENTS),
        ],
        policy="scores.policy",
        events=[*VISIT, [NOW - 10_000, "convert", "fund_a", 0]],
    )


def _slate() -> Scenario:
    return scenario(
        "Pins of the operator and the user, category limits, and offers below the minimum score.",
        [
            rank(),
            rank(context=WEALTH),
            rank(context=WEALTH, limit=2),
            rank(base=TREATMENTS),
            rank(base={"offers": ["fund_a", "fund_b"], "logits": [-5, -6]}),
            rank(base={**BASE, "logits": [-1, -0.8, 1, 0.9, 0.7, 0.65]}, context=WEALTH),
        ],
        policy="slate.policy",
        events=VISIT,
    )


def _explored() -> list[Scenario]:
    """Returns requests for the policies that explore: with all limits, with and without treatments and a pin."""
    free = [rank(NOW + n * MINUTE, BASE if n % 3 else TREATMENTS, limit=(None, 3, 2, 1)[n % 4]) for n in range(5)]
    pinned = [rank(NOW + HOUR, BASE, context=WEALTH, limit=3), rank(NOW + HOUR, TREATMENTS, context=WEALTH, limit=2)]
    return [*free, *pinned]


def _epsilon_greedy() -> Scenario:
    numbered = rank(NOW + 2 * HOUR, BASE, {"shown": 1}, {"reopen": True}, limit=2)
    return scenario(
        "Half of the time the first place is drawn uniformly; reopened, ids continue from the newest in the log.",
        [*_explored(), numbered, rank(NOW + 2 * HOUR + 1), rank(NOW + 2 * HOUR + 2, limit=0)],
        policy="epsilon.policy",
        events=VISIT,
        seed=20_260_115,
    )


def _softmax() -> Scenario:
    return scenario(
        "The order is drawn by score over temperature, under limits of a category and pins.",
        [*_explored(), rank(NOW + 2 * HOUR, FLAT)],
        policy="softmax.policy",
        events=VISIT,
        seed=0xFEDCBA98,
    )


def _another_policy() -> Scenario:
    return scenario(
        "A newer policy inherits the counts of the former one; under the last one all scores are below the minimum.",
        [
            rank(NOW, BASE, {"shown": 2}, {"install": "counts.policy"}),
            rank(NOW + 1, BASE, {"shown": 3}, {"install": "slate.policy"}, limit=3),
            rank(NOW + 2, BASE, STILL_VALID, {"install": "worthless.policy"}, STILL_VALID),
            rank(NOW + 3, BASE, {"reopen": True}),
            rank(NOW + 4),
        ],
        events=VISIT,
    )


def _unknown_offers() -> Scenario:
    """`fund_y` and `fund_z` are in no bundle; the third policy counts per category."""
    base = {
        "offers": ["fund_b", "fund_y", "fund_z", "coupon_a"],
        "logits": [0.1, 0.9, 0.7, 0.5],
        "categories": ["coupon", "fund", "moon", ""],
    }
    twice = {**base, "offers": ["fund_y", "fund_y", "fund_z", "coupon_a"], "channels": ["", "push", "", ""]}
    dismissed = {"record": [[NOW + 9 * MINUTE, "dismiss", "fund_z", 0]]}
    return scenario(
        "Offers that the bundle does not know are ranked by their category, and count as one for rules per offer.",
        [
            rank(NOW, twice, {"shown": 2}, {"feedback": ["fund_y", "click", 0]}),
            rank(NOW + MINUTE, base, {"install": "counts.policy"}),
            rank(NOW + 2 * MINUTE, base, dismissed),
            rank(NOW + 10 * MINUTE, {**base, "categories": None}, {"reopen": True}),
            rank(NOW + 11 * MINUTE, {**base, "categories": None}, {"erase": {"items": ["fund_z"]}}),
            rank(NOW + 11 * MINUTE, {**base, "categories": None}),
        ],
        policy="plain.policy",
        events=VISIT,
    )


def _error_answers() -> Scenario:
    two = {"offers": ["fund_a", "coupon_a"], "logits": [0.5, 0.5]}
    return scenario(
        "Requests that cannot be scored get the base order with an error code, under the same rules.",
        [
            rank(base={"offers": [], "logits": []}),
            rank(base={"offers": ["fund_b", "", "fund_z", "coupon_a"], "logits": [0.1, 0.9, 0.7, 0.5]}),
            rank(base={**two, "categories": ["fund"]}),
            rank(base={"offers": ["fund_b", "fund_a"], "logits": [0.1, None]}),
            rank(base={"offers": ["fund_b", "fund_a"], "logits": [0.1, 0.2, 0.3]}),
            rank(base={"offers": ["fund_b", "fund_a"], "logits": [3e38, 0]}),
            rank(context={"surface": "moon"}),
            rank(context={"planet": "moon"}),
            rank(weights={"joy": 1}),
            rank(weights={"click": 1e39}),
            rank(base={"offers": ["fund_b"], "logits": [20]}, weights={"click": 3e38}),
            rank(limit=2.5),
            rank(base={**two, "channels": ["", "pigeon"]}, limit=1),
            rank(base={**two, "variants": ["short"]}),
            rank(base={**two, "costs": [1, -1]}),
            rank(base={**two, "costs": [1]}),
            rank(attributes={"height": 3}),
            rank(attributes={"balance": None}),
            rank(base={**TREATMENTS, "logits": [0.5] * 7}, context={"surface": "moon"}, limit=2),
        ],
        events=VISIT,
    )
