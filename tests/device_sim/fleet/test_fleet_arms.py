"""The arms are ordered, events are routed and figures are made from decisions, without engines."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_export.scene.load import load_scene
from device_sim.fleet.arms import Moment, cloud_order, oracle_order, random_order
from device_sim.fleet.closed_loop import ArmLog, FleetDays
from device_sim.fleet.event_routing import EventRouter, UserDevice
from device_sim.fleet.figures import arm_figures, gap_closed, lifts
from device_sim.fleet.rule_audit import RuleAudit, rules_of
from device_sim.fleet.settings import FleetSettingsError, checked_settings
from edge_sdk import BaseDecision
from tests.support.simulator.fleet_examples import SETTINGS, row

EPOCH_MS = 1_767_571_200_000
NAMES = ("cash_001", "fund_001")


def moment(value: list[float], free: list[int], base_order: list[int], seed: int = 0) -> Moment:
    return Moment(
        user=0, time_ms=0, context={}, base=BaseDecision([], []), base_order=base_order, value=np.array(value),
        free=free, generator=np.random.default_rng(seed),
    )  # fmt: skip


def router(count: int = 1, *, uploads: bool = False) -> EventRouter:
    offers = pl.DataFrame(
        {"offer": NAMES, "category": ["money_fund", "bond_fund"], "rankable": [True, True],
         "valid_from": [None, None], "valid_until": [None, None]},
        schema_overrides={"valid_from": pl.Datetime("ms"), "valid_until": pl.Datetime("ms")},
    )  # fmt: skip
    rules = rules_of(load_scene("wealth"), offers)
    return EventRouter([UserDevice(RuleAudit(rules), None) for _ in range(count)], NAMES, EPOCH_MS, uploads=uploads)


# ---- orders ----


def test_each_arm_orders_the_eligible_offers() -> None:
    now = moment([0.1, 0.4, 0.3, 0.4], free=[1, 2, 3], base_order=[2, 0, 3, 1])
    assert cloud_order(now) == [2, 3, 1]
    assert oracle_order(now) == [1, 3, 2]  # equal values: the lower number
    assert sorted(random_order(now)) == [1, 2, 3]
    assert random_order(moment([0.0], free=[], base_order=[0])) == []


@given(st.data())
def test_at_one_state_no_order_is_worth_more_than_the_oracles(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 30))
    value = data.draw(st.lists(st.floats(0, 1.5), min_size=count, max_size=count))
    free = sorted(data.draw(st.sets(st.integers(0, count - 1))))
    other = data.draw(st.permutations(free))
    seen = data.draw(st.integers(0, count))
    now = moment(value, free, list(range(count)))
    best = sum(value[offer] for offer in oracle_order(now)[:seen])
    assert best >= sum(value[offer] for offer in other[:seen]) - 1e-9
    assert best >= sum(value[offer] for offer in random_order(now)[:seen]) - 1e-9


def test_streams_are_named_by_what_they_are_for() -> None:
    days = FleetDays(date(2026, 1, 5), 3, 2, seed=7)
    assert days.stream(1, 2).integers(1 << 40) == days.stream(1, 2).integers(1 << 40)
    drawn = {int(days.stream(*key).integers(1 << 40)) for key in ((1,), (2,), (1, 2), (2, 1), (1, 2, 0, 1))}
    assert len(drawn) == 5
    assert replace(days, seed=8).stream(1).integers(1 << 40) not in drawn


# ---- event routing ----


def test_the_cloud_gets_its_own_events_and_no_others() -> None:
    sink = router()
    one = np.array([0])
    for place, kind in enumerate(("page_view", "item_view", "search", "click", "convert", "dismiss", "session_start")):
        sink.add(kind, one, np.array([1000 + place]), np.array([1]), np.array([5.0]))
    sink.add("impression", one, np.array([2000]), np.array([0]))
    sink.add("due_date", one, np.array([3000]), np.array([0]), np.array([2.0]))
    known = sink.known()
    assert list(zip(known.user, known.time_ms, known.kind, known.item, known.value, strict=True)) == [
        (0, EPOCH_MS + 1004, "convert", "fund_001", 5.0),
        (0, EPOCH_MS + 3000, "due_date", "cash_001", 2.0),
    ]


def test_where_phones_upload_the_cloud_gets_everything() -> None:
    sink = router(uploads=True)
    sink.add("page_view", np.array([0]), np.array([1000]), np.array([1]))
    sink.add("impression", np.array([0, 0]), np.array([1001, 1002]), np.array([0, 1]))
    assert list(sink.known().kind) == ["page_view", "impression", "impression"]
    assert list(sink.known().value) == [0.0, 0.0, 0.0]


def test_notices_wait_until_their_time_and_come_in_order() -> None:
    sink = router(2)
    both = np.array([0, 0, 1])
    sink.add("price_change", both, np.array([9000, 5000, 7000]), np.array([0, 1, 0]), np.array([1.0, 2.0, 3.0]))
    device = sink.devices[0]
    assert [notice.time_ms - EPOCH_MS for notice in device.pending] == [5000, 9000]
    device.deliver_pending(EPOCH_MS + 9000)  # strictly before
    assert [notice.time_ms - EPOCH_MS for notice in device.pending] == [9000]
    sink.add("page_view", np.array([0]), np.array([9001]), np.array([0]))
    assert not device.pending
    assert len(sink.devices[1].pending) == 1


# ---- figures ----


def test_figures_of_a_hand_made_log() -> None:
    log = ArmLog(rows=[row(0, 0.5), row(0, 0.25, session=1), row(1, 1.0, day=4, session=2)])
    log.broken["bought"] = 2
    arm = arm_figures("device", log, SETTINGS, ("bought", "dismissed"))
    assert dict(arm.rules_broken) == {"bought": 2, "dismissed": 0}
    first, second = arm.days
    assert (first.decisions, first.sessions, first.seen, first.clicks) == (2, 1, 12, 2)
    assert (first.value, first.value_per_decision, first.regret_per_decision) == (0.75, 0.375, 0.625)
    assert (first.cumulative_regret, second.cumulative_regret) == (1.25, 1.25)
    assert (arm.total.decisions, arm.total.value, arm.total.cumulative_regret) == (3, 1.75, 1.25)


def test_a_day_without_anybody_has_no_lift_and_no_figures_of_nothing() -> None:
    rows = {name: [row(0, value), row(1, value)] for name, value in (("base", 0.5), ("device", 0.75), ("oracle", 1.0))}
    found = lifts(rows, SETTINGS)
    assert {lift.day for lift in found} == {None, 1}
    total = next(lift for lift in found if (lift.arm, lift.over, lift.day) == ("device", "base", None))
    assert total.absolute.model_dump() == {"mean": 0.25, "low": 0.25, "high": 0.25}
    assert total.relative.model_dump() == {"mean": 0.5, "low": 0.5, "high": 0.5}
    closed = gap_closed(rows, SETTINGS)
    assert closed is not None
    assert (closed.mean, closed.low, closed.high) == (0.5, 0.5, 0.5)
    assert gap_closed({**rows, "oracle": rows["base"]}, SETTINGS) is None
    quiet = arm_figures("base", ArmLog(), SETTINGS, ()).total
    assert (quiet.decisions, quiet.value_per_decision, quiet.regret_per_decision) == (0, 0.0, 0.0)


def test_users_are_resampled_whole() -> None:
    """Two users of whom one gains 1 and one nothing: the interval is wide, however many decisions each has."""
    settings = SETTINGS.model_copy(update={"devices": 2})
    base = [row(user, 1.0) for user in (0, 1) for _ in range(500)]
    device = [row(user, 2.0 if user else 1.0) for user in (0, 1) for _ in range(500)]
    lift = lifts({"base": base, "device": device}, settings)[0]
    assert lift.absolute.model_dump() == {"mean": 0.5, "low": 0.0, "high": 1.0}


# ---- settings ----


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("devices", 0, "--devices is 0: give a number from 1 to 20000"),
        ("days", 10**9, "--days is 1000000000: give a number from 1 to 60"),
        ("seed", -1, "--seed is -1: give a number from 0 to 4294967295"),
        ("panel_users", 1, "--panel-users is 1: give a number from 20 to 20000"),
        ("panel_days", 2, "--panel-days is 2: give a number from 3 to 60"),
    ],
)
def test_bad_numbers_are_refused_with_the_fix(name: str, value: int, message: str) -> None:
    good = {"devices": 1, "days": 1, "seed": 1, "panel_users": 20, "panel_days": 3}
    with pytest.raises(FleetSettingsError) as refused:
        checked_settings(**(good | {name: value}))
    assert str(refused.value) == message
