"""The fleet's rule audit finds planted violations, and refuses rules that it cannot check."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_export.scene.load import load_scene, scene_from_table
from device_sim.fleet.rule_audit import DATES, RuleAudit, UncheckableRuleError, rules_of
from tests.support.scene import SCENE

NOON_MS = 1_767_960_000_000  # 2026-01-09 12:00:00 UTC
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
ACTIVE = {"surface": "home", "stage": "active"}
NEW = {"surface": "home", "stage": "new"}

OFFERS = pl.DataFrame(
    {
        "offer": ["cash_001", "fund_001", "fund_002", "voucher_001", "page_gold_01"],
        "category": ["money_fund", "bond_fund", "bond_fund", "voucher", "gold"],
        "rankable": [True, True, True, True, False],
        "valid_from": [None, datetime(2026, 1, 9, 12), None, None, None],
        "valid_until": [None, None, datetime(2026, 1, 9, 12), None, None],
    },
    schema_overrides={"valid_from": pl.Datetime("ms"), "valid_until": pl.Datetime("ms")},
)


@pytest.fixture
def audit() -> RuleAudit:
    return RuleAudit(rules_of(load_scene("wealth"), OFFERS))


def changed(**policy: Any) -> dict[str, Any]:
    """The small scene with another policy."""
    return {**SCENE, "policy": policy}


def test_it_names_every_rule_of_the_scene(audit: RuleAudit) -> None:
    assert audit.rules.names == (DATES, "vouchers", "seen often", "dismissed", "bought")
    assert set(audit.rules.offers) == {"cash_001", "fund_001", "fund_002", "voucher_001"}


def test_nothing_happened_and_nothing_is_broken(audit: RuleAudit) -> None:
    assert audit.broken("cash_001", NOON_MS, ACTIVE) == ()


def test_a_campaign_begins_and_another_ends_at_noon(audit: RuleAudit) -> None:
    assert audit.broken("fund_001", NOON_MS - 1, ACTIVE) == (DATES,)
    assert audit.broken("fund_001", NOON_MS, ACTIVE) == ()
    assert audit.broken("fund_002", NOON_MS - 1, ACTIVE) == ()
    assert audit.broken("fund_002", NOON_MS, ACTIVE) == (DATES,)


def test_vouchers_are_not_for_active_users(audit: RuleAudit) -> None:
    assert audit.broken("voucher_001", NOON_MS, ACTIVE) == ("vouchers",)
    assert audit.broken("voucher_001", NOON_MS, NEW) == ()
    assert audit.broken("voucher_001", NOON_MS, {"surface": "home"}) == ("vouchers",)  # no stage fits no condition


def test_the_thirteenth_impression_of_a_day_is_too_many(audit: RuleAudit) -> None:
    for number in range(11):
        audit.add(NOON_MS + number, "impression", "cash_001")
    audit.add(NOON_MS + 20, "impression", "fund_002")
    assert audit.broken("cash_001", NOON_MS + 100, ACTIVE) == ()
    audit.add(NOON_MS + 200, "impression", "cash_001")
    assert audit.broken("cash_001", NOON_MS + 300, ACTIVE) == ("seen often",)
    assert audit.broken("cash_001", NOON_MS + 300, ACTIVE, counted=False) == ()
    assert audit.broken("cash_001", NOON_MS + DAY_MS - 1, ACTIVE) == ("seen often",)
    assert audit.broken("cash_001", NOON_MS + DAY_MS, ACTIVE) == ()  # the first one is a day old


def test_what_was_dismissed_rests_a_week_and_what_was_bought_thirty_days(audit: RuleAudit) -> None:
    audit.add(NOON_MS, "dismiss", "cash_001")
    audit.add(NOON_MS, "convert", "cash_001")
    audit.add(NOON_MS, "click", "cash_001")
    assert audit.broken("cash_001", NOON_MS + 1, ACTIVE) == ("dismissed", "bought")
    assert audit.broken("cash_001", NOON_MS + 7 * DAY_MS, ACTIVE) == ("bought",)
    assert audit.broken("cash_001", NOON_MS + 30 * DAY_MS, ACTIVE) == ()


def test_counting_for_a_category_and_for_the_user() -> None:
    caps = [
        {"name": "two of a category", "kind": "impression", "per": "category", "limit": 2, "within_s": 3600},
        {"name": "three in all", "kind": "impression", "per": "user", "limit": 3, "within": "total"},
    ]
    audit = RuleAudit(rules_of(scene_from_table(changed(caps=caps)), OFFERS))
    audit.add(NOON_MS, "impression", "fund_001")
    audit.add(NOON_MS, "impression", "fund_002")
    assert audit.broken("fund_001", NOON_MS + 1, NEW) == ("two of a category",)
    assert audit.broken("cash_001", NOON_MS + 1, NEW) == ()
    audit.add(NOON_MS + 2, "impression", "page_gold_01")
    assert audit.broken("cash_001", NOON_MS + 900 * DAY_MS, NEW) == ("three in all",)


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ({"quiet_hours": [{"from": "22:00", "until": "07:00"}]}, r"policy\.quiet_hours.*take it out"),
        ({"diversity": 0.5}, r"policy\.diversity"),
        ({"pins": [{"offers": ["fund_a"], "place": 1}]}, r"policy\.pins"),
        ({"eligibility": [{"name": "rich", "when": {"balance": {"at_least": 1}}}]}, "rich: it asks for a .*number"),
    ],
)
def test_a_rule_that_it_does_not_know_is_refused(policy: dict[str, Any], message: str) -> None:
    scene = scene_from_table({**changed(**policy), "attributes": {"names": ["balance"]}})
    with pytest.raises(UncheckableRuleError, match=message):
        rules_of(scene, OFFERS)


@given(st.lists(st.integers(0, 30 * HOUR_MS), max_size=40), st.integers(0, 60 * HOUR_MS))
def test_the_day_cap_is_a_count_of_the_last_24_hours(offsets_ms: list[int], after_ms: int) -> None:
    audit = RuleAudit(rules_of(load_scene("wealth"), OFFERS))
    times_ms = sorted(NOON_MS + offset for offset in offsets_ms)
    for time_ms in times_ms:
        audit.add(time_ms, "impression", "cash_001")
    now_ms = max([NOON_MS, *times_ms]) + after_ms
    recent = sum(now_ms - time_ms < DAY_MS for time_ms in times_ms)
    assert (audit.broken("cash_001", now_ms, ACTIVE) == ("seen often",)) == (recent >= 12)
