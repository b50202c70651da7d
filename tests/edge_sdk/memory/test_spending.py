"""Spending in a period equals examples, is the same at once and one by one, and survives a clock that steps back."""

from __future__ import annotations

import struct
from datetime import datetime
from fractions import Fraction
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.clock import UTC
from edge_sdk.engine.local_time import LocalClock, utc_offset_of
from edge_sdk.log.local_field import local_field
from edge_sdk.memory.spending import UNITS_MAX, UNITS_PER_ONE, Periods, Spending, SpendingRule, units, units_of

DAY_MS, TODAY = 86_400_000, 20_000  # days since 1970
RULE = SpendingRule(frozenset({1}), Periods(86_400), units_per_one=100)
NOON_MS = TODAY * DAY_MS + DAY_MS // 2
LIVE, BACK = local_field(0), local_field(0, is_back_filled=True)


def test_costs_add_up_within_a_period_and_a_new_one_begins_at_nothing() -> None:
    meter = Spending(RULE)
    for time_ms, cost in ((NOON_MS, 0.5), (NOON_MS + 1, 0.25), (NOON_MS + DAY_MS // 2 - 1, 1.0)):
        meter.add(time_ms, cost)
    assert meter.spent(NOON_MS) == 175
    assert meter.spent((TODAY + 1) * DAY_MS - 1) == 175
    assert meter.spent((TODAY + 1) * DAY_MS) == 0
    meter.add((TODAY + 1) * DAY_MS, 2.0)
    assert meter.spent((TODAY + 1) * DAY_MS) == 200


def test_what_costs_nothing_moves_nothing() -> None:
    meter = Spending(RULE)
    meter.add(NOON_MS, 1.0)
    for cost in (0.0, -3.0, float("nan")):
        meter.add(NOON_MS + 5 * DAY_MS, cost)
    assert meter.spent(NOON_MS) == 100


def test_what_was_spent_ahead_counts_in_the_day_to_which_the_clock_is_set_back() -> None:
    """The clock says tomorrow for one event: today's spending survives it, and tomorrow's is there tomorrow."""
    meter = Spending(RULE)
    for time_ms, cost in ((NOON_MS, 1.0), (NOON_MS + DAY_MS, 2.0), (NOON_MS, 4.0)):
        meter.add(time_ms, cost, LIVE)
    assert (meter.spent(NOON_MS), meter.spent(NOON_MS + DAY_MS)) == (700, 200)


@pytest.mark.parametrize("ahead", [1, 2, 365])
def test_the_same_without_an_event_of_today(ahead: int) -> None:
    meter = Spending(RULE)
    meter.add(NOON_MS, 1.0, LIVE)
    meter.add(NOON_MS + ahead * DAY_MS, 2.0, LIVE)
    meter.set_back(NOON_MS, 0)
    meter.set_back(NOON_MS, 0)
    assert [meter.spent(NOON_MS + days * DAY_MS) for days in (0, 1, ahead)] == [300, 200 * (ahead == 1), 200]


def test_a_clock_that_comes_and_goes_counts_nothing_twice() -> None:
    meter = Spending(RULE)
    for _ in range(5):
        meter.add(NOON_MS, 1.0, LIVE)
        meter.add(NOON_MS + DAY_MS, 2.0, LIVE)
    assert (meter.spent(NOON_MS + DAY_MS), meter.spent(NOON_MS)) == (1000, 1500)


def test_a_clock_that_was_far_ahead_is_forgotten_the_next_day() -> None:
    meter = Spending(RULE)
    meter.add(NOON_MS + 365 * DAY_MS, 9.0, LIVE)
    assert meter.spent(NOON_MS) == 900
    meter.add(NOON_MS, 1.0, LIVE)
    meter.add(NOON_MS + DAY_MS, 2.0, LIVE)
    assert (meter.spent(NOON_MS), meter.spent(NOON_MS + DAY_MS)) == (1200, 200)


def test_of_many_days_those_nearest_to_the_clock_are_kept() -> None:
    meter = Spending(RULE)
    days = [1000, 2000, *range(-3, 5)]
    for day in days:
        meter.add(NOON_MS + day * DAY_MS, 1.0, LIVE)
    kept = struct.unpack("<16q", meter.dump())[::2]
    assert kept == (TODAY + 4, *range(TODAY - 3, TODAY + 4))


def test_without_a_budget_nothing_is_spent_and_nothing_kept() -> None:
    meter = Spending(None)
    assert (meter.spent(NOON_MS), meter.dump(), meter.load(b"beyond")) == (0, b"", 0)


def test_bytes_that_are_too_few_are_refused() -> None:
    with pytest.raises(ValueError, match="not the state of a budget"):
        Spending(RULE).load(bytes(127))


def test_ten_costs_of_a_tenth_make_one() -> None:
    """Floats would come to 0.9999999999999999 in doubles and 1.0000001 in float32."""
    meter = Spending(SpendingRule(frozenset({1}), Periods(86_400)))
    for _ in range(10):
        meter.add(NOON_MS, float(np.float32(0.1)))
    assert meter.spent(NOON_MS) == units(1.0, UNITS_PER_ONE) == 1_000_000


@pytest.mark.parametrize(
    ("cost", "cents"), [(0.005, 0), (0.015, 1), (0.125, 12), (0.375, 38), (2.675, 267), (1e30, UNITS_MAX)]
)
def test_a_cost_is_the_nearest_whole_number_of_units(cost: float, cents: int) -> None:
    """Exactly between two, the even one: 0.125 and 0.375 are float32 numbers, 0.005 and 0.015 are not."""
    single = np.float32(cost)
    assert units(float(single), 100) == cents
    assert units_of(np.array([single]), 100).tolist() == [cents]


@given(
    st.lists(st.floats(0, width=32, allow_infinity=False), min_size=1), st.sampled_from([1, 100, 1_000_000, 2**32 - 1])
)
def test_units_of_many_are_those_of_each(costs: list[float], units_per_one: int) -> None:
    found = units_of(np.array(costs, np.float32), units_per_one)
    assert list(map(int, found.tolist())) == [units(cost, units_per_one) for cost in costs]


def test_a_sum_stops_at_the_largest_whole_number_of_a_double() -> None:
    one_by_one, at_once = Spending(RULE), Spending(RULE)
    for _ in range(40):
        one_by_one.add(NOON_MS, 1e13)
    at_once.add_many(np.full(40, NOON_MS), np.full(40, 1e13, np.float32), np.zeros(40, np.uint16))
    assert one_by_one.dump() == at_once.dump()
    assert one_by_one.spent(NOON_MS) == UNITS_MAX == 2**53 - 1


@pytest.mark.parametrize(("late_ms", "spent"), [(DAY_MS, 100), (5 * DAY_MS, 100), (1000, 300)])
def test_what_is_back_filled_from_an_earlier_day_counts_on_that_day(late_ms: int, spent: int) -> None:
    meter = Spending(RULE)
    meter.add(NOON_MS, 1.0, LIVE)
    meter.add(NOON_MS - late_ms, 2.0, BACK)
    assert (meter.spent(NOON_MS), meter.spent(NOON_MS - late_ms)) == (spent, 300)


def test_newest_first_back_fill_keeps_what_it_adds_of_today() -> None:
    meter = Spending(RULE)
    for day in (1, 0, -1):
        meter.add(NOON_MS + day * DAY_MS, 2.0, BACK)
    meter.set_back(NOON_MS, 0)
    meter.add(NOON_MS, 1.0, LIVE)
    assert [meter.spent(NOON_MS + day * DAY_MS) for day in (1, 0)] == [200, 500]


def test_a_local_day_ends_at_local_midnight() -> None:
    """Kathmandu is 5:45 ahead: its midnight is at 18:15 UTC. An event whose offset is not known counts as of UTC."""
    offset_s = 20_700
    meter = Spending(RULE._replace(periods=Periods(86_400, is_local=True)))
    midnight_ms = TODAY * DAY_MS + (86_400 - offset_s) * 1000
    meter.add(midnight_ms - 1, 1.0, local_field(offset_s))
    assert (meter.spent(midnight_ms - 1, offset_s), meter.spent(midnight_ms, offset_s)) == (100, 0)
    meter.add(midnight_ms, 2.0, local_field(offset_s))
    assert meter.spent(midnight_ms, offset_s) == 200
    meter.add((TODAY + 2) * DAY_MS, 4.0)
    assert meter.spent((TODAY + 2) * DAY_MS, 0) == 400


def test_a_week_begins_on_monday() -> None:
    monday_ms = 1_768_176_000_000  # 2026-01-12 00:00 UTC
    weeks, former = Periods(604_800, first_s=345_600), Periods(604_800)
    assert weeks.number(monday_ms, 0) == weeks.number(monday_ms - 1, 0) + 1
    assert former.number(monday_ms, 0) == former.number(monday_ms - 1, 0)
    assert former.number(monday_ms + 3 * DAY_MS, 0) == former.number(monday_ms, 0) + 1  # Thursday
    assert weeks.end_ms(monday_ms, UTC) == monday_ms + 7 * DAY_MS
    assert (weeks.elapsed(monday_ms, 0), weeks.elapsed(monday_ms + 7 * DAY_MS // 2, 0)) == (0.0, 0.5)


ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns",
         "Africa/Casablanca", "Pacific/Apia", "America/Asuncion"]  # fmt: skip


@given(st.sampled_from(ZONES), st.integers(1_262_304_000, 1_893_456_000), st.sampled_from([86_400, 604_800]))
@settings(max_examples=300)
def test_a_period_ends_where_the_local_date_says_so(zone: str, now_s: int, length_s: int) -> None:
    """Against the calendar of `zoneinfo`: the first moment whose local date is in another day or week."""
    periods, rules = Periods(length_s, first_s=345_600, is_local=True), ZoneInfo(zone)

    def date_of(at_s: int) -> tuple[int, ...]:
        day = datetime.fromtimestamp(at_s, rules)
        return day.isocalendar()[:2] if length_s > 86_400 else (day.year, day.month, day.day)

    local = LocalClock(utc_offset_of(zone)).at(now_s * 1000)
    offset_s = local.offset_s
    end_s = periods.end_ms(now_s * 1000, local) // 1000
    assert now_s < end_s <= now_s + length_s + 90_000
    assert date_of(end_s) != date_of(now_s)
    # Until then every moment is in the period of now, but for the hour before a midnight that comes twice.
    for at_s in (now_s, (now_s + end_s) // 2, end_s - 1):
        assert date_of(at_s) == date_of(now_s)
        assert periods.number(at_s * 1000, local.offset_at(at_s * 1000)) == periods.number(now_s * 1000, offset_s)
    assert periods.number(end_s * 1000, local.offset_at(end_s * 1000)) > periods.number(now_s * 1000, offset_s)


EVENTS = st.lists(
    st.tuples(
        st.one_of(st.integers(NOON_MS, NOON_MS + 2 * DAY_MS), st.integers(0, 2 * NOON_MS)),
        st.floats(-1.0, 1e6, width=32),
        st.sampled_from(
            [0, LIVE, BACK, local_field(-36_000), local_field(46_800), local_field(20_700, is_back_filled=True)]
        ),
    ),
    max_size=40,
)
RULES = st.builds(
    SpendingRule, st.just(frozenset({1})),
    st.builds(Periods, st.just(86_400), st.sampled_from([0, 345_600]), st.booleans()),
    st.sampled_from([1, 100, 1_000_000]),
)  # fmt: skip


@given(events=EVENTS, cut=st.integers(0, 40), is_sorted=st.booleans(), rule=RULES)
def test_at_once_is_as_one_by_one(
    events: list[tuple[int, float, int]], cut: int, is_sorted: bool, rule: SpendingRule
) -> None:
    events = sorted(events) if is_sorted else events
    one_by_one, at_once = Spending(rule), Spending(rule)
    for event in events:
        one_by_one.add(*event)
    for event in events[:cut]:
        at_once.add(*event)
    times_ms, values, local = ([event[column] for event in events[cut:]] for column in (0, 1, 2))
    at_once.add_many(np.array(times_ms, np.int64), np.array(values, np.float32), np.array(local, np.uint16))
    assert at_once.dump() == one_by_one.dump()
    loaded = Spending(rule)
    assert loaded.load(at_once.dump() + b"beyond") == 128
    assert loaded.dump() == at_once.dump()


READINGS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 900), st.sampled_from(["live", "back-filled", "set back"])), max_size=30
)


@given(READINGS)
def test_sums_are_those_of_all_events_by_the_rule(readings: list[tuple[int, int, str]]) -> None:
    """Against all events there were: in a day and, since it began, in later ones; no day is short of its own events."""
    meter = Spending(RULE._replace(units_per_one=1))
    events: list[tuple[int, int]] = []
    begun: dict[int, tuple[int, int]] = {}  # of each day: events before it began, and what was ahead of it then
    today = 0

    def spent(day: int) -> int:
        since, before = begun[day]
        return before + sum(cost for of, cost in events[since:] if of >= day)

    for day, cost, how in readings:
        if how == "set back" and (day >= today or not begun):
            meter.set_back(NOON_MS + day * DAY_MS, 0)  # the clock goes on: nothing to tell
            continue
        if how == "set back" or cost:
            ahead = [other for other in begun if other > day]
            begun.setdefault(day, (len(events), spent(min(ahead)) if ahead and day < today else 0))
            today = max(day, today) if how == "back-filled" and len(begun) > 1 else day
        if how == "set back":
            meter.set_back(NOON_MS + day * DAY_MS, 0)
        else:
            meter.add(NOON_MS + day * DAY_MS, float(cost), LIVE if how == "live" else BACK)
            events += [(day, cost)] if cost else []
        for other in begun:
            assert meter.spent(NOON_MS + other * DAY_MS) == spent(other)
            assert spent(other) >= sum(cost for of, cost in events if of == other)


@given(events=EVENTS)
def test_while_the_clock_goes_on_it_is_the_sum_of_the_period(events: list[tuple[int, float, int]]) -> None:
    meter = Spending(RULE)
    for time_ms, cost, _ in sorted(events):
        meter.add(time_ms, cost)
    now_ms = max((time_ms for time_ms, cost, _ in events if cost > 0), default=NOON_MS)
    of_today = [cost for time_ms, cost, _ in events if cost > 0 and time_ms // DAY_MS == now_ms // DAY_MS]
    assert meter.spent(now_ms) == sum(round(Fraction(cost) * 100) for cost in of_today)


@pytest.mark.parametrize("numbers", [[1, -1], [1, UNITS_MAX + 1], [1, 5, 1, 6], [1, 0, 2, 5]])
def test_numbers_that_are_no_sums_are_refused(numbers: list[int]) -> None:
    with pytest.raises(ValueError, match="not the state of a budget"):
        Spending(RULE).load(struct.pack("<16q", *numbers, *[0] * (16 - len(numbers))))


def test_the_sum_of_a_former_snapshot_goes_on_in_units() -> None:
    meter = Spending(RULE)
    assert meter.load(struct.pack("<qd", TODAY, 0.1 + 0.2), is_former=True) == 16
    assert meter.spent(NOON_MS) == 30
    for sum_of_values in (-1.0, float("nan")):
        with pytest.raises(ValueError, match="not the state of a budget"):
            meter.load(struct.pack("<qd", TODAY, sum_of_values), is_former=True)
