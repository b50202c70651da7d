"""Events ingested at once leave the same memory, to the bit, as the same events one after the other."""

from __future__ import annotations

from itertools import accumulate

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.log.local_field import local_field
from edge_sdk.log.record import BACK_FILLED, RECORD
from edge_sdk.memory import bulk, caps
from edge_sdk.memory.bulk import ingest, ingest_columns, memory_from
from edge_sdk.memory.caps import CapRule
from edge_sdk.memory.decay import DecayTables
from edge_sdk.memory.derived_rules import DerivedRules, DwellRule, IgnoredRule, SessionRule
from edge_sdk.memory.layout import KindRule, MemoryLayout
from edge_sdk.memory.memory import Memory
from edge_sdk.memory.spending import Periods, SpendingRule
from edge_sdk.memory.state_machines import MachineRule, MachineStep
from edge_sdk.memory.targets import Scope
from edge_sdk.reasons import Reason
from edge_sdk.vocabulary import Vocabulary, item_id, kind_id, words_of
from tests.support.cap_answers import cap_bits
from tests.support.memory_reads import next_steps_ms
from tests.support.random_rules import budgets, machines
from tests.support.random_rules import caps as cap_rules
from tests.support.scene import ITEMS, KINDS, NOW_MS, Small

Event = tuple[int, int, int, float, int]  # time_ms or step, kind, item, value, local
Numbers = npt.NDArray[np.integer]

STEPS_MS = st.one_of(
    st.integers(0, 60_000),
    st.integers(-5_000, 5_000_000),
    st.integers(-(10**11), 10**11),  # a clock years off
)
VALUES = st.floats(width=32, allow_nan=False, allow_infinity=False)
LOCALS = st.sampled_from(
    [0, local_field(0), local_field(-9 * 3600), local_field(12 * 3600 + 2700, is_back_filled=True)]
)
LAST_MS = 4_000_000_000_000

# Every kind of rule at once: limits from 1 to 5, two caps on one kind, kinds that are derived, half-lives of seconds
# (so that sums underflow) and of a week.
VIEW, CLICK, SHOWN, START, END, STAY, TIRED, PLAIN = 1, 2, 300, 11, 12, 13, 14, 65_535
FULL = MemoryLayout(
    window=5,
    kinds={
        VIEW: KindRule(1, True, 0), CLICK: KindRule(2, True, 1), SHOWN: KindRule(3, False, 2),
        START: KindRule(4, True, 3), END: KindRule(5, True, -1), STAY: KindRule(6, True, 4),
        TIRED: KindRule(7, False, -1), PLAIN: KindRule(8, False, -1),
    },
    items=Vocabulary(
        np.array([5, 10, 1 << 31, 4_000_000_000], np.uint32), b"a\nb\nc\nd", np.array([1, 2, 1, 0], np.uint16)
    ),
    offers=Vocabulary(np.array([7, 10, 1 << 31], np.uint32), b"e\nb\nc", np.array([0, 2, 1], np.uint16)),
    category_rows=3,
    counter_kinds=5,
    decays=(DecayTables.of(1), DecayTables.of(3600), DecayTables.of(604_800)),
    caps=(
        CapRule((SHOWN,), Scope.OFFER, limit=2, within_s=600, cooldown=False),
        CapRule((SHOWN,), Scope.CATEGORY, limit=5, within_s=3600, cooldown=False),
        CapRule((CLICK,), Scope.OFFER, limit=1, within_s=1800, cooldown=True),
        CapRule((TIRED,), Scope.OFFER, limit=3, within_s=1800, cooldown=True),
        CapRule((9,), Scope.OFFER, limit=1, within_s=60, cooldown=True),  # of a kind that is not known
        CapRule((CLICK, 9, SHOWN), Scope.USER, limit=4, within_s=0, cooldown=False),
        CapRule((TIRED, VIEW), Scope.CATEGORY, limit=2, within_s=60, cooldown=False),
    ),
    machines=(
        MachineRule("stage", Scope.USER, ("new", "growing", "active", "at risk", "lost"), (
            MachineStep(frozenset({0}), VIEW, 3, 0, 1),
            MachineStep(frozenset({0, 1}), CLICK, 2, 0, 2),
            MachineStep(frozenset({2}), CLICK, 1, 0, 2),
            MachineStep(frozenset({2}), 0, 1, 600, 3),
            MachineStep(frozenset(), 0, 1, 3600, 4),
            MachineStep(frozenset({3, 4}), START, 1, 0, 1),
        )),
        MachineRule("phase", Scope.OFFER, ("before", "during", "after"), (
            MachineStep(frozenset(), CLICK, 1, 0, 1),
            MachineStep(frozenset({1}), 0, 1, 30, 2),
            MachineStep(frozenset({2}), SHOWN, 4, 0, 2),
            MachineStep(frozenset({2}), TIRED, 1, 0, 0),
        )),
        MachineRule("liking", Scope.CATEGORY, ("none", "some", "much"), (
            MachineStep(frozenset({1}), STAY, 2, 0, 2),
            MachineStep(frozenset(), VIEW, 2, 0, 1),
            MachineStep(frozenset({1, 2}), 0, 1, 86_400, 0),
        )),
        MachineRule("idle", Scope.USER, ("only",), (MachineStep(frozenset(), 9, 1, 0, 0),)),
    ),
    spending=SpendingRule(frozenset({SHOWN, CLICK, 9}), Periods(86_400)),
)  # fmt: skip
DERIVED = DerivedRules(
    SessionRule(START, END, frozenset({VIEW, CLICK, SHOWN}), gap_s=60),
    (DwellRule(STAY, frozenset({VIEW}), frozenset({VIEW, CLICK, 9}), longest_s=600),),  # 9 is not known: never fed
    (IgnoredRule(TIRED, frozenset({SHOWN}), frozenset({CLICK}), count=2),),
)
KIND_IDS, ITEM_IDS = [VIEW, CLICK, SHOWN, PLAIN, START, 9, 0], [0, 5, 7, 10, 1 << 31, 4_000_000_000, 6, (1 << 32) - 1]
# What follows from the size of the input alone must change nothing.
SIZES = st.tuples(st.sampled_from([1, 2, 3, 7, 1 << 14]), st.sampled_from([0, 24]), st.sampled_from([0, 1024]))


def events_of(kinds: list[int], items: list[int]) -> st.SearchStrategy[list[Event]]:
    event = st.tuples(STEPS_MS, st.sampled_from(kinds), st.sampled_from(items), VALUES, LOCALS)
    return st.lists(event, max_size=60).map(with_times)


def with_times(steps: list[Event]) -> list[Event]:
    times = accumulate((step[0] for step in steps), lambda at, step: min(max(0, at + step), LAST_MS), initial=NOW_MS)
    return [(at, *step[1:]) for at, step in zip(list(times)[1:], steps, strict=True)]


def one_by_one(layout: MemoryLayout, events: list[Event]) -> Memory:
    memory = Memory(layout)
    for event in events:
        memory.add(*event)
    return memory


def columns(
    events: list[Event],
) -> tuple[npt.NDArray[np.int64], Numbers, Numbers, npt.NDArray[np.float32], npt.NDArray[np.uint16]]:
    times, kinds, items, values, local = zip(*events, strict=True) if events else ((), (), (), (), ())
    return (np.array(times, np.int64), np.array(kinds, np.int64), np.array(items, np.int64),
            np.array(values, np.float32), np.array(local, np.uint16))  # fmt: skip


def records(events: list[Event]) -> npt.NDArray[np.void]:
    times, kinds, items, values, local = columns(events)
    found = np.zeros(len(events), RECORD)
    found["time_s"], found["time_ms"] = times // 1000, times % 1000
    found["kind"], found["value"], found["local"] = kinds, values, local
    found["item"], found["item_high"] = words_of(items.astype(np.int64))
    return found


def of_sizes(patch: pytest.MonkeyPatch, sizes: tuple[int, int, int]) -> None:
    patch.setattr(bulk, "CHUNK", sizes[0])
    patch.setattr(bulk, "ONE_BY_ONE", 0)
    patch.setattr(caps, "_FEW", sizes[1])
    patch.setattr(caps, "_SHORT", sizes[2])


def visible(memory: Memory, now_ms: int) -> tuple[bytes, ...]:
    """Everything that a decision can see."""
    n = memory.layout.window
    item, kind = np.zeros(n, np.int32), np.zeros(n, np.int32)
    age, value = np.zeros(n, np.float32), np.zeros(n, np.float32)
    memory.fill_window(now_ms, item, kind, age, value)
    rows = np.arange(len(memory.layout.offers) + 1)
    counters = np.zeros((len(rows), memory.layout.counter_features), np.float32)
    memory.counters.fill(now_ms, memory.layout.counter_slots(rows), counters)
    bits = cap_bits(memory, rows, None, now_ms)
    capped = np.zeros(len(rows), np.int64) if bits is None else bits
    of_machines = [
        array
        for index in range(len(memory.layout.machines))
        for array in (
            memory.machines.states(index, rows, now_ms),
            np.array(next_steps_ms(memory, index, rows, now_ms)),
        )
    ]
    spent = np.array([memory.spent(now_ms)])
    arrays: list[npt.NDArray[np.generic]] = [item, kind, age, value, counters, capped, spent, *of_machines]
    return tuple(array.tobytes() for array in arrays)


def assert_same(expected: Memory, found: Memory, now_ms: int) -> None:
    assert expected.counters.sums.tobytes() == found.counters.sums.tobytes()
    assert expected.counters.latest == found.counters.latest
    assert expected.dump() == found.dump()
    assert visible(expected, now_ms) == visible(found, now_ms)


SMALL_EVENTS = events_of([*(kind_id(kind) for kind in KINDS), 9], [*(item_id(item) for item in ITEMS), 0])


@given(events=SMALL_EVENTS, cut=st.integers(0, 60), later_ms=st.integers(-(10**6), 10**8), sizes=SIZES)
@settings(max_examples=200, deadline=None)
def test_at_once_is_as_one_by_one(
    small: Small, events: list[Event], cut: int, later_ms: int, sizes: tuple[int, int, int]
) -> None:
    found = one_by_one(small.layout.memory, events[:cut])
    with pytest.MonkeyPatch.context() as patch:
        of_sizes(patch, sizes)
        ingest(found, records(events[cut:]))
    now_ms = (events[-1][0] if events else NOW_MS) + later_ms
    assert_same(one_by_one(small.layout.memory, events), found, now_ms)


@given(
    events=events_of(KIND_IDS, ITEM_IDS), cut=st.integers(0, 60), later_ms=st.integers(-(10**6), 10**8), sizes=SIZES,
    derives=st.booleans(),
)  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_with_every_rule_at_once_is_as_one_by_one(
    events: list[Event], cut: int, later_ms: int, sizes: tuple[int, int, int], derives: bool
) -> None:
    layout = FULL._replace(derived=DERIVED) if derives else FULL
    expected, found = one_by_one(layout, events), one_by_one(layout, events[:cut])
    with pytest.MonkeyPatch.context() as patch:
        of_sizes(patch, sizes)
        ingest(found, records(events[cut:]))
    now_ms = (events[-1][0] if events else NOW_MS) + later_ms
    assert_same(expected, found, now_ms)
    assert_same(expected, Memory.load(layout, expected.dump()), now_ms)


LOOKED_AT = [VIEW, CLICK, SHOWN, START, STAY, TIRED, 9]
SPENT = [VIEW, CLICK, SHOWN, 9]  # no bundle opens with a budget of derived events


@given(
    events=events_of(KIND_IDS, ITEM_IDS), cut=st.integers(0, 60), sizes=SIZES, derives=st.booleans(),
    rules=st.tuples(
        st.lists(cap_rules(LOOKED_AT), max_size=3), st.lists(machines(LOOKED_AT), max_size=3),
        budgets(SPENT, [1, 3600, 86_400]),
    ),
)  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_with_any_rules_at_once_is_as_one_by_one(
    events: list[Event], cut: int, sizes: tuple[int, int, int], derives: bool,
    rules: tuple[list[CapRule], list[MachineRule], SpendingRule | None],
) -> None:  # fmt: skip
    layout = FULL._replace(derived=DERIVED if derives else FULL.derived, caps=tuple(rules[0]),
                     machines=tuple(rules[1]), spending=rules[2])  # fmt: skip
    expected, found = one_by_one(layout, events), one_by_one(layout, events[:cut])
    with pytest.MonkeyPatch.context() as patch:
        of_sizes(patch, sizes)
        ingest(found, records(events[cut:]))
    now_ms = (events[-1][0] if events else NOW_MS) + 1000
    assert_same(expected, found, now_ms)
    assert_same(expected, Memory.load(layout, expected.dump()), now_ms)


@given(
    events=events_of(KIND_IDS, ITEM_IDS),
    kind_ids=st.permutations([*KIND_IDS, VIEW]),  # twice: two codes of one id
    item_ids=st.permutations([*ITEM_IDS, 10]),
    dtypes=st.tuples(*[st.sampled_from([np.uint8, np.int8, np.uint16, np.int32, np.int64])] * 2),
    sizes=SIZES,
    derives=st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_coded_columns_are_as_one_by_one(
    events: list[Event], kind_ids: list[int], item_ids: list[int], dtypes: tuple[type[np.integer], type[np.integer]],
    sizes: tuple[int, int, int], derives: bool,
) -> None:  # fmt: skip
    layout = FULL._replace(derived=DERIVED) if derives else FULL
    events = [(*event[:4], event[4] | BACK_FILLED) for event in events]
    found, (times, kinds, items, values, local) = Memory(layout), columns(events)
    kind_codes = np.array([kind_ids.index(kind) for kind in kinds.tolist()], dtypes[0])
    item_codes = np.array([item_ids.index(item) for item in items.tolist()], dtypes[1])
    with pytest.MonkeyPatch.context() as patch:
        of_sizes(patch, sizes)
        ingest_columns(found, times, kind_codes, kind_ids, item_codes, item_ids, values, local=local)
    assert_same(one_by_one(layout, events), found, (events[-1][0] if events else NOW_MS) + 1000)


@pytest.mark.parametrize("chunk", [1, 2, 1 << 14])
def test_a_short_history_at_once_in_figures(chunk: int) -> None:
    """Session, stay and click: the window, the rules in force, the spending and the states, worked out by hand."""
    layout = FULL._replace(derived=DERIVED)
    events: list[Event] = [
        (NOW_MS, VIEW, 10, 1.0, 0),
        (NOW_MS + 1_000, SHOWN, 10, 2.0, 0),
        (NOW_MS + 2_000, SHOWN, 7, 0.5, 0),
        (NOW_MS + 3_000, SHOWN, 10, 4.0, 0),
        (NOW_MS + 64_000, CLICK, 1 << 31, 0.0, 0),
        (NOW_MS + 65_000, 9, 10, 0.0, 0),
    ]
    memory, now_ms = Memory(layout), NOW_MS + 66_000
    with pytest.MonkeyPatch.context() as patch:
        of_sizes(patch, (chunk, 0, 0))
        ingest(memory, records(events))

    item, kind = np.zeros(5, np.int32), np.zeros(5, np.int32)
    age_s, value = np.zeros(5, np.float32), np.zeros(5, np.float32)
    memory.fill_window(now_ms, item, kind, age_s, value)
    kinds = [layout.kinds[name].row for name in (CLICK, START, END, STAY, VIEW)]
    assert kind.tolist() == kinds == [2, 4, 5, 6, 1]
    assert item.tolist() == [3, 0, 0, 2, 2]
    assert age_s.tolist() == [2.0, 2.0, 63.0, 2.0, 66.0]
    assert value.tolist() == [0.0, 61.0, 3.0, 64.0, 1.0]
    rows = np.array([1, 2, 3])  # of offers 7, 10 and 1 << 31
    bits = cap_bits(memory, rows, None, now_ms)
    assert bits is not None
    assert bits.tolist() == [Reason.CAPPED, Reason.CAPPED, Reason.CAPPED | Reason.COOLING_DOWN]
    assert memory.spent(now_ms) == 6_500_000
    assert [memory.machines.states(index, rows, now_ms).tolist() for index in range(4)] == [
        [0, 0, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0],
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("step_ms", [3, 2_000, 20_000, 400_000])
def test_long_histories_are_as_one_by_one(seed: int, step_ms: int) -> None:
    """Sums that underflow while others grow, many periods, a clock that steps back now and then."""
    random = np.random.default_rng(seed)
    steps = random.integers(0, 2 * step_ms, 3000)
    steps[random.integers(0, 3000, seed)] = -50 * step_ms
    kinds = random.choice([VIEW, CLICK, SHOWN, PLAIN, 9], 3000, p=[0.2, 0.1, 0.6, 0.05, 0.05])
    items = random.choice(ITEM_IDS, 3000)
    items[300:2700] = np.where(random.random(2400) < 0.99, 10, items[300:2700])  # the rest is rare
    local = random.choice([0, 1084, 1084, 1085 | BACK_FILLED], 3000)
    given = (NOW_MS + steps.cumsum(), kinds, items, steps, local)
    events: list[Event] = list(zip(*(column.tolist() for column in given), strict=True))
    layout = FULL if seed % 2 else FULL._replace(derived=DERIVED)
    expected, found = one_by_one(layout, events), memory_from(layout, records(events))
    assert_same(expected, found, events[-1][0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bulk, "CHUNK", 500)
        assert_same(expected, memory_from(layout, records(events)), events[-1][0])


@pytest.mark.parametrize("periods", [2, 3, 30, 47])
def test_sums_near_the_smallest_float_fade_one_move_after_the_other(periods: int) -> None:
    """This one rounds to a tie on the way and then to the even neighbour; one move over all periods would round up."""
    period_ms, even = 1 << 14, 1 << 22
    tiny = (even + 0.5 + 2.0**-20) * 2.0 ** (16 * periods - 1074)
    events = [(NOW_MS // period_ms * period_ms + n * period_ms // 4, VIEW, 10, 0.0, 0) for n in range(4 * periods + 1)]
    expected, found = one_by_one(FULL, events[:1]), one_by_one(FULL, events[:1])
    expected.counters.sums[1, 0] = found.counters.sums[1, 0] = tiny
    for event in events[1:]:
        expected.add(*event)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bulk, "ONE_BY_ONE", 0)
        ingest(found, records(events[1:]))
    assert expected.counters.sums[1, 0] == even * 2.0**-1074
    assert_same(expected, found, events[-1][0])


def test_nothing_is_nothing() -> None:
    memory = Memory(FULL._replace(derived=DERIVED))
    ingest(memory, records([]))
    empty = np.zeros(0, np.uint8)
    ingest_columns(
        memory, np.zeros(0, np.int64), empty, [], empty, [], np.zeros(0, np.float32), local=np.zeros(0, np.uint16)
    )
    assert memory.dump() == Memory(FULL._replace(derived=DERIVED)).dump()


def test_a_recorded_event_of_a_kind_that_is_derived_now_is_ignored() -> None:
    layout = FULL._replace(derived=DERIVED)
    events = [(NOW_MS + 7000 * step, STAY, 7, 1.0, 0) for step in range(60)]
    at_once = Memory(layout)
    ingest(at_once, records(events))
    assert one_by_one(layout, events).dump() == at_once.dump() == Memory(layout).dump()


def test_a_code_beyond_its_ids_is_refused() -> None:
    with pytest.raises(IndexError):
        ingest_columns(
            Memory(FULL), np.array([NOW_MS]), np.array([1]), [VIEW], np.array([0]), [5], np.zeros(1, np.float32),
            local=np.zeros(1, np.uint16),
        )  # fmt: skip


def test_a_layout_without_items_takes_events() -> None:
    nothing = Vocabulary(np.zeros(0, np.uint32), b"", np.zeros(0, np.uint16))
    layout = FULL._replace(items=nothing, offers=nothing)
    events = [(NOW_MS + n, VIEW, item, 1.0, 0) for n, item in enumerate(ITEM_IDS * 10)]
    assert_same(one_by_one(layout, events), memory_from(layout, records(events)), NOW_MS)
