"""Derived events equal literal examples, and many events at once give those of one after the other."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.memory.derived_events import DerivedEvent, Deriver
from edge_sdk.memory.derived_rules import DerivedRules, DwellRule, IgnoredRule, SessionRule

VIEW, CLICK, SHOWN, PRICE = 1, 2, 3, 4  # recorded kinds; nobody's activity: PRICE
START, END, STAY, LOOK, IGNORED, TIRED = 11, 12, 13, 14, 15, 16  # derived kinds
YEAR_MS = 31_536_000_000
Story = list[tuple[int, int, int, float]]  # time_ms, kind, item, value

SESSION = SessionRule(START, END, frozenset({VIEW, CLICK, SHOWN}), gap_s=30)
STAYS = (
    DwellRule(STAY, frozenset({VIEW}), frozenset({VIEW, CLICK}), longest_s=60),
    DwellRule(LOOK, frozenset({VIEW, SHOWN}), frozenset({CLICK}), longest_s=1),  # of two views the later stays open
)
PASSES = (
    IgnoredRule(IGNORED, frozenset({SHOWN}), frozenset({CLICK}), count=3),
    IgnoredRule(TIRED, frozenset({SHOWN, VIEW}), frozenset({VIEW, PRICE}), count=1),  # a view only resets
)
ALL = DerivedRules(SESSION, STAYS, PASSES)


def fed(deriver: Deriver, story: Story) -> Story:
    """The story with what follows from it, one event after the other."""
    events: Story = []
    for time_ms, kind, item, value in story:
        before, after = deriver.feed(time_ms, kind, item)
        events += [*before, (time_ms, kind, item, value), *after]
    return events


def fed_at_once(deriver: Deriver, story: Story) -> list[DerivedEvent]:
    times, kinds, items, values = zip(*story, strict=True) if story else ((), (), (), ())
    columns = deriver.feed_many(
        np.array(times, np.int64), np.array(kinds, np.uint16), np.array(items, np.int64), np.array(values, np.float32)
    )
    assert [column.dtype for column in columns] == [np.int64, np.uint16, np.int64, np.float32]
    return list(zip(*(column.tolist() for column in columns), strict=True))


def derived(rules: DerivedRules, story: Story) -> Story:
    """Only what follows from the story."""
    return [event for event in fed(Deriver(rules), story) if event[1] > PRICE]


def test_a_session_starts_ends_and_starts_again() -> None:
    story = [(1_000, VIEW, 7, 0.0), (31_000, CLICK, 7, 0.0), (61_001, VIEW, 8, 0.0)]

    assert fed(Deriver(DerivedRules(SESSION)), story) == [
        (1_000, START, 0, 0.0), story[0], story[1], (31_000, END, 0, 30.0), (61_001, START, 0, 30.000999450683594),
        story[2],
    ]  # fmt: skip


def test_a_kind_that_is_not_wanted_is_not_derived() -> None:
    story = [(0, VIEW, 7, 0.0), (40_000, VIEW, 7, 0.0)]

    only_end = DerivedRules(SessionRule(0, END, SESSION.activity, 30))
    only_start = DerivedRules(SessionRule(START, 0, SESSION.activity, 30))

    assert derived(only_end, story) == [(0, END, 0, 0.0)]
    assert derived(only_start, story) == [(0, START, 0, 0.0), (40_000, START, 0, 40.0)]


def test_other_kinds_neither_start_nor_prolong_a_session() -> None:
    story = [(0, PRICE, 7, 0.0), (1_000, VIEW, 7, 0.0), (20_000, PRICE, 7, 0.0), (40_000, VIEW, 7, 0.0)]

    assert derived(DerivedRules(SESSION), story) == [
        (1_000, START, 0, 0.0), (1_000, END, 0, 0.0), (40_000, START, 0, 39.0)
    ]  # fmt: skip


def test_a_clock_that_steps_back_makes_no_pause_and_no_negative_length() -> None:
    story = [(YEAR_MS, VIEW, 7, 0.0), (1_000, VIEW, 7, 0.0), (50_000, VIEW, 7, 0.0)]

    assert derived(DerivedRules(SESSION), story) == [
        (YEAR_MS, START, 0, 0.0), (1_000, END, 0, 0.0), (50_000, START, 0, 49.0)
    ]  # fmt: skip
    assert derived(DerivedRules(dwell=STAYS[:1]), story) == [(50_000, STAY, 7, 49.0)]


def test_a_stay_ends_with_the_next_activity() -> None:
    rules = DerivedRules(dwell=STAYS[:1])
    story = [
        (0, VIEW, 7, 0.0),
        (500, PRICE, 9, 0.0),
        (1_500, VIEW, 8, 0.0),
        (1_500, CLICK, 8, 0.0),
        (9_000, CLICK, 8, 0.0),
    ]

    assert derived(rules, story) == [(1_500, STAY, 7, 1.5), (1_500, STAY, 8, 0.0)]
    assert derived(rules, [(0, VIEW, 7, 0.0), (60_000, CLICK, 0, 0.0)]) == [(60_000, STAY, 7, 60.0)]
    assert derived(rules, [(0, VIEW, 7, 0.0), (60_001, CLICK, 0, 0.0)]) == []
    assert derived(rules, [(0, VIEW, 0, 0.0), (1_000, CLICK, 7, 0.0)]) == []
    assert derived(rules, [(0, VIEW, 7, 0.0), (400, VIEW, 0, 0.0), (900, CLICK, 7, 0.0)]) == [
        (400, STAY, 7, 0.4000000059604645)
    ]


def test_offers_passed_over() -> None:
    rules = DerivedRules(ignored=PASSES[:1])
    shown, click = (5, SHOWN, 7, 0.0), (5, CLICK, 7, 0.0)

    assert fed(Deriver(rules), [shown] * 4) == [shown, shown, shown, (5, IGNORED, 0, 3.0), shown]
    assert derived(rules, [shown, shown, click, shown, shown]) == []
    assert len(derived(rules, [shown] * 7)) == 2


def test_the_order_where_several_follow() -> None:
    story = [(0, VIEW, 7, 0.0), (900, SHOWN, 8, 0.0), (31_000, CLICK, 0, 0.0), (31_000, SHOWN, 9, 0.0)]
    rules = DerivedRules(SESSION, (STAYS[0], DwellRule(LOOK, STAYS[1].of, STAYS[1].activity, 60)),
                         (PASSES[1], IgnoredRule(IGNORED, frozenset({SHOWN}), frozenset({CLICK}), 1)))  # fmt: skip

    assert [kind for _, kind, _, _ in fed(Deriver(rules), story)] == [
        START, VIEW, SHOWN, TIRED, IGNORED, STAY, LOOK, END, START, CLICK, SHOWN, TIRED, IGNORED
    ]  # fmt: skip


def test_without_rules_nothing_follows() -> None:
    deriver = Deriver(DerivedRules())

    assert deriver.is_idle
    assert not Deriver(DerivedRules(SESSION)).is_idle
    assert fed(deriver, [(0, VIEW, 7, 1.5)]) == [(0, VIEW, 7, 1.5)] == fed_at_once(deriver, [(0, VIEW, 7, 1.5)])


steps_ms = st.one_of(
    st.integers(0, 2_000),
    st.integers(28_000, 62_000),
    st.integers(-3_000, 0),
    st.sampled_from([-YEAR_MS, YEAR_MS, 30_000, 60_000]),
)
stories = st.lists(st.tuples(steps_ms, st.integers(1, 5), st.sampled_from([0, 1, 7, 0xFFFFFFFF])), max_size=60)
kinds_of = st.frozensets(st.integers(1, 4), min_size=1)
gaps_s = st.integers(0, 61)
sessions = st.builds(SessionRule, st.sampled_from([0, START]), st.sampled_from([0, END]), kinds_of, gaps_s)
stays = st.builds(DwellRule, st.just(STAY), kinds_of, kinds_of, gaps_s)
passes = st.builds(IgnoredRule, st.just(IGNORED), kinds_of, kinds_of, st.integers(1, 4))
rules_of = st.one_of(
    st.just(ALL),
    st.builds(
        DerivedRules,
        st.none() | sessions,
        st.lists(stays, max_size=3).map(tuple),
        st.lists(passes, max_size=3).map(tuple),
    ),
)


def story_of(steps: list[tuple[int, int, int]]) -> Story:
    now_ms, story = 2 * YEAR_MS, []
    for number, (step_ms, kind, item) in enumerate(steps):
        now_ms = max(0, now_ms + step_ms)
        story.append((now_ms, kind, item, float(number)))
    return story


@given(rules=rules_of, steps=stories, cuts=st.lists(st.integers(0, 60), max_size=3))
def test_many_at_once_are_the_same_as_one_by_one(
    rules: DerivedRules, steps: list[tuple[int, int, int]], cuts: list[int]
) -> None:
    story = story_of(steps)
    one_by_one, at_once = Deriver(rules), Deriver(rules)

    expected = fed(one_by_one, story)
    found: Story = []
    bounds = [0, *sorted(min(cut, len(story)) for cut in cuts), len(story)]
    for begin, end in pairwise(bounds):
        found += fed_at_once(at_once, story[begin:end])

    assert found == expected
    assert at_once.dump() == one_by_one.dump()


@given(rules=rules_of, steps=stories, cut=st.integers(0, 60))
def test_a_dumped_state_goes_on(rules: DerivedRules, steps: list[tuple[int, int, int]], cut: int) -> None:
    story = story_of(steps)
    whole, first, second = Deriver(rules), Deriver(rules), Deriver(rules)

    begun = fed(first, story[:cut])
    second.load(first.dump())

    assert begun + fed(second, story[cut:]) == fed(whole, story)
    assert len(first.dump()) == len(Deriver(rules).dump())


def test_a_state_of_other_rules_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^16 bytes are not the state of 2 dwell and 2 ignored rules$"):
        Deriver(ALL).load(Deriver(DerivedRules()).dump())
