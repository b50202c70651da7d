"""Memory applies retention and derived rules, and a dump belongs to one layout."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from edge_sdk.memory.derived_rules import DerivedRules, IgnoredRule, SessionRule
from edge_sdk.memory.layout import KindRule, MemoryLayout
from edge_sdk.memory.memory import Memory, replay
from edge_sdk.memory.spending import Periods, SpendingRule
from edge_sdk.memory.state_machines import MachineRule, MachineStep
from edge_sdk.memory.targets import Scope
from edge_sdk.state.snapshot_tables import fingerprint
from tests.support.memory_examples import (
    BOTH,
    COUNTED,
    LAYOUT,
    NEITHER,
    RULES,
    SEEN,
    START,
    STEPS_MS,
    Event,
    histories,
    ingested,
    window,
)

# ---- how long the window shows an event ----

KEPT = LAYOUT._replace(kinds=LAYOUT.kinds | {SEEN: KindRule(1, True, -1, keep_s=60), COUNTED: KindRule(2, False, 0, 1)})


def test_an_event_kept_too_long_leaves_an_empty_place() -> None:
    memory = replay(KEPT, [START, START + 1000, START + 2000], [BOTH, SEEN, BOTH], [10, 20, 30], [1.0, 2.0, 3.0])
    assert window(memory, START + 61_000) == ([3, 2, 1, 0], [3, 1, 3, 0], [59.0, 60.0, 61.0, 0.0], [3.0, 2.0, 1.0, 0.0])
    assert window(memory, START + 61_001)[:2] == ([3, 0, 1, 0], [3, 0, 3, 0])
    ages, values = window(memory, START + 61_001)[2:]
    assert ages == [float(np.float32(59.001)), 0.0, float(np.float32(61.001)), 0.0]
    assert values == [3.0, 0.0, 1.0, 0.0]
    assert window(memory, START + 1000)[0] == [3, 2, 1, 0]  # a clock that stepped back shows it again


@given(events=histories(STEPS_MS), later_ms=STEPS_MS, events_after=histories(STEPS_MS))
def test_what_is_forgotten_is_what_was_not_shown(events: list[Event], later_ms: int, events_after: list[Event]) -> None:
    now_ms = max(0, (events[-1][0] if events else START) + later_ms)
    memory, forgetful = ingested(events, KEPT), ingested(events, KEPT)
    forgetful.forget_expired(now_ms)
    assert window(forgetful, now_ms) == window(memory, now_ms)
    loaded = Memory.load(KEPT, forgetful.dump())
    kept = [event for event in events if event[1] in (SEEN, BOTH)][-4:]
    kept = [event for event in kept if event[1] == BOTH or now_ms - event[0] <= 60_000]
    assert np.count_nonzero(loaded.window.rows[1]) == len(kept)  # nothing else is in the dump
    times_ms = np.frombuffer(loaded.window.dump()[-8 * KEPT.window :], np.int64).tolist()  # the last of its columns
    assert sorted(time for time in times_ms if time < 1 << 62) == sorted(e[0] for e in kept)
    for event in events_after:
        memory.add(*event)
        forgetful.add(*event)
    assert window(forgetful, now_ms + 10**10) == window(memory, now_ms + 10**10)
    assert forgetful.counters.sums.tobytes() == memory.counters.sums.tobytes()


def test_a_forgotten_event_is_in_no_byte_of_the_dump() -> None:
    memory = replay(KEPT, [START], [SEEN], [10], [7.25])
    assert START.to_bytes(8, "little") in memory.dump()
    memory.forget_expired(START + 60_001)
    assert memory.dump() == Memory(KEPT).dump()


STEP = MachineStep(frozenset({0}), SEEN, 2, 0, 1)
MACHINE = MachineRule("stage", Scope.USER, ("new", "active"), (STEP,))
MACHINES = (
    MACHINE,
    MACHINE._replace(name="phase"),
    MACHINE._replace(per=Scope.OFFER),
    MACHINE._replace(states=("new", "lost")),
    MACHINE._replace(steps=()),
    *(MACHINE._replace(steps=(step,)) for step in (
        STEP._replace(sources=frozenset()), STEP._replace(kind=BOTH), STEP._replace(count=3),
        STEP._replace(kind=0, after_s=60), STEP._replace(kind=0, after_s=61), STEP._replace(target=0))),
)  # fmt: skip


@pytest.mark.parametrize(
    "other",
    [
        KEPT,
        LAYOUT._replace(window=5),
        LAYOUT._replace(caps=RULES),
        LAYOUT._replace(derived=DerivedRules(SessionRule(SEEN, 0, frozenset({BOTH}), 60))),
        LAYOUT._replace(derived=DerivedRules(ignored=(IgnoredRule(SEEN, frozenset({BOTH}), frozenset(), 3),))),
        LAYOUT._replace(spending=SpendingRule(frozenset({SEEN}), Periods(60))),
        *(LAYOUT._replace(machines=(rule,)) for rule in MACHINES),
    ],
)
def test_a_dump_is_of_one_layout(other: MemoryLayout) -> None:
    assert fingerprint(other) != fingerprint(LAYOUT)
    assert fingerprint(other) == fingerprint(other._replace())


def test_no_two_machines_are_one() -> None:
    assert len({fingerprint(LAYOUT._replace(machines=(rule,))) for rule in MACHINES}) == len(MACHINES)


def test_the_order_of_a_set_is_no_part_of_the_layout() -> None:
    one, two = (
        LAYOUT._replace(derived=DerivedRules(SessionRule(SEEN, 0, frozenset(kinds), 60)))
        for kinds in ([1, 1 + (1 << 15), 8, 16], [16, 8, 1 + (1 << 15), 1])
    )
    assert fingerprint(one) == fingerprint(two)


# ---- derived events ----


def test_what_follows_from_an_event_is_taken_in_and_kept() -> None:
    rules = DerivedRules(ignored=(IgnoredRule(NEITHER, frozenset({SEEN, NEITHER, 77}), frozenset({BOTH}), 2),))
    layout = LAYOUT._replace(derived=rules, kinds=LAYOUT.kinds | {NEITHER: KindRule(4, True, -1)})
    memory = replay(layout, [START, START + 1, START + 2], [SEEN, 77, SEEN], [10, 10, 20], [0.0] * 3)  # 77 is not known
    assert window(memory, START + 2)[1] == [4, 1, 1, 0]  # the derived event does not count as ignored itself
    memory.add(START + 3, SEEN, 10, 0.0)
    again = Memory.load(layout, memory.dump())
    for each in (memory, again):
        each.add(START + 4, SEEN, 10, 0.0)
        assert window(each, START + 4)[1] == [4, 1, 1, 4]
        assert window(each, START + 4)[3] == [2.0, 0.0, 0.0, 2.0]
