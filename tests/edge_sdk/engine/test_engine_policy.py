"""The bundle's rules suppress offers, and each suppression has its reason.

Eligibility, dates, caps and cooldowns are in force exactly as long as they are declared, in the base order too, and
the reasons of several rules add up.
"""

from __future__ import annotations

import math

import pytest

from edge_sdk import BaseDecision, Engine, ErrorCode, Reason
from tests.support.engine_acts import dropped, names
from tests.support.scene import FUNDS, HOME, NOW_MS, VALID_FROM_MS, VALID_UNTIL_MS, SettableClock


def test_eligibility_takes_a_category_out(engine: Engine, base: BaseDecision) -> None:
    decision = engine.rank(base, context={"stage": "active"})
    assert dropped(decision) == {"coupon_a": Reason.NOT_ELIGIBLE, "coupon_b": Reason.NOT_ELIGIBLE}
    assert sorted(names(decision)) == sorted(FUNDS)
    assert [offer.place for offer in decision.dropped] == [0, 0]
    assert dropped(engine.rank(base)) == dropped(decision)  # a field not given has no allowed value
    assert dropped(engine.rank(base, context=HOME)) == {}


@pytest.mark.parametrize(
    ("now_ms", "reason"),
    [
        (VALID_FROM_MS - 1, Reason.NOT_YET_VALID),
        (VALID_FROM_MS, None),
        (VALID_UNTIL_MS - 1, None),
        (VALID_UNTIL_MS, Reason.EXPIRED),
    ],
)
def test_an_offer_is_eligible_within_its_dates(
    engine: Engine, base: BaseDecision, clock: SettableClock, now_ms: int, reason: Reason | None
) -> None:
    engine.rank(base, context=HOME)  # what is kept of this answer must not outlive the date
    clock.now_ms = now_ms
    decision = engine.rank(base, context=HOME)
    assert dropped(decision) == ({} if reason is None else {"fund_d": reason})
    assert ("fund_d" in names(decision)) == (reason is None)


def test_a_cap_a_category_cap_and_a_cooldown(engine: Engine, base: BaseDecision, clock: SettableClock) -> None:
    engine.record("impression", item="fund_a")
    clock.now_ms += 1000
    engine.record("impression", item="fund_a")
    engine.record("dismiss", item="fund_b")
    for _ in range(3):
        engine.record("convert", item="coupon_a")
    suppressed = {
        "fund_a": Reason.CAPPED,
        "fund_b": Reason.COOLING_DOWN,
        "coupon_a": Reason.CAPPED,
        "coupon_b": Reason.CAPPED,
    }
    assert dropped(engine.rank(base, context=HOME)) == suppressed
    clock.now_ms += 1_800_000
    del suppressed["fund_b"]
    assert dropped(engine.rank(base, context=HOME)) == suppressed
    clock.now_ms = NOW_MS + 3_600_000
    del suppressed["fund_a"]
    assert dropped(engine.rank(base, context=HOME)) == suppressed
    clock.now_ms = NOW_MS + 1000 + 7_200_000
    assert dropped(engine.rank(base, context=HOME)) == {}


def test_rules_are_in_force_in_the_base_order_too_and_their_reasons_add_up(
    engine: Engine, clock: SettableClock
) -> None:
    engine.record("dismiss", item="coupon_a")
    base = BaseDecision(["coupon_a", "fund_a"], [math.nan, math.nan])
    decision = engine.rank(base, context={"stage": "active"})
    assert decision.error is ErrorCode.BAD_BASE_LOGITS
    assert names(decision) == ["fund_a"]
    assert dropped(decision) == {"coupon_a": Reason.NOT_ELIGIBLE | Reason.COOLING_DOWN}
    assert decision.dropped[0].reasons.text == (
        "as the cloud ranked it; its conditions do not hold for this user; resting after the user's answer"
    )
