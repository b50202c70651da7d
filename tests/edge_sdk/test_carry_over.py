"""Under a new bundle, what still means the same counts as if the new bundle had been there from the first event on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.caps import CapRule
from edge_sdk.carry_over import take_over
from edge_sdk.decay import DecayTables
from edge_sdk.derived import NOTHING_DERIVED, DerivedRules, DwellRule, PassedOverRule, SessionRule
from edge_sdk.memory import KindRule, Memory, MemoryLayout
from edge_sdk.memory_tables import fingerprint, pack_tables, read_tables
from edge_sdk.types import F32
from edge_sdk.vocabulary import Vocabulary

START_MS = 1_768_478_400_000
DAY_MS = 86_400_000
VIEW, CLICK, SHOWN, SESSION, STAY, TIRED = 1, 2, 3, 4, 5, 6
RECORDED, DERIVED_KINDS = (VIEW, CLICK, SHOWN), (SESSION, STAY, TIRED)
DERIVED = DerivedRules(
    SessionRule(SESSION, 0, frozenset({VIEW}), gap_s=30),
    (DwellRule(STAY, frozenset({VIEW}), frozenset({VIEW, SHOWN}), longest_s=600),),
    (PassedOverRule(TIRED, frozenset({SHOWN}), frozenset({CLICK}), count=2),),
)
HALF_LIVES_S, CATEGORIES = (60, 3600, 604_800), (101, 102, 103)
OFFERS, ITEMS = (10, 20, 30, 40), (10, 20, 30, 50, 60)

Event = tuple[int, int, int, float]
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


def vocabulary(ids: list[int], categories: list[int]) -> Vocabulary:
    names = "\n".join(map(str, ids)).encode()
    return Vocabulary(np.array(ids, np.uint32), names, np.array(categories, np.uint16))


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
    rule = st.builds(CapRule, st.sampled_from(kinds), st.booleans(), st.integers(1, 4), st.just(600), st.booleans())
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
        caps=tuple(draw(st.lists(rule, max_size=4))),
        derived=derived,
        category_ids=tuple(categories),
    )


PAIRS = st.sampled_from([NOTHING_DERIVED, DERIVED]).flatmap(lambda derived: st.tuples(*[layouts(derived)] * 2))


def taken_in(layout: MemoryLayout, events: list[Event]) -> Memory:
    return further(Memory(layout), events)


def further(memory: Memory, events: list[Event]) -> Memory:
    for event in events:
        memory.add(*event)
    return memory


def counters(memory: Memory, now_ms: int) -> F32:
    """By slot, kind and half-life."""
    read: F32 = (memory.sums * memory._fade(now_ms, 1)).astype(np.float32)
    return read.reshape(len(memory.sums), memory.layout.counter_kinds, -1)


def times(memory: Memory, index: int, row: int) -> list[int]:
    """Of a cap's newest events for one target, oldest first."""
    return [time for time in memory.caps.newest(index, np.array([row]))[0].tolist() if time]


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
    return replace(
        new,
        kinds=kinds,
        items=vocabulary(ids, [category[identifier] for identifier in ids]),
        offers=vocabulary(new.offers.ids.tolist(), [0] * len(new.offers)),
    )


@dataclass(frozen=True)
class Reference:
    """What the new memory should hold, from memories that take over nothing."""

    always: Memory  # of the new layout, fed with every event
    ring: Memory  # of the new layout, fed with those that the log holds
    before: tuple[Memory, Memory]  # both as they were at the kept memory's event
    since: Memory  # fed with the events after it alone


def reference(new: MemoryLayout, old: MemoryLayout, events: list[Event], dropped: int, kept: int) -> Reference:
    filled = taken_in(bridge(new, old), events[:kept])

    def half_way(memory: Memory) -> Memory:
        memory.deriver.load(filled.deriver.dump())
        return memory

    def always() -> Memory:
        return Memory.load(new, filled.dump())

    def ring() -> Memory:
        return half_way(taken_in(new, events[dropped:kept]))

    rest = events[kept:]
    since = further(half_way(Memory(new)), rest)
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


def expected_times(expected: Reference, old: MemoryLayout, index: int, row: int) -> list[int]:
    """What is known of every event where the old rules kept as many, else the longer of what they kept and the log."""
    new = expected.always.layout
    rule = new.caps[index]
    limits = [cap.limit for cap in old.caps if (cap.kind, cap.per_category) == (rule.kind, rule.per_category)]
    ids, old_ids = ([*of.category_ids] if rule.per_category else of.offers.ids.tolist() for of in (new, old))
    of_all, of_ring = (times(memory, index, row) for memory in expected.before)
    start = of_ring
    if limits and ids[row - 1] in old_ids:
        known = of_all[-max(limits) :]
        start = known if max(limits) >= rule.limit or len(known) >= len(of_ring) else of_ring
    return (start + times(expected.since, index, row))[-rule.limit :]


# ---- any two bundles ----


@given(pair=PAIRS, events=EVENTS, dropped=st.integers(0, 60), kept=st.integers(0, 60))
@settings(max_examples=600, deadline=None)
def test_what_means_the_same_goes_on_and_the_rest_is_what_the_log_holds(
    pair: tuple[MemoryLayout, MemoryLayout], events: list[Event], dropped: int, kept: int
) -> None:
    old_layout, new_layout = pair
    dropped, kept = sorted((min(dropped, len(events)), min(kept, len(events))))
    old = taken_in(old_layout, events[:kept])
    before = old.dump()
    memory = taken_in(new_layout, events[dropped:kept])
    take_over(memory, old)
    further(memory, events[kept:])
    assert old.dump() == before
    expected, same = reference(new_layout, old_layout, events, dropped, kept), has_counterpart(new_layout, old_layout)
    for later_ms in (0, 70_000, 10**9):
        now_ms = (events[-1][0] if events else START_MS) + later_ms
        found = counters(memory, now_ms)
        assert found[same].tobytes() == counters(expected.always, now_ms)[same].tobytes()
        assert found[~same].tobytes() == counters(expected.ring, now_ms)[~same].tobytes()
    for index, rule in enumerate(new_layout.caps):
        for row in range(1, new_layout.category_rows if rule.per_category else len(new_layout.offers) + 1):
            assert times(memory, index, row) == expected_times(expected, old_layout, index, row)
    assert memory.window.dump() == expected.ring.window.dump()
    assert memory.deriver.dump() == expected.ring.deriver.dump()


@given(pair=PAIRS, events=EVENTS)
@settings(max_examples=150, deadline=None)
def test_packed_tables_say_all_that_taking_over_needs(
    pair: tuple[MemoryLayout, MemoryLayout], events: list[Event]
) -> None:
    old = taken_in(pair[0], events)
    layout, size = read_tables(pack_tables(pair[0]) + b"beyond")
    assert size == len(pack_tables(pair[0]))
    from_tables, directly = Memory(pair[1]), Memory(pair[1])
    take_over(from_tables, Memory.load(layout, old.dump()))
    take_over(directly, old)
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
    old, memory = taken_in(layout, events), Memory(layout)
    take_over(memory, old)
    assert memory.sums.tobytes() == old.sums.tobytes()
    for index in range(len(layout.caps)):
        rows = np.arange(len(memory.caps._next[index]))
        assert memory.caps.newest(index, rows).tobytes() == old.caps.newest(index, rows).tobytes()
        assert memory.caps._free_at_ms[index].tobytes() == old.caps._free_at_ms[index].tobytes()
    assert memory.deriver.dump() == old.deriver.dump()
    assert memory.window.dump() == Memory(layout).window.dump()


# ---- in figures ----

ONE = MemoryLayout(
    window=2,
    kinds={VIEW: KindRule(1, True, 0), SHOWN: KindRule(2, False, 1)},
    items=vocabulary([], []),
    offers=vocabulary([10, 20], [1, 2]),
    category_rows=3,
    counter_kinds=2,
    decays=(DecayTables.of(604_800),),
    caps=(CapRule(SHOWN, per_category=False, limit=2, within_s=30 * 86_400, cooldown=False),),
    category_ids=(101, 102),
)
GROWN = replace(ONE, offers=vocabulary([5, 10, 20], [1, 1, 2]))  # a new offer, before all others


def carried(new: MemoryLayout, story: list[Event], *, old: MemoryLayout = ONE) -> Memory:
    """After a log that holds nothing any more."""
    memory = Memory(new)
    take_over(memory, taken_in(old, story))
    return memory


def held(memory: Memory, now_ms: int) -> list[bool]:
    """By offer."""
    offers = np.arange(1, len(memory.layout.offers) + 1)
    bits = memory.caps.reasons(offers, now_ms)
    return [False] * len(offers) if bits is None else (bits > 0).tolist()


def test_a_cap_of_thirty_days_holds_under_a_bundle_with_a_new_offer() -> None:
    story = [(START_MS, SHOWN, 10, 0.0), (START_MS + DAY_MS, SHOWN, 10, 0.0), (START_MS, SHOWN, 20, 0.0)]
    memory = carried(GROWN, story)
    assert held(memory, START_MS + 30 * DAY_MS - 1) == [False, True, False]
    assert held(memory, START_MS + 30 * DAY_MS) == [False, False, False]
    memory.add(START_MS + 2 * DAY_MS, SHOWN, 20, 0.0)
    assert held(memory, START_MS + 3 * DAY_MS) == [False, True, True]


@pytest.mark.parametrize(
    ("limit", "days", "is_held"),
    [(2, 30, True), (2, 60, True), (2, 3, False), (1, 3, True), (1, 1, False), (3, 30, False)],
)
def test_a_cap_with_another_time_or_limit_holds_by_its_own(limit: int, days: int, is_held: bool) -> None:
    rule = CapRule(SHOWN, per_category=False, limit=limit, within_s=days * 86_400, cooldown=limit == 1)
    memory = carried(replace(ONE, caps=(rule,)), [(START_MS + n * DAY_MS, SHOWN, 10, 0.0) for n in range(3)])
    assert held(memory, START_MS + 4 * DAY_MS + 1) == [is_held, False]
    memory.add(START_MS + 4 * DAY_MS + 1, SHOWN, 10, 0.0)  # with it, even the limit of three is known
    assert held(memory, START_MS + 4 * DAY_MS + 2) == [True, False]


def test_of_a_larger_limit_the_log_may_know_more() -> None:
    rule = CapRule(SHOWN, per_category=False, limit=3, within_s=600, cooldown=False)
    story = [(START_MS + n, SHOWN, 10, 0.0) for n in range(3)]
    memory = taken_in(replace(ONE, caps=(rule,)), story)
    take_over(memory, taken_in(ONE, story))
    assert times(memory, 0, 1) == [START_MS, START_MS + 1, START_MS + 2]


def test_of_two_caps_on_the_same_events_the_one_that_kept_more_is_asked() -> None:
    long, rest = (CapRule(SHOWN, False, limit, 3600, cooldown=limit == 1) for limit in (3, 1))
    old, new = replace(ONE, caps=(long, rest)), replace(ONE, caps=(rest, replace(long, limit=2)))
    memory = carried(new, [(START_MS + n, SHOWN, 10, 0.0) for n in range(3)], old=old)
    assert [times(memory, index, 1) for index in (0, 1)] == [[START_MS + 2], [START_MS + 1, START_MS + 2]]


@pytest.mark.parametrize(
    "rule",
    [CapRule(VIEW, False, 2, 3600, cooldown=False), CapRule(SHOWN, True, 2, 3600, cooldown=False)],
)
def test_a_cap_on_other_events_starts_anew(rule: CapRule) -> None:
    memory = carried(replace(ONE, caps=(rule,)), [(START_MS + n, SHOWN, 10, 0.0) for n in range(3)])
    assert times(memory, 0, 1) == []


def test_an_offer_takes_its_own_along_and_leaves_its_category_what_it_had() -> None:
    moved = replace(ONE, offers=vocabulary([10, 20], [2, 2]))
    memory = carried(moved, [(START_MS, VIEW, 10, 0.0), (START_MS, VIEW, 20, 0.0)])
    memory.add(START_MS, VIEW, 10, 0.0)
    of_one = counters(taken_in(ONE, [(START_MS, VIEW, 10, 0.0)]), START_MS)[1, 0, 0]
    assert (counters(memory, START_MS)[:, 0, 0] / of_one).tolist() == [0, 2, 1, 0, 1, 2]


def test_categories_go_by_name_not_by_row() -> None:
    swapped = replace(ONE, offers=vocabulary([10, 20], [2, 1]), category_ids=(102, 101))
    renamed = replace(ONE, category_ids=(103, 102))
    story = [(START_MS, VIEW, 10, 0.0)]
    read = counters(taken_in(ONE, story), START_MS)[1, 0, 0]
    assert counters(carried(swapped, story), START_MS)[3:, 0, 0].tolist() == [0, 0, read]
    assert counters(carried(renamed, story), START_MS)[3:, 0, 0].tolist() == [0, 0, 0]
    assert len({fingerprint(layout) for layout in (ONE, swapped, renamed)}) == 3


def test_categories_of_one_id_are_the_same_as_none() -> None:
    story = [(START_MS, VIEW, 10, 0.0), (START_MS, VIEW, 20, 0.0)]
    for new, old in ((replace(ONE, category_ids=(101, 101)), ONE), (ONE, replace(ONE, category_ids=(101, 101)))):
        assert not counters(carried(new, story, old=old), START_MS)[3:].any()


def test_without_ids_categories_are_their_rows() -> None:
    assert replace(ONE, category_ids=()).categories.tolist() == [1, 2]


def test_a_kind_that_is_derived_now_is_another_one() -> None:
    kinds = ONE.kinds | {STAY: KindRule(3, False, 2)}
    recorded = replace(ONE, kinds=kinds, counter_kinds=3, caps=(CapRule(STAY, False, 1, 3600, cooldown=True),))
    deriving = replace(recorded, derived=DerivedRules(dwell=DERIVED.dwell))
    story = [(START_MS, STAY, 10, 0.0), (START_MS, VIEW, 10, 0.0)]
    for new, old in ((deriving, recorded), (recorded, deriving)):
        memory = carried(new, [*story, (START_MS + 1000, SHOWN, 10, 0.0)], old=old)
        assert counters(memory, START_MS)[1, :, 0].astype(bool).tolist() == [True, True, False]
        assert times(memory, 0, 1) == []


def test_derived_events_go_on_counting_under_another_rule_but_not_half_way() -> None:
    kinds = ONE.kinds | {STAY: KindRule(3, False, 2)}
    old = replace(ONE, kinds=kinds, counter_kinds=3, derived=DerivedRules(dwell=DERIVED.dwell))
    longer = replace(old, derived=DerivedRules(dwell=(replace(DERIVED.dwell[0], longest_s=900),)))
    story = [(START_MS, VIEW, 10, 0.0), (START_MS, VIEW, 10, 0.0)]  # a stay, and another one that is still open
    for new, stays in ((old, 2), (longer, 1)):
        memory = further(carried(new, story, old=old), [(START_MS, SHOWN, 20, 0.0)])
        found = counters(memory, START_MS)[1, :, 0]
        assert (found[2] * 2 / found[0]).tolist() == stays


def test_a_clock_that_was_far_ahead_fades_what_is_taken_over_as_it_did_before() -> None:
    ahead_ms = START_MS + 32 * 604_800_000
    memory = carried(GROWN, [(START_MS, VIEW, 10, 0.0), (ahead_ms, VIEW, 20, 0.0)])
    directly = taken_in(GROWN, [(START_MS, VIEW, 10, 0.0), (ahead_ms, VIEW, 20, 0.0)])
    for both in (memory, directly):
        both.add(START_MS + 1000, VIEW, 10, 0.0)
    assert counters(memory, START_MS + 2000).tobytes() == counters(directly, START_MS + 2000).tobytes()


def test_sessions_go_on() -> None:
    kinds = ONE.kinds | {SESSION: KindRule(3, True, -1)}
    layout = replace(ONE, kinds=kinds, derived=DerivedRules(DERIVED.session))
    new = replace(layout, offers=GROWN.offers)
    memory = carried(new, [(START_MS, VIEW, 10, 0.0)], old=layout)
    memory.add(START_MS + 30_000, VIEW, 10, 0.0)  # within the gap: no new session
    assert 3 not in memory.window._kind
    memory.add(START_MS + 60_001, VIEW, 10, 0.0)
    assert 3 in memory.window._kind
