"""Under a new bundle, counts that still mean the same are as if the new bundle had been there from the first event."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from math import ceil

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.memory.decay import DecayTables
from edge_sdk.memory.derived_rules import NOTHING_DERIVED, DerivedRules
from edge_sdk.memory.layout import KindRule, MemoryLayout
from edge_sdk.memory.machine_states import TargetStates
from edge_sdk.memory.memory import Memory
from edge_sdk.memory.migration import inherit
from edge_sdk.memory.spending import UNITS_MAX
from edge_sdk.memory.state_machines import MachineRule, MachineStep
from edge_sdk.memory.targets import Scope
from edge_sdk.state.snapshot_tables import pack_tables, read_tables
from edge_sdk.vocabulary import Vocabulary
from tests.support.memory_reads import all_counters, cap_ends_ms
from tests.support.migration_examples import (
    DERIVED,
    RECORDED,
    START_MS,
    Event,
    further,
    ingested,
    times,
    vocabulary,
)
from tests.support.random_rules import budgets, caps, machines

HALF_LIVES_S, CATEGORIES = (60, 3600, 604_800), (101, 102, 103)
OFFERS, ITEMS = (10, 20, 30, 40), (10, 20, 30, 50, 60)

EVENTS = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 90_000), st.integers(0, 40_000_000)),
        st.sampled_from([*RECORDED, 9]),
        st.sampled_from([0, 10, 20, 30, 40, 50, 60, 70]),
    ),
    max_size=60,
).map(lambda steps: [
    (at, kind, item, 1.0)
    for at, (_, kind, item) in zip(accumulate((step[0] for step in steps), initial=START_MS), steps, strict=False)
])  # fmt: skip


@st.composite
def layouts(draw: st.DrawFn, derived: DerivedRules) -> MemoryLayout:
    categories = draw(st.permutations(CATEGORIES))[: draw(st.integers(1, 3))]
    row = st.integers(0, len(categories))

    def rows(among: tuple[int, ...]) -> Vocabulary:
        ids = sorted(draw(st.sets(st.sampled_from(among), min_size=1)))
        return vocabulary(ids, [draw(row) for _ in ids])

    kinds = draw(st.permutations(RECORDED))[: draw(st.integers(1, 3))] + list(derived.kinds)
    counted = draw(st.permutations(kinds))[: draw(st.integers(1, len(kinds)))]
    half_lives = draw(st.permutations(HALF_LIVES_S))[: draw(st.integers(1, 3))]
    return MemoryLayout(
        window=draw(st.integers(1, 4)),
        kinds={
            kind: KindRule(place, draw(st.booleans()), counted.index(kind) if kind in counted else -1)
            for place, kind in enumerate(kinds, start=1)
        },
        items=rows(ITEMS),
        offers=rows(OFFERS),
        category_rows=len(categories) + 1,
        counter_kinds=len(counted),
        decays=tuple(map(DecayTables.of, half_lives)),
        caps=tuple(draw(st.lists(caps(kinds), max_size=4))),
        derived=derived,
        category_ids=tuple(categories),
        machines=tuple(draw(machines(kinds, after_s=60_000, name=name)) for name in draw(st.permutations(("m", "n")))),
        spending=draw(budgets(kinds, [600, 86_400])),
    )


PAIRS = st.sampled_from([NOTHING_DERIVED, DERIVED]).flatmap(lambda derived: st.tuples(*[layouts(derived)] * 2))


# ---- the reference ----


def bridge(new: MemoryLayout, old: MemoryLayout) -> MemoryLayout:
    """The new bundle's cells, filled by what the old one knew: its kinds, its items, its categories of them."""
    row_of = {identifier: row for row, identifier in enumerate(new.category_ids, start=1)}
    known: dict[int, int] = {}
    for table in (old.items, old.offers):  # the category that an offer has itself goes first
        for identifier, row in zip(table.ids.tolist(), table.row_category[1:].tolist(), strict=True):
            known[identifier] = row or known.get(identifier, 0)
    category = {identifier: row_of.get(old.category_ids[row - 1], 0) if row else 0 for identifier, row in known.items()}
    kinds = {
        kind: KindRule(rule.row, False, new.kinds[kind].counter if kind in new.kinds else -1)
        for kind, rule in old.kinds.items()
    }
    ids = sorted(known)
    return new._replace(
        kinds=kinds,
        items=vocabulary(ids, [category[identifier] for identifier in ids]),
        offers=vocabulary(new.offers.ids.tolist(), [0] * len(new.offers)),
    )


@dataclass(frozen=True)
class Reference:
    """The expected state of the new memory, from memories that inherit nothing."""

    always: Memory  # of the new layout, fed with every event
    ring: Memory  # of the new layout, fed with those in the log
    before: tuple[Memory, Memory]  # both as they were at the kept memory's event
    since: Memory  # fed with the events after it alone


def reference(new: MemoryLayout, old: MemoryLayout, events: list[Event], dropped: int, kept: int) -> Reference:
    filled = ingested(bridge(new, old), events[:kept])

    def with_derived_state(memory: Memory) -> Memory:
        memory.deriver.load(filled.deriver.dump())
        return memory

    def always() -> Memory:
        return Memory.load(new, filled.dump())

    def ring() -> Memory:
        return with_derived_state(ingested(new, events[dropped:kept]))

    rest = events[kept:]
    since = further(with_derived_state(Memory(new)), rest)
    return Reference(further(always(), rest), further(ring(), rest), (always(), ring()), since)


def has_counterpart(new: MemoryLayout, old: MemoryLayout) -> npt.NDArray[np.bool_]:
    """By slot, kind and half-life."""
    offers = [False, *(offer in old.offers.ids for offer in new.offers.ids)]
    categories = [False, *(category in old.category_ids for category in new.category_ids)]
    counted = np.zeros(new.counter_kinds, np.bool_)
    for kind, rule in new.kinds.items():
        if rule.counter >= 0:
            counted[rule.counter] = kind in old.kinds and old.kinds[kind].counter >= 0
    halves = [decay.half_life_s in [former.half_life_s for former in old.decays] for decay in new.decays]
    found: npt.NDArray[np.bool_] = (
        np.array(offers + categories)[:, None, None] & counted[None, :, None] & np.array(halves)[None, None]
    )
    return found


def target_ids(per: Scope, layout: MemoryLayout) -> list[int]:
    """By row, from row 1."""
    of_offers: list[int] = layout.offers.ids.tolist()
    return {Scope.OFFER: of_offers, Scope.CATEGORY: [*layout.category_ids], Scope.USER: [0]}[per]


def expected_times(expected: Reference, old: MemoryLayout, index: int, row: int) -> list[int]:
    """What is known of every event where the old rules kept as many, else the longer of what they kept and the log."""
    new = expected.always.layout
    rule = new.caps[index]
    limits = [cap.limit for cap in old.caps if (set(cap.kinds), cap.per) == (set(rule.kinds), rule.per)]
    ids, old_ids = (target_ids(rule.per, of) for of in (new, old))
    of_all, of_ring = (times(memory, index, row) for memory in expected.before)
    start = of_ring
    if limits and ids[row - 1] in old_ids:
        known = of_all[-max(limits) :]
        start = known if max(limits) >= rule.limit or len(known) >= len(of_ring) else of_ring
    return (start + times(expected.since, index, row))[-rule.limit :]


def inherit_machines_and_budget(memory: Memory, old: Memory) -> None:
    """Copies machines and the budget as `inherit` should, target by target and name by name."""
    new_layout, old_layout = memory.layout, old.layout
    for index, rule in enumerate(new_layout.machines):
        former = next((n for n, each in enumerate(old_layout.machines) if each.name == rule.name), None)
        if former is None or old_layout.machines[former].per != rule.per:
            continue
        unknown = ["offers that the bundle does not know"] if rule.per is Scope.OFFER else [None]
        known = [*unknown, *target_ids(rule.per, old_layout)]
        for row, identifier in enumerate([*unknown, *target_ids(rule.per, new_layout)]):
            if identifier is not None and identifier in known:
                former_state = old.machines.target_states(former, np.array([known.index(identifier)]))
                name = old_layout.machines[former].states[int(former_state.states[0])]
                if name in rule.states and former_state.since_ms[0]:
                    steps = [named(rule, step) for step in rule.counted]
                    counts = [
                        counted(old_layout, former, former_state, step, steps[:place].count(step))
                        for place, step in enumerate(steps)
                    ]
                    found = TargetStates(np.array([rule.states.index(name)]), former_state.since_ms, np.array([counts]))
                    memory.machines.inherit(index, np.array([row]), found)
    if new_layout.spending and old_layout.spending and new_layout.spending.periods == old_layout.spending.periods:
        numbers = np.frombuffer(old.spending.dump(), np.int64).tolist()
        ratio = Fraction(new_layout.spending.units_per_one, old_layout.spending.units_per_one)
        numbers[1::2] = [min(ceil(spent * ratio), UNITS_MAX) for spent in numbers[1::2]]
        memory.spending.load(np.array(numbers, np.int64).tobytes())


def named(rule: MachineRule, step: MachineStep) -> tuple[set[str], int, int, str]:
    return {rule.states[source] for source in step.sources}, step.kind, step.count, rule.states[step.target]


def counted(old: MemoryLayout, index: int, former_state: TargetStates, wanted: object, nth: int) -> int:
    """How many events the step that is the same has counted, of equal ones the n-th."""
    rule = old.machines[index]
    places = [place for place, step in enumerate(rule.counted) if named(rule, step) == wanted]
    return int(former_state.counts[0, places[nth]]) if nth < len(places) else 0


# ---- any two bundles ----


@given(pair=PAIRS, events=EVENTS, dropped=st.integers(0, 60), kept=st.integers(0, 60))
@settings(max_examples=600, deadline=None)
def test_counts_of_the_same_meaning_continue_and_the_rest_is_counted_from_the_log(
    pair: tuple[MemoryLayout, MemoryLayout], events: list[Event], dropped: int, kept: int
) -> None:
    old_layout, new_layout = pair
    dropped, kept = sorted((min(dropped, len(events)), min(kept, len(events))))
    old = ingested(old_layout, events[:kept])
    before = old.dump()
    memory = ingested(new_layout, events[dropped:kept])
    inherit(memory, old)
    further(memory, events[kept:])
    assert old.dump() == before
    expected, same = reference(new_layout, old_layout, events, dropped, kept), has_counterpart(new_layout, old_layout)
    for later_ms in (0, 70_000, 10**9):
        now_ms = (events[-1][0] if events else START_MS) + later_ms
        found = all_counters(memory, now_ms)
        assert found[same].tobytes() == all_counters(expected.always, now_ms)[same].tobytes()
        assert found[~same].tobytes() == all_counters(expected.ring, now_ms)[~same].tobytes()
    for index, rule in enumerate(new_layout.caps):
        for row in range(1, new_layout.target_rows(rule.per)):
            assert times(memory, index, row) == expected_times(expected, old_layout, index, row)
    made = expected.before[1]
    inherit_machines_and_budget(made, old)
    further(made, events[kept:])
    assert memory.machines.dump() == made.machines.dump()
    assert memory.spending.dump() == made.spending.dump()
    assert memory.window.dump() == expected.ring.window.dump()
    assert memory.deriver.dump() == expected.ring.deriver.dump()


@given(pair=PAIRS, events=EVENTS)
@settings(max_examples=150, deadline=None)
def test_packed_tables_contain_all_that_migration_needs(
    pair: tuple[MemoryLayout, MemoryLayout], events: list[Event]
) -> None:
    old = ingested(pair[0], events)
    layout, size = read_tables(pack_tables(pair[0]) + b"beyond")
    assert size == len(pack_tables(pair[0]))
    from_tables, directly = Memory(pair[1]), Memory(pair[1])
    inherit(from_tables, Memory.load(layout, old.dump()))
    inherit(directly, old)
    assert from_tables.dump() == directly.dump()


@given(raw=st.one_of(st.binary(max_size=200), st.lists(st.integers(0, 9)).map(lambda n: np.array(n, "<u4").tobytes())))
def test_bytes_that_are_no_tables_are_refused_as_such(raw: bytes) -> None:
    try:
        layout, size = read_tables(raw)
    except ValueError:
        return
    assert pack_tables(layout)[:8] == raw[:8]
    assert size <= len(raw)


@given(events=EVENTS, layout=st.sampled_from([NOTHING_DERIVED, DERIVED]).flatmap(layouts))
@settings(max_examples=50, deadline=None)
def test_a_bundle_that_changes_nothing_changes_nothing_but_the_window(
    events: list[Event], layout: MemoryLayout
) -> None:
    old, memory = ingested(layout, events), Memory(layout)
    inherit(memory, old)
    assert memory.counters.sums.tobytes() == old.counters.sums.tobytes()
    for index in range(len(layout.caps)):
        rows = np.arange(layout.target_rows(layout.caps[index].per))
        assert memory.caps.newest(index, rows).tobytes() == old.caps.newest(index, rows).tobytes()
        offers, moments = np.arange(1, len(layout.offers) + 1), [event[0] for event in events]
        assert cap_ends_ms(memory, index, offers, moments) == cap_ends_ms(old, index, offers, moments)
    assert memory.machines.dump() == old.machines.dump()
    assert memory.spending.dump() == old.spending.dump()
    assert memory.deriver.dump() == old.deriver.dump()
    assert memory.window.dump() == Memory(layout).window.dump()
