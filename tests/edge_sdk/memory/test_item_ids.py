"""Events and bundles with and without high words of ids count for the same rows one by one, at once and as columns.

Random vocabularies are made of few words, so that many names share their low word.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.log.record import RECORD, Records, items_of
from edge_sdk.memory import bulk
from edge_sdk.memory.bulk import ingest, ingest_bodies, ingest_columns
from edge_sdk.memory.caps import CapRule
from edge_sdk.memory.derived_rules import DerivedRules, DwellRule
from edge_sdk.memory.erasure import inherit_unaffected
from edge_sdk.memory.layout import MemoryLayout
from edge_sdk.memory.lookup import LookupTables
from edge_sdk.memory.memory import Memory
from edge_sdk.memory.migration import inherit
from edge_sdk.memory.targets import NO_TARGET, Scope
from edge_sdk.state.retention import matching
from edge_sdk.state.snapshot_tables import fingerprint, pack_tables, read_tables
from edge_sdk.vocabulary import Vocabulary, words_of
from tests.support.memory_examples import BOTH, COUNTED, LAYOUT, NEITHER, SEEN, START

Words = tuple[int, int]
Event = tuple[int, int, int, float]
LOWS = (3, 0x8000_0000, 0xFFFF_FFFF)
WORDS = st.tuples(st.sampled_from(LOWS), st.sampled_from([1, 2, 0xFFFF]))
CAPS = (CapRule((COUNTED,), Scope.OFFER, 2, 600, False), CapRule((BOTH, SEEN), Scope.CATEGORY, 3, 3600, False))
DWELL = DerivedRules(dwell=(DwellRule(NEITHER, frozenset({SEEN}), frozenset({SEEN, BOTH}), longest_s=600),))


def number(words: Words) -> int:
    return words[0] | words[1] << 32


def vocabulary(words: set[Words], *, knows_high: bool = True) -> Vocabulary:
    ordered = sorted(words) if knows_high else sorted({(low, 0) for low, _ in words})
    lows, highs = words_of(np.array([number(one) for one in ordered], np.int64))
    categories = np.arange(len(ordered)).astype(np.uint16) % 3
    return Vocabulary(lows, b"", categories, highs if knows_high else None)


@st.composite
def layouts(draw: st.DrawFn) -> MemoryLayout:
    knows_high, derives = draw(st.booleans()), draw(st.booleans())
    items, offers = (vocabulary(draw(st.sets(WORDS, max_size=9)), knows_high=knows_high) for _ in range(2))
    layout = LAYOUT._replace(items=items, offers=offers, caps=CAPS)
    return layout._replace(derived=DWELL) if derives else layout


@st.composite
def histories(draw: st.DrawFn) -> list[Event]:
    item = st.tuples(st.sampled_from([*LOWS, 0]), st.sampled_from([0, 1, 2, 0xFFFF])).map(number)
    event = st.tuples(st.integers(0, 90_000), st.sampled_from([SEEN, COUNTED, BOTH, NEITHER]), item, st.just(1.0))
    steps = draw(st.lists(event, max_size=60))
    times = np.cumsum([START, *(step[0] for step in steps)]).tolist()
    return [(at, *step[1:]) for at, step in zip(times[1:], steps, strict=True)]


def records(events: list[Event]) -> Records:
    found = np.zeros(len(events), RECORD)
    if events:
        times, kinds, items, values = zip(*events, strict=True)
        found["time_s"], found["time_ms"] = np.divmod(np.array(times, np.int64), 1000)
        found["kind"], found["value"] = kinds, values
        found["item"], found["item_high"] = words_of(np.array(items, np.int64))
    return found


def one_by_one(layout: MemoryLayout, events: list[Event]) -> Memory:
    memory = Memory(layout)
    for event in events:
        memory.add(*event)
    return memory


@given(layouts())
@settings(max_examples=200, deadline=None)
def test_codes_have_the_rows_of_the_vocabularies(layout: MemoryLayout) -> None:
    lookup = LookupTables(layout)
    every = [number((low, high)) for low in (0, 2, *LOWS) for high in (0, 1, 2, 5, 0xFFFF)]
    codes = lookup.item_codes(np.array(every, np.int64))
    assert lookup.item_row[codes].tolist() == [layout.items.row(item) for item in every]
    assert lookup.offer_row[codes].tolist() == [layout.offers.row(item) for item in every]


@given(layout=layouts(), events=histories(), chunk=st.sampled_from([1, 7, 1 << 14]))
@settings(max_examples=200, deadline=None)
def test_every_way_in_gives_the_same_memory(layout: MemoryLayout, events: list[Event], chunk: int) -> None:
    expected = one_by_one(layout, events).dump()
    at_once, few, columns = Memory(layout), Memory(layout), Memory(layout)
    items = sorted({event[2] for event in events})
    with pytest.MonkeyPatch.context() as patch:
        ingest_bodies(few, [record.tobytes()[:28] for record in records(events)])
        patch.setattr(bulk, "ONE_BY_ONE", 0)
        patch.setattr(bulk, "CHUNK", chunk)
        ingest(at_once, records(events))
        ingest_columns(
            columns,
            np.array([event[0] for event in events], np.int64),
            np.array([event[1] for event in events], np.int64),
            range(5),
            np.array([items.index(event[2]) for event in events], np.int64),
            items,
            np.array([event[3] for event in events], np.float32),
            local=np.zeros(len(events), np.uint16),
        )
    assert [memory.dump() for memory in (at_once, few, columns)] == [expected] * 3


@pytest.mark.parametrize("knows_high", [True, False])
def test_only_the_id_0_is_about_no_item(knows_high: bool) -> None:
    """A high word alone is an item that no bundle knows: offer row 0, one by one and at once."""
    offers = vocabulary({(3, 1), (5, 2)}, knows_high=knows_high)
    layout = LAYOUT._replace(items=vocabulary(set(), knows_high=knows_high), offers=offers, caps=CAPS)
    items = [0, number((0, 1)), number((7, 1)), number((3, 1))]
    codes = LookupTables(layout).item_codes(np.array(items, np.int64))
    at_once = LookupTables(layout).targets(Scope.OFFER, codes).tolist()
    assert at_once == [Memory(layout).targets_of(item)[0] for item in items] == [NO_TARGET, 0, 0, 1]


@given(st.lists(WORDS | st.tuples(st.sampled_from(LOWS), st.just(0)), max_size=20), st.sets(WORDS))
def test_an_erase_matches_its_item_and_old_events_of_its_low_word(events: list[Words], erased: set[Words]) -> None:
    found = records([(START, SEEN, number(words), 0.0) for words in events])
    chosen = matching(found, None, frozenset(map(number, erased)), None)
    lows = {low for low, _ in erased}
    assert chosen.tolist() == [words in erased or (words[1] == 0 and words[0] in lows) for words in events]
    assert items_of(found).tolist() == [number(words) for words in events]


def test_an_erase_of_what_left_the_log_reaches_the_row_that_old_events_meant() -> None:
    """Offers (3, 1) and (3, 2): an event of version 1 about either counted for the first of them."""
    layout = LAYOUT._replace(items=vocabulary(set()), offers=vocabulary({(3, 1), (3, 2), (4, 1)}), caps=CAPS)
    old = one_by_one(layout, [(START, COUNTED, item, 1.0) for item in (3, number((3, 2)), number((4, 1)))])
    memory = Memory(layout)
    inherit_unaffected(memory, old, None, frozenset({number((3, 2))}))
    left = [bool(memory.counters.sums[row].any()) for row in (1, 2, 3)]
    assert left == [False, False, True]
    assert old.counters.sums[1:4].reshape(3, -1).any(axis=1).all()


@pytest.mark.parametrize("knows_high", [True, False])
def test_tables_of_a_snapshot_keep_the_ids(knows_high: bool) -> None:
    offers = vocabulary({(3, 1), (5, 2), (9, 0xFFFF)}, knows_high=knows_high)
    read, _ = read_tables(pack_tables(LAYOUT._replace(offers=offers)))
    assert read.offers.ids.tolist() == offers.ids.tolist()
    assert (read.offers.highs is None) == (not knows_high)


def test_a_layout_with_other_high_words_is_another_layout() -> None:
    first, second = (LAYOUT._replace(items=vocabulary(words)) for words in ({(3, 1)}, {(3, 2)}))
    assert fingerprint(first) != fingerprint(second)
    assert not first.has_categories_of(second)
    assert first.has_categories_of(LAYOUT._replace(items=vocabulary({(3, 0)}, knows_high=False)))


OLD, TWO = {(3, 0), (4, 0)}, {(3, 1), (3, 2), (4, 7)}


@pytest.mark.parametrize(
    ("former", "knew", "latest", "knows", "expected"),
    [
        (OLD, False, TWO, True, [1, 0, 2]),  # of two that the former one may be, the first
        (TWO, True, OLD, False, [1, 3]),
        (TWO, True, {(3, 2), (4, 8)}, True, [2, 0]),
        (OLD, False, OLD, False, [1, 2]),
    ],
)
def test_offers_of_a_former_bundle_are_found_as_far_as_their_words_are_known(
    former: set[Words], knew: bool, latest: set[Words], knows: bool, expected: list[int]
) -> None:
    """Each offer of the former bundle was shown as often as its row says."""
    layout = LAYOUT._replace(items=vocabulary(set(), knows_high=knew), offers=vocabulary(former, knows_high=knew))
    events = [
        (START, COUNTED, identifier, 1.0)
        for row, identifier in enumerate(layout.offers.ids.tolist(), 1)
        for _ in range(row)
    ]
    memory = Memory(
        LAYOUT._replace(items=vocabulary(set(), knows_high=knows), offers=vocabulary(latest, knows_high=knows))
    )
    inherit(memory, one_by_one(layout, events))
    slots = memory.layout.counter_slots(np.arange(1, len(expected) + 1))
    counts = np.zeros((len(expected), memory.layout.counter_features), np.float32)
    memory.counters.fill(START, slots, counts)
    assert counts[:, 0].tolist() == expected
