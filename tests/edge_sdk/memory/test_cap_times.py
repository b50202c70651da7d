"""A cap keeps the latest times of each target for every order of stamps: against a model that keeps all events."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.log.local_field import local_field
from edge_sdk.log.record import RECORD
from edge_sdk.memory.bulk import memory_from
from edge_sdk.memory.caps import CapRule
from edge_sdk.memory.decay import DecayTables
from edge_sdk.memory.layout import KindRule, MemoryLayout
from edge_sdk.memory.memory import Memory
from edge_sdk.memory.targets import USER_ROW, Scope
from edge_sdk.vocabulary import Vocabulary

SHOWN, VIEW, OTHER = 1, 2, 3
OFFERS = (7, 10)
NOW_MS = 1_768_651_200_000
DAY_MS, YEAR_MS = 86_400_000, 365 * 86_400_000
NOT_KNOWN, LIVE, BACK = 0, local_field(3600), local_field(-3600, is_back_filled=True)
LAYOUT = MemoryLayout(
    window=2,
    kinds={SHOWN: KindRule(1, True, 0), VIEW: KindRule(2, True, 0), OTHER: KindRule(3, False, -1)},
    items=Vocabulary(np.zeros(0, np.uint32), b"", np.zeros(0, np.uint16)),
    offers=Vocabulary(np.array(OFFERS, np.uint32), b"a\nb", np.array([1, 1], np.uint16)),
    category_rows=2,
    counter_kinds=1,
    decays=(DecayTables.of(3600),),
    caps=(
        CapRule((SHOWN,), Scope.OFFER, limit=1, within_s=86_400, cooldown=True),
        CapRule((SHOWN, VIEW), Scope.OFFER, limit=3, within_s=86_400, cooldown=False),
        CapRule((VIEW,), Scope.USER, limit=2, within_s=0, cooldown=False),
    ),
)
Event = tuple[int, int, int, int]  # time_ms, kind, item, local
STAMPS = st.one_of(
    st.integers(0, 10), st.integers(-10, 10).map(lambda n: n * 3_600_000), st.integers(-YEAR_MS, YEAR_MS)
)
EVENTS = st.lists(
    st.tuples(
        STAMPS.map(lambda ms: NOW_MS + ms),
        st.sampled_from([SHOWN, VIEW, OTHER, 9]),
        st.sampled_from([*OFFERS, 0]),
        st.sampled_from([NOT_KNOWN, LIVE, LIVE, BACK]),
    ),
    max_size=30,
)


def latest(events: list[Event], rule: CapRule, item: int | None) -> list[int]:
    """The `limit` latest times of a target; none is later than what the clock stamped after it."""
    times, ceiling_ms = [], NOW_MS + 2 * YEAR_MS
    for time_ms, kind, about, local in reversed(events):
        if kind in rule.kinds and (item is None or about == item):
            times.append(min(time_ms, ceiling_ms))
        if local == LIVE:
            ceiling_ms = min(ceiling_ms, time_ms)
    return sorted([0] * rule.limit + times)[-rule.limit :]


def recorded(events: list[Event]) -> Memory:
    memory = Memory(LAYOUT)
    for time_ms, kind, item, local in events:
        memory.add(time_ms, kind, item, 0.0, local)
    return memory


def at_once(events: list[Event]) -> Memory:
    records = np.zeros(len(events), RECORD)
    for record, (time_ms, kind, item, local) in zip(records, events, strict=True):
        record["time_s"], record["time_ms"] = divmod(time_ms, 1000)
        record["kind"], record["item"], record["local"] = kind, item, local
    return memory_from(LAYOUT, records)


def assert_latest(memory: Memory, events: list[Event]) -> None:
    for index, rule in enumerate(LAYOUT.caps):
        targets = [(USER_ROW, None)] if rule.per is Scope.USER else list(enumerate(OFFERS, start=1))
        for row, item in targets:
            found = memory.caps.newest(index, np.array([row])).tolist()
            assert found == [latest(events, rule, item)], (rule, item)


@given(EVENTS)
@settings(max_examples=500)
def test_each_target_keeps_its_latest_times_whatever_the_order(events: list[Event]) -> None:
    memory = recorded(events)
    assert_latest(memory, events)
    loaded = Memory.load(LAYOUT, memory.dump())
    assert (loaded.caps.last_free_ms, loaded.dump()) == (memory.caps.last_free_ms, memory.dump())


@given(EVENTS, st.integers(2, 20))
@settings(max_examples=100)
def test_at_once_it_is_the_same(events: list[Event], copies: int) -> None:
    """Repeated often enough that events are taken in at once."""
    events = events * copies
    memory = at_once(events)
    assert_latest(memory, events)
    assert memory.dump() == recorded(events).dump()


def test_one_event_far_ahead_neither_forgets_the_others_nor_holds_its_offer_for_years() -> None:
    ahead = [(NOW_MS, SHOWN, 7, LIVE), (NOW_MS + YEAR_MS, SHOWN, 7, LIVE)]
    memory = recorded([*ahead, (NOW_MS + 60_000, OTHER, 0, LIVE)])  # an event of any kind shows that it was wrong
    assert memory.caps.newest(0, np.array([1])).tolist() == [[NOW_MS + 60_000]]
    assert memory.caps.newest(1, np.array([1])).tolist() == [[0, NOW_MS, NOW_MS + 60_000]]
    assert memory.caps.last_free_ms == NOW_MS + 60_000 + DAY_MS


def test_what_is_back_filled_newest_first_counts_as_oldest_first() -> None:
    events = [(NOW_MS - n * 60_000, SHOWN, 7, BACK) for n in range(50)]
    memory = at_once(events)
    assert memory.caps.newest(1, np.array([1])).tolist() == [[NOW_MS - 120_000, NOW_MS - 60_000, NOW_MS]]
    assert memory.dump()[-100:] == recorded(events).dump()[-100:]


def test_times_of_a_former_snapshot_are_put_in_order() -> None:
    memory = recorded([(NOW_MS + n, SHOWN, 7, BACK) for n in (0, 1, 2)])
    raw = bytearray(memory.caps.dump())
    times = np.frombuffer(raw, np.int64)
    at = times.tolist().index(NOW_MS + 1)  # in the rule of three
    times[at], times[at + 1] = times[at + 1], times[at]  # as recorded: the later one first
    loaded = Memory(LAYOUT)
    loaded.caps.load(bytes(raw), is_former=True)
    assert loaded.caps.newest(1, np.array([1])).tolist() == [[NOW_MS, NOW_MS + 1, NOW_MS + 2]]
