"""Spending in a period equals examples, is the same at once and one by one, and survives a clock that steps back."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.memory.spending import Spending, SpendingRule

DAY_MS, TODAY = 86_400_000, 20_000  # days since 1970
RULE = SpendingRule(frozenset({1}), 86_400)
NOON_MS = TODAY * DAY_MS + DAY_MS // 2


def test_costs_add_up_within_a_period_and_a_new_one_begins_at_nothing() -> None:
    meter = Spending(RULE)
    for time_ms, cost in ((NOON_MS, 0.5), (NOON_MS + 1, 0.25), (NOON_MS + DAY_MS // 2 - 1, 1.0)):
        meter.add(time_ms, cost)
    assert meter.spent(NOON_MS) == 1.75
    assert meter.spent((TODAY + 1) * DAY_MS - 1) == 1.75
    assert meter.spent((TODAY + 1) * DAY_MS) == 0.0
    meter.add((TODAY + 1) * DAY_MS, 2.0)
    assert meter.spent((TODAY + 1) * DAY_MS) == 2.0


def test_what_costs_nothing_moves_nothing() -> None:
    meter = Spending(RULE)
    meter.add(NOON_MS, 1.0)
    for cost in (0.0, -3.0, float("nan")):
        meter.add(NOON_MS + 5 * DAY_MS, cost)
    assert meter.spent(NOON_MS) == 1.0


def test_a_clock_that_steps_back_a_little_does_not_empty_the_meter() -> None:
    meter = Spending(RULE)
    meter.add(NOON_MS, 1.0)
    assert meter.spent(NOON_MS - DAY_MS) == 1.0
    meter.add(NOON_MS - DAY_MS, 2.0)
    assert (meter.spent(NOON_MS - DAY_MS), meter.spent(NOON_MS)) == (3.0, 3.0)


def test_a_clock_that_came_back_from_far_ahead_begins_anew() -> None:
    meter = Spending(RULE)
    meter.add(NOON_MS + 365 * DAY_MS, 9.0)
    assert meter.spent(NOON_MS) == 0.0
    meter.add(NOON_MS, 1.0)
    assert (meter.spent(NOON_MS), meter.spent(NOON_MS + 365 * DAY_MS)) == (1.0, 0.0)


def test_without_a_budget_nothing_is_spent_and_nothing_kept() -> None:
    meter = Spending(None)
    assert (meter.spent(NOON_MS), meter.dump(), meter.load(b"beyond")) == (0.0, b"", 0)


def test_bytes_that_are_too_few_are_refused() -> None:
    with pytest.raises(ValueError, match="not the state of a budget"):
        Spending(RULE).load(bytes(15))


EVENTS = st.lists(
    st.tuples(
        st.one_of(st.integers(NOON_MS, NOON_MS + 2 * DAY_MS), st.integers(0, 2 * NOON_MS)),
        st.floats(-1.0, 1e6, width=32),
    ),
    max_size=40,
)


@given(events=EVENTS, cut=st.integers(0, 40), is_sorted=st.booleans())
def test_at_once_is_as_one_by_one(events: list[tuple[int, float]], cut: int, is_sorted: bool) -> None:
    events = sorted(events) if is_sorted else events
    one_by_one, at_once = Spending(RULE), Spending(RULE)
    for event in events:
        one_by_one.add(*event)
    for event in events[:cut]:
        at_once.add(*event)
    times_ms, values = ([event[column] for event in events[cut:]] for column in (0, 1))
    at_once.add_many(np.array(times_ms, np.int64), np.array(values, np.float32))
    assert at_once.dump() == one_by_one.dump()
    loaded = Spending(RULE)
    assert loaded.load(at_once.dump() + b"beyond") == 16
    assert loaded.dump() == at_once.dump()


@given(events=EVENTS)
def test_while_the_clock_goes_on_it_is_the_sum_of_the_period(events: list[tuple[int, float]]) -> None:
    meter = Spending(RULE)
    for event in sorted(events):
        meter.add(*event)
    now_ms = max((time_ms for time_ms, cost in events if cost > 0), default=NOON_MS)
    exact = sum(Fraction(cost) for time_ms, cost in events if cost > 0 and time_ms // DAY_MS == now_ms // DAY_MS)
    assert meter.spent(now_ms) == pytest.approx(float(exact), rel=1e-12)
