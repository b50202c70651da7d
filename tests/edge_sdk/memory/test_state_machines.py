"""State machines follow an example of each rule, and equal a machine written from the pseudo-code."""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.clock import NEVER_MS
from edge_sdk.memory.decay import DecayTables
from edge_sdk.memory.layout import KindRule, MemoryLayout
from edge_sdk.memory.memory import Memory
from edge_sdk.memory.spending import Periods, SpendingRule
from edge_sdk.memory.state_machines import MachineRule, MachineStep, time_cycle
from edge_sdk.memory.targets import Scope
from edge_sdk.state.folder import StateFolder
from edge_sdk.state.lock import HeldFolder
from edge_sdk.vocabulary import Vocabulary
from tests.support.memory_reads import next_steps_ms
from tests.support.random_rules import machines

START_MS, DAY_S, DAY_MS = 1_768_478_400_000, 86_400, 86_400_000
OPEN, BUY, STOP, OTHER = 1, 2, 3, 4
ANY: frozenset[int] = frozenset()
ROWS = np.array([0, 1, 2, 3])
# Offers 10 and 20 of categories 1 and 2, offer 30 of none; item 40 of category 1.
LAYOUT = MemoryLayout(
    window=1,
    kinds={kind: KindRule(kind, False, -1) for kind in (OPEN, BUY, STOP, OTHER)},
    items=Vocabulary(np.array([10, 20, 30, 40], np.uint32), b"a\nb\nc\nd", np.array([1, 2, 0, 1], np.uint16)),
    offers=Vocabulary(np.array([10, 20, 30], np.uint32), b"a\nb\nc", np.array([1, 2, 0], np.uint16)),
    category_rows=3,
    counter_kinds=1,
    decays=(DecayTables.of(60),),
    caps=(),
)
STAGE = MachineRule(
    "stage",
    Scope.USER,
    ("new", "active", "at risk", "lost"),
    (
        MachineStep(frozenset({0}), OPEN, 3, 0, 1),
        MachineStep(frozenset({1, 2}), OPEN, 1, 0, 1),
        MachineStep(frozenset({3}), OPEN, 1, 0, 0),
        MachineStep(frozenset({0, 2}), 0, 1, 20 * DAY_S, 3),
        MachineStep(frozenset({1}), 0, 1, 10 * DAY_S, 2),
    ),
)
PHASE = MachineRule(
    "phase",
    Scope.OFFER,
    ("before", "during", "after"),
    (
        MachineStep(ANY, BUY, 1, 0, 1),
        MachineStep(frozenset({1}), STOP, 1, 0, 2),
        MachineStep(frozenset({2}), 0, 1, 30 * DAY_S, 0),
    ),
)


def memory_of(*rules: MachineRule) -> Memory:
    return Memory(LAYOUT._replace(machines=rules))


def user_state(memory: Memory, now_ms: int) -> tuple[str, int]:
    """By name, and in how many whole days it changes; -1 = never."""
    at = memory.machines.user_changes_at(0, now_ms)
    names = memory.layout.machines[0].states
    return names[memory.machines.state(0, now_ms)], -1 if at == NEVER_MS else (at - now_ms) // DAY_MS


# ---- by example ----


def test_nothing_happens_before_the_first_event_that_a_machine_looks_at() -> None:
    memory = memory_of(STAGE)
    assert user_state(memory, START_MS) == ("new", -1)
    memory.add(START_MS, BUY, 10, 0.0)
    assert user_state(memory, START_MS + 100 * DAY_MS) == ("new", -1)
    memory.add(START_MS, OPEN, 0, 0.0)
    assert user_state(memory, START_MS) == ("new", 20)


def test_a_stage_goes_up_by_events_and_down_by_time() -> None:
    memory = memory_of(STAGE)
    for day in range(3):
        assert user_state(memory, START_MS + day * DAY_MS)[0] == "new"
        memory.add(START_MS + day * DAY_MS, OPEN, 0, 0.0)
    at_ms = START_MS + 2 * DAY_MS
    assert user_state(memory, at_ms) == ("active", 10)
    assert user_state(memory, at_ms + 10 * DAY_MS - 1) == ("active", 0)
    assert user_state(memory, at_ms + 10 * DAY_MS) == ("at risk", 20)
    assert user_state(memory, at_ms + 30 * DAY_MS) == ("lost", -1)
    assert user_state(memory, at_ms) == ("active", 10)  # reading has changed nothing
    memory.add(at_ms + 12 * DAY_MS, OPEN, 0, 0.0)
    assert user_state(memory, at_ms + 12 * DAY_MS) == ("active", 10)


def test_time_steps_from_when_they_were_due_not_from_when_somebody_looked() -> None:
    memory = memory_of(STAGE)
    for _ in range(3):
        memory.add(START_MS, OPEN, 0, 0.0)
    memory.add(START_MS + 31 * DAY_MS, OPEN, 0, 0.0)  # lost since a day ago, so it begins anew
    assert user_state(memory, START_MS + 31 * DAY_MS) == ("new", 20)


def test_counts_begin_anew_in_another_state_but_not_when_the_same_begins_again() -> None:
    steps = (
        MachineStep(ANY, BUY, 3, 0, 1),
        MachineStep(frozenset({0}), OPEN, 1, 0, 0),  # the time of state 0 begins anew
        MachineStep(frozenset({0}), STOP, 1, 0, 2),
    )
    for between, expected in ((OPEN, 1), (STOP, 2)):
        memory = memory_of(MachineRule("m", Scope.USER, ("a", "b", "c"), steps))
        for kind in (BUY, BUY, between, BUY):
            memory.add(START_MS, kind, 0, 0.0)
        assert memory.machines.state(0, START_MS) == expected


def test_a_counted_step_to_the_same_state_counts_from_one_again() -> None:
    steps = (MachineStep(frozenset({0}), BUY, 2, 0, 0), MachineStep(frozenset({0}), 0, 1, DAY_S, 1))
    memory = memory_of(MachineRule("m", Scope.USER, ("a", "b"), steps))
    dues = []
    for hour in range(4):
        memory.add(START_MS + hour * 3_600_000, BUY, 0, 0.0)
        dues.append((memory.machines.user_changes_at(0, START_MS) - START_MS - DAY_MS) // 3_600_000)
    assert dues == [0, 1, 1, 3]


def test_a_step_that_still_counts_lets_the_next_one_have_the_event() -> None:
    steps = (MachineStep(ANY, BUY, 2, 0, 2), MachineStep(frozenset({0}), BUY, 1, 0, 0))
    memory = memory_of(MachineRule("m", Scope.USER, ("a", "b", "c"), steps))
    memory.add(START_MS, BUY, 0, 0.0)
    assert memory.machines.state(0, START_MS) == 0
    memory.add(START_MS, BUY, 0, 0.0)
    assert memory.machines.state(0, START_MS) == 2


def test_each_offer_has_its_own_phase() -> None:
    memory = memory_of(PHASE)
    memory.add(START_MS, BUY, 10, 0.0)
    memory.add(START_MS, BUY, 20, 0.0)
    memory.add(START_MS, BUY, 40, 0.0)  # no offer
    memory.add(START_MS + DAY_MS, STOP, 20, 0.0)
    due_ms = START_MS + 31 * DAY_MS
    assert memory.machines.states(0, ROWS, due_ms - 1).tolist() == [0, 1, 2, 0]
    assert memory.machines.states(0, ROWS, due_ms).tolist() == [0, 1, 0, 0]
    assert memory.machines.states(0, ROWS, due_ms - 1).tolist() == [0, 1, 2, 0]
    assert next_steps_ms(memory, 0, ROWS, START_MS) == [NEVER_MS, NEVER_MS, due_ms, NEVER_MS]
    assert next_steps_ms(memory, 0, ROWS, due_ms) == [NEVER_MS] * 4


def test_offers_that_the_bundle_does_not_know_have_one_phase() -> None:
    memory = memory_of(PHASE)
    memory.add(START_MS, BUY, 99, 0.0)
    memory.add(START_MS, STOP, 98, 0.0)
    memory.add(START_MS, BUY, 0, 0.0)  # about no item
    assert memory.machines.states(0, ROWS, START_MS).tolist() == [2, 0, 0, 0]


def test_a_machine_per_category_is_stepped_by_all_its_items_and_read_by_its_offers() -> None:
    memory = memory_of(PHASE._replace(per=Scope.CATEGORY))
    memory.add(START_MS, BUY, 40, 0.0)
    memory.add(START_MS, BUY, 30, 0.0)  # of no category
    assert memory.machines.states(0, ROWS, START_MS).tolist() == [0, 1, 0, 0]


def test_a_clock_that_steps_back_steps_nothing() -> None:
    memory = memory_of(PHASE)
    memory.add(START_MS, BUY, 10, 0.0)
    memory.add(START_MS, STOP, 10, 0.0)
    assert memory.machines.states(0, ROWS, START_MS - 100 * DAY_MS).tolist() == [0, 2, 0, 0]
    memory.add(START_MS - 100 * DAY_MS, STOP, 10, 0.0)
    assert memory.machines.states(0, ROWS, START_MS).tolist() == [0, 2, 0, 0]


def test_the_step_by_time_that_is_due_first_is_taken_and_none_to_the_same_state() -> None:
    steps = (
        MachineStep(ANY, BUY, 1, 0, 0),
        MachineStep(ANY, 0, 1, 2 * DAY_S, 2),
        MachineStep(frozenset({0}), 0, 1, DAY_S, 1),
    )
    rule = MachineRule("m", Scope.USER, ("a", "b", "c"), steps)
    assert not time_cycle(rule)
    memory = memory_of(rule)
    memory.add(START_MS, BUY, 0, 0.0)
    states = [memory.machines.state(0, START_MS + day * DAY_MS) for day in range(5)]
    assert states == [0, 1, 1, 2, 2]
    assert memory.machines.user_changes_at(0, START_MS + 3 * DAY_MS) == NEVER_MS


@pytest.mark.parametrize(
    ("steps", "is_cycle"),
    [
        (((0, 1), (1, 2)), False),
        (((0, 1), (1, 0)), True),
        (((0, 1), (1, 2), (2, 1)), True),
        (((0, 0),), False),
    ],
)
def test_time_must_not_lead_in_a_circle(steps: tuple[tuple[int, int], ...], is_cycle: bool) -> None:
    timed = tuple(MachineStep(frozenset({source}), 0, 1, DAY_S, target) for source, target in steps)
    rule = MachineRule("m", Scope.USER, ("a", "b", "c"), timed)
    assert time_cycle(rule) == is_cycle
    if is_cycle:
        with pytest.raises(ValueError, match="machine 'm'"):
            memory_of(rule)


@pytest.mark.parametrize("step", [MachineStep(ANY, BUY, 1, 0, 3), MachineStep(frozenset({3}), BUY, 1, 0, 0)])
def test_a_step_from_or_to_a_state_that_there_is_not_is_refused(step: MachineStep) -> None:
    with pytest.raises(ValueError, match="machine 'm'"):
        memory_of(MachineRule("m", Scope.USER, ("a", "b", "c"), (step,)))


# ---- against the definition ----

Event = tuple[int, int, int]  # time, kind, item


RULES = machines([OPEN, BUY, STOP])
EVENTS = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 300_000), st.integers(-600_000, 600_000)),
        st.sampled_from([OPEN, BUY, STOP, OTHER, 77]),
        st.sampled_from([0, 10, 20, 30, 40, 99]),
    ),
    max_size=30,
).map(lambda steps: [
    (at, kind, item)
    for at, (_, kind, item) in zip(list(accumulate((s[0] for s in steps), initial=START_MS))[1:], steps, strict=True)
])  # fmt: skip
# 99 may be an offer that the bundle does not know: row 0. Of the categories that row is none.
ROW_OF = {Scope.OFFER: {10: 1, 20: 2, 30: 3, 99: 0}, Scope.CATEGORY: {10: 1, 20: 2, 40: 1}}
CATEGORY_OF = [0, 1, 2, 0]


class Defined:
    """One target of one machine, written from the pseudo-code of format.md."""

    def __init__(self, rule: MachineRule) -> None:
        self.rule = rule
        self.state, self.since, self.n = 0, 0, [0] * len(rule.steps)

    def timed(self) -> tuple[int, int] | None:
        found = None
        for step in self.rule.steps:
            is_from = not step.sources or self.state in step.sources
            if step.kind == 0 and is_from and step.target != self.state:  # noqa: SIM102
                if found is None or step.after_s * 1000 < found[0]:
                    found = (step.after_s * 1000, step.target)
        return found

    def pass_time(self, t: int) -> None:
        while self.since and (step := self.timed()) and t - self.since >= step[0]:
            self.state, self.since = step[1], self.since + step[0]
            self.n = [0] * len(self.n)

    def ingest(self, t: int, kind: int) -> None:
        if kind not in [step.kind for step in self.rule.steps]:
            return
        self.pass_time(t)
        self.since = self.since or t
        for at, step in enumerate(self.rule.steps):
            if step.kind == kind and (not step.sources or self.state in step.sources):
                self.n[at] += 1
                if self.n[at] >= step.count:
                    self.n[at] = 0
                    if step.target != self.state:
                        self.n = [0] * len(self.n)
                    self.state, self.since = step.target, t
                    return

    def read(self, now_ms: int) -> tuple[int, int]:
        looked_at = Defined(self.rule)
        looked_at.state, looked_at.since = self.state, self.since
        looked_at.pass_time(now_ms)
        step = looked_at.timed()
        return looked_at.state, looked_at.since + step[0] if step and looked_at.since else NEVER_MS


@given(rule=RULES, events=EVENTS, looks=st.lists(st.integers(-700_000, 700_000), min_size=30, max_size=30))
@settings(max_examples=400, deadline=None)
def test_a_machine_is_as_defined_whenever_it_is_looked_at(
    rule: MachineRule, events: list[Event], looks: list[int]
) -> None:
    memory = memory_of(rule._replace(name="other"), rule)
    targets = [Defined(rule) for _ in range(4)]
    for (at, kind, item), later_ms in zip(events, looks, strict=False):
        memory.add(at, kind, item, 0.0)
        row = 1 if rule.per == Scope.USER else ROW_OF[rule.per].get(item)
        if row is not None and kind in (OPEN, BUY, STOP):
            targets[row].ingest(at, kind)
        now_ms = at + later_ms
        rows = {Scope.OFFER: [0, 1, 2, 3], Scope.CATEGORY: CATEGORY_OF, Scope.USER: [1] * 4}[rule.per]
        found = zip(
            memory.machines.states(1, ROWS, now_ms).tolist(),
            next_steps_ms(memory, 1, ROWS, now_ms),
            strict=True,
        )
        assert list(found) == [targets[row].read(now_ms) for row in rows]
        if rule.per == Scope.USER:
            assert memory.machines.state(1, now_ms) == targets[1].read(now_ms)[0]
            assert memory.machines.user_changes_at(1, now_ms) == targets[1].read(now_ms)[1]
    assert Memory.load(memory.layout, memory.dump()).dump() == memory.dump()


# ---- on disk ----


def test_an_event_whose_time_is_up_has_stepped_its_machines_all_the_same(tmp_path: Path) -> None:
    kinds = LAYOUT.kinds | {BUY: KindRule(BUY, False, -1, keep_s=60)}
    layout = LAYOUT._replace(kinds=kinds, machines=(PHASE,), spending=SpendingRule(frozenset({BUY}), Periods(DAY_S)))
    folder = StateFolder(HeldFolder(tmp_path), layout, 4096, now_ms=START_MS)
    folder.log.append(START_MS, BUY, 10, 2.5, 0)
    folder.close()
    for _ in range(2):
        folder = StateFolder(HeldFolder(tmp_path), layout, 4096, now_ms=START_MS + 61_000)
        assert not len(folder.log.read())
        assert folder.memory.machines.states(0, ROWS, START_MS).tolist() == [0, 1, 0, 0]
        assert folder.memory.spent(START_MS) == 2_500_000
        folder.close()
