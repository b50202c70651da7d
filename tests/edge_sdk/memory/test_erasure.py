"""After an erase, memory has the effects of the other events and none of the erased ones."""

from __future__ import annotations

from collections.abc import Collection
from itertools import accumulate

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.memory.caps import CapRule
from edge_sdk.memory.decay import PERIOD_TICKS, DecayTables
from edge_sdk.memory.derived_rules import DerivedRules, DwellRule, IgnoredRule, SessionRule
from edge_sdk.memory.erasure import inherit_unaffected
from edge_sdk.memory.layout import KindRule, MemoryLayout
from edge_sdk.memory.memory import Memory
from edge_sdk.memory.spending import Periods, SpendingRule
from edge_sdk.memory.state_machines import MachineRule, MachineStep
from edge_sdk.memory.targets import Scope
from edge_sdk.types import F32
from edge_sdk.vocabulary import Vocabulary
from tests.support.cap_answers import cap_bits
from tests.support.memory_reads import cap_ends_ms

START_MS = 1_768_478_400_000
VIEW, CLICK, SHOWN, SESSION, STAY, TIRED = 1, 2, 3, 4, 5, 6
# Offers 10 and 20 of categories 1 and 2, item 30 of category 1, item 40 of none.
PLAIN = MemoryLayout(
    window=4,
    kinds={kind: KindRule(kind, True, kind - 1) for kind in (VIEW, CLICK, SHOWN, SESSION, STAY, TIRED)},
    items=Vocabulary(np.array([10, 20, 30, 40], np.uint32), b"a\nb\nc\nd", np.array([1, 2, 1, 0], np.uint16)),
    offers=Vocabulary(np.array([10, 20], np.uint32), b"a\nb", np.array([1, 2], np.uint16)),
    category_rows=3,
    counter_kinds=6,
    decays=(DecayTables.of(60), DecayTables.of(604_800)),
    caps=(
        CapRule((SHOWN,), Scope.OFFER, limit=2, within_s=3600, cooldown=False),
        CapRule((CLICK,), Scope.CATEGORY, limit=3, within_s=3600, cooldown=False),
        CapRule((STAY,), Scope.OFFER, limit=1, within_s=3600, cooldown=True),
        CapRule((SHOWN, CLICK), Scope.USER, limit=2, within_s=0, cooldown=False),
        CapRule((VIEW, SHOWN), Scope.CATEGORY, limit=2, within_s=3600, cooldown=False),
    ),
    machines=(
        MachineRule("stage", Scope.USER, ("new", "active", "lost"), (
            MachineStep(frozenset(), VIEW, 3, 0, 1), MachineStep(frozenset({1}), 0, 1, 600, 2),
            MachineStep(frozenset({2}), TIRED, 1, 0, 0))),
        MachineRule("phase", Scope.OFFER, ("before", "during", "after"), (
            MachineStep(frozenset(), CLICK, 2, 0, 1), MachineStep(frozenset({1}), SHOWN, 2, 0, 2))),
        MachineRule("liking", Scope.CATEGORY, ("none", "some"), (
            MachineStep(frozenset(), STAY, 1, 0, 1), MachineStep(frozenset({1}), 0, 1, 600, 0))),
    ),
    spending=SpendingRule(frozenset({SHOWN}), Periods(3600)),
)  # fmt: skip
DERIVING = PLAIN._replace(
    derived=DerivedRules(
        SessionRule(SESSION, 0, frozenset({VIEW}), gap_s=30),
        (DwellRule(STAY, frozenset({VIEW}), frozenset({VIEW, SHOWN}), longest_s=600),),
        (IgnoredRule(TIRED, frozenset({SHOWN}), frozenset({CLICK}), count=2),),
    ),
)
FOLLOWS = {VIEW: {SESSION, STAY}, SHOWN: {STAY, TIRED}, CLICK: {TIRED}}  # what reads a kind
CATEGORY = {10: 1, 20: 2, 30: 1}

Event = tuple[int, int, int, float]
Chosen = frozenset[int] | None
EVENTS = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 90_000), st.integers(0, 40_000_000)),
        st.sampled_from([VIEW, CLICK, SHOWN, 9]),
        st.sampled_from([0, 10, 20, 30, 40, 50]),
    ),
    max_size=40,
).map(lambda steps: [
    (at, kind, item, 1.0)
    for at, (_, kind, item) in zip(accumulate((step[0] for step in steps), initial=START_MS), steps, strict=False)
])  # fmt: skip
KINDS = st.one_of(st.none(), st.frozensets(st.sampled_from([VIEW, CLICK, SHOWN])))
ITEMS = st.one_of(st.none(), st.frozensets(st.sampled_from([10, 20, 30, 40, 50])))


def ingested(layout: MemoryLayout, events: list[Event]) -> Memory:
    memory = Memory(layout)
    for event in events:
        memory.add(*event)
    return memory


def is_erased(event: Event, kinds: Chosen, items: Chosen) -> bool:
    return (kinds is None or event[1] in kinds) and (items is None or event[2] in items)


def counters(memory: Memory, now_ms: int) -> F32:
    """By target, side (offer, category), kind and half-life."""
    out = np.zeros((3, memory.layout.counter_features), np.float32)
    memory.counters.fill(now_ms, memory.layout.counter_slots(np.arange(3)), out)
    return out.reshape(3, 2, 6, 2)


def untouched(layout: MemoryLayout, kinds: Chosen, items: Chosen) -> npt.NDArray[np.bool_]:
    """By definition: row of the offer (its category has the same number), side, kind."""
    erased = {VIEW, CLICK, SHOWN} if kinds is None else kinds
    derives = layout is DERIVING
    found = np.ones((3, 2, 6), np.bool_)
    for kind in erased:
        for follower in FOLLOWS[kind] if derives else ():
            found[:, :, follower - 1] = False
        for item in (10, 20, 30) if items is None else items:
            if item in (10, 20):
                found[item // 10, 0, kind - 1] = False
            found[CATEGORY.get(item, 0), 1, kind - 1] = False
    return found


@given(events=EVENTS, dropped=st.integers(0, 40), kinds=KINDS, items=ITEMS, layout=st.sampled_from([PLAIN, DERIVING]))
@settings(max_examples=400, deadline=None)
def test_counts_of_other_events_are_as_if_the_erased_had_never_been(
    events: list[Event], dropped: int, kinds: Chosen, items: Chosen, layout: MemoryLayout
) -> None:
    old = ingested(layout, events)
    before = old.dump()
    survivors = [event for event in events if not is_erased(event, kinds, items)]
    in_log = [event for event in events[dropped:] if not is_erased(event, kinds, items)]
    rebuilt, never_seen = ingested(layout, in_log), ingested(layout, survivors)
    inherit_unaffected(rebuilt, old, kinds, items)
    assert old.dump() == before
    if kinds is None and items is None:
        assert rebuilt.dump() == ingested(layout, in_log).dump()
        return
    whole = untouched(layout, kinds, items)
    only_log = ingested(layout, in_log)
    for later_ms in (0, 70_000, 10**9):
        now_ms = (events[-1][0] if events else START_MS) + later_ms
        found = counters(rebuilt, now_ms)
        assert found[whole].tobytes() == counters(never_seen, now_ms)[whole].tobytes()
        assert found[~whole].tobytes() == counters(only_log, now_ms)[~whole].tobytes()
    for index, rule in enumerate(layout.caps):
        for row in (1,) if rule.per == Scope.USER else (1, 2):
            source = never_seen if is_whole(layout, kinds, whole, row, rule.per, rule.kinds) else only_log
            assert ring(rebuilt, index, row, events) == ring(source, index, row, events)
    for index, machine in enumerate(layout.machines):
        for row in (1,) if machine.per == Scope.USER else (1, 2):
            source = never_seen if is_whole(layout, kinds, whole, row, machine.per, machine.kinds) else only_log
            assert machine_state(rebuilt, index, row) == machine_state(source, index, row)
    source = never_seen if is_whole(layout, kinds, whole, 1, Scope.USER, {SHOWN}) else only_log
    assert rebuilt.spending.dump() == source.spending.dump()
    assert rebuilt.window.dump() == only_log.window.dump()
    assert rebuilt.deriver.dump() == only_log.deriver.dump()


def is_whole(
    layout: MemoryLayout, chosen: Chosen, whole: npt.NDArray[np.bool_], row: int, per: Scope, kinds: Collection[int]
) -> bool:
    """Whether no event of these kinds can have been erased, by what the rule is per."""
    if per != Scope.USER:
        return all(whole[row, int(per), kind - 1] for kind in kinds)
    erased = {VIEW, CLICK, SHOWN} if chosen is None else chosen
    follow = {follower for kind in erased for follower in FOLLOWS[kind]} if layout is DERIVING else set()
    return not erased.union(follow).intersection(kinds)


def machine_state(memory: Memory, index: int, row: int) -> tuple[object, ...]:
    found = memory.machines.target_states(index, np.array([row]))
    return found.states.tolist(), found.since_ms.tolist(), found.counts.tolist()


def ring(memory: Memory, index: int, row: int, events: list[Event]) -> tuple[list[int], list[int]]:
    """The times of a target, oldest first, and when the cap frees it; offers and categories have the same rows."""
    times: list[int] = memory.caps.newest(index, np.array([row]))[0].tolist()
    return times, cap_ends_ms(memory, index, np.array([row]), [event[0] for event in events])


def test_of_an_erased_time_only_its_period_is_kept() -> None:
    old = ingested(PLAIN, [(START_MS, VIEW, 10, 0.0), (START_MS + 1_234_567, CLICK, 20, 0.0)])
    memory = Memory(PLAIN)
    inherit_unaffected(memory, old, None, frozenset({20}))
    assert memory.counters.latest == [tick // PERIOD_TICKS * PERIOD_TICKS for tick in old.counters.latest]
    now_ms = START_MS + 1_234_567
    expected = counters(ingested(PLAIN, [(START_MS, VIEW, 10, 0.0)]), now_ms)
    assert counters(memory, now_ms)[1].tobytes() == expected[1].tobytes()


def test_an_erased_clock_step_changes_no_reading_of_the_rest() -> None:
    """The last event, erased, was stamped by a clock hours behind, so the rebuilt memory has a later tick."""
    seen_ms = START_MS + 36_000_000
    old = ingested(PLAIN, [(seen_ms, VIEW, 10, 0.0), (START_MS, CLICK, 20, 0.0)])
    memory = ingested(PLAIN, [(seen_ms, VIEW, 10, 0.0)])
    inherit_unaffected(memory, old, frozenset({CLICK}), None)
    for later_ms in (0, 300_000, 10**9):
        now_ms = seen_ms + later_ms
        assert counters(memory, now_ms)[:, :, VIEW - 1].tobytes() == counters(old, now_ms)[:, :, VIEW - 1].tobytes()


def test_where_nothing_is_left_no_time_is_kept() -> None:
    old = ingested(PLAIN, [(START_MS, CLICK, 20, 0.0)])
    memory = Memory(PLAIN)
    inherit_unaffected(memory, old, None, frozenset({20}))
    assert memory.dump() == Memory(PLAIN).dump()


@pytest.mark.parametrize("kinds", [frozenset({CLICK}), None])
def test_a_cap_of_another_offer_stays_in_force(kinds: Chosen) -> None:
    story = [(START_MS + n, kind, item, 0.0) for n, (kind, item) in enumerate([(SHOWN, 10), (SHOWN, 20)] * 2)]
    memory = Memory(PLAIN)
    inherit_unaffected(memory, ingested(PLAIN, story), kinds, frozenset({20}))
    bits = cap_bits(memory, np.array([1, 2]), None, START_MS + 10)
    assert bits is not None
    assert (bits > 0).tolist() == [True, kinds is not None]
