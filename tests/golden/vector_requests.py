"""The base decisions, events and helpers that the scenarios of the golden decisions share."""

from __future__ import annotations

from typing import Any

from tests.support.scene import NOW_MS as NOW
from tests.support.scene import OFFERS

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
HOME, WEALTH = {"surface": "home", "stage": "new"}, {"surface": "wealth", "stage": "new"}
BASE: dict[str, Any] = {
    "offers": list(OFFERS),
    "logits": [[0.91, 0.2], [0.55, -0.3], [0.3, 0.83], [0.12, 0.1], [-0.2, 0.45], [-0.6, -0.1]],
}
TWO = {"offers": ["coupon_b", "fund_c"], "logits": [1, 0.125]}
FLAT = {"offers": list(OFFERS), "logits": [0.5, 0.25, 0.5, 0.25, 0.5, -1]}  # one logit for all objectives; ties
TREATMENTS: dict[str, Any] = {
    "offers": ["fund_a", "fund_a", "fund_a", "coupon_a", "coupon_a", "fund_c", "fund_b"],
    "logits": [[0.5, 0.1], [0.7, 0.1], [0.62, 0.3], [0.2, 0.2], [0.2, 0.45], [0.05, 0.9], [-0.3, 0.33]],
    "channels": ["", "push", "sms", "", "push", "push", ""],
    "variants": ["", "short", "long", "short", "", "", "long"],
}
STILL_VALID = {"is_still_valid": True}  # checks whether the former list may be shown again
VISIT = [  # a few minutes with events of every sort
    [NOW - 9 * MINUTE, "view", "fund_a", 120.5],
    [NOW - 8 * MINUTE, "click", "fund_a", 0],
    [NOW - 7 * MINUTE, "view", "page_home", 0],
    [NOW - 6 * MINUTE - 1, "dismiss", "coupon_a", 0],
    [NOW - 4 * MINUTE, "view", "fund_c", -3],
    [NOW - 3 * MINUTE - 250, "note", "", 0],
    [NOW - 2 * MINUTE, "convert", "fund_b", 1000],
    [NOW - 30_500, "click", "coupon_b", 0],
]


def rank(now_ms: int = NOW, base: dict[str, Any] = BASE, *then: dict[str, Any], **given: Any) -> dict[str, Any]:
    """Returns a request; its context is the app's home unless another is given."""
    then_given = {"then": list(then)} if then else {}
    return {"now_ms": now_ms, "base": base, "context": HOME, **given, **then_given}


def many(first_ms: int, count: int, step_ms: int) -> list[list[Any]]:
    """Returns events about all items in turn; only the oldest are of kinds that caps count."""
    items = (*OFFERS, "page_home", "page_coupons", "no_item_of_the_bundle")
    kinds = ["impression", "view", "convert"] * 5 + ["view", "click", "note"] * count
    return [[first_ms + n * step_ms, kinds[n], items[n * 7 % 9], n % 4 * 25] for n in range(count)]


def scenario(
    about: str, requests: list[dict[str, Any]], *, policy: str | None = None, events: list[Any] | None = None,
    seed: int = 1, utc_offset_s: int = 0,
) -> dict[str, Any]:  # fmt: skip
    return {
        "about": about,
        "bundle": "decisions.edge",
        "policy": policy,
        "seed": seed,
        "utc_offset_s": utc_offset_s,
        "events": events or [],
        "requests": requests,
    }
