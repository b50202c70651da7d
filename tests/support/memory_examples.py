"""Fills the memory of a small layout, four kinds and four items, with random histories of events."""

from __future__ import annotations

from itertools import accumulate

import numpy as np
from hypothesis import strategies as st

from edge_sdk.memory.caps import CapRule
from edge_sdk.memory.decay import DecayTables
from edge_sdk.memory.layout import KindRule, MemoryLayout
from edge_sdk.memory.memory import Memory
from edge_sdk.memory.targets import Scope
from edge_sdk.types import F32
from edge_sdk.vocabulary import Vocabulary

START = 1_768_478_400_000  # 2026-01-15 12:00:00 UTC
SEEN, COUNTED, BOTH, NEITHER = 1, 2, 3, 4  # kind ids
# Ids of items 10, 20, 30, 40; 10 and 20 are offers of categories 1 and 2; 30 is no offer, of category 1; 40 of none.
LAYOUT = MemoryLayout(
    window=4,
    kinds={
        SEEN: KindRule(1, True, -1),
        COUNTED: KindRule(2, False, 0),
        BOTH: KindRule(3, True, 1),
        NEITHER: KindRule(4, False, -1),
    },
    items=Vocabulary(np.array([10, 20, 30, 40], np.uint32), b"a\nb\nc\nd", np.array([1, 2, 1, 0], np.uint16)),
    offers=Vocabulary(np.array([10, 20], np.uint32), b"a\nb", np.array([1, 2], np.uint16)),
    category_rows=3,
    counter_kinds=2,
    decays=(DecayTables.of(60), DecayTables.of(3600), DecayTables.of(604_800)),
    caps=(),
)
OFFER_ROWS = np.array([0, 1, 2])


def window(memory: Memory, now_ms: int) -> tuple[list[int], list[int], list[float], list[float]]:
    """Returns the items, kinds, ages in seconds and values of the window."""
    n = memory.layout.window
    item, kind = np.full(n, -1, np.int32), np.full(n, -1, np.int32)
    age, value = np.full(n, -1, np.float32), np.full(n, -1, np.float32)
    memory.fill_window(now_ms, item, kind, age, value)
    return item.tolist(), kind.tolist(), age.tolist(), value.tolist()


def counters(memory: Memory, now_ms: int) -> F32:
    """Returns the counters of each offer, (3, features); row 0 is the unknown offer."""
    out = np.full((3, memory.layout.counter_features), -1, np.float32)
    memory.counters.fill(now_ms, memory.layout.counter_slots(OFFER_ROWS), out)
    return out


Event = tuple[int, int, int, float]
KINDS = st.sampled_from([SEEN, COUNTED, BOTH, NEITHER, 77])
ITEMS = st.sampled_from([0, 10, 20, 30, 40, 99])
GAPS_MS = st.one_of(st.integers(0, 3_000), st.integers(0, 600_000), st.integers(0, 90 * 86_400_000))
STEPS_MS = st.one_of(GAPS_MS, st.integers(-900_000, 0), st.integers(-400 * 86_400_000, 400 * 86_400_000))


def histories(steps: st.SearchStrategy[int]) -> st.SearchStrategy[list[Event]]:
    """Draws up to 40 events with these steps of time between them."""
    event = st.tuples(steps, KINDS, ITEMS, st.floats(width=32, allow_nan=False, allow_infinity=False))
    return st.lists(event, max_size=40).map(with_times)


def with_times(steps: list[Event]) -> list[Event]:
    times = accumulate((step[0] for step in steps), initial=START)
    return [(max(0, at), *step[1:]) for at, step in zip(list(times)[1:], steps, strict=True)]


def ingested(events: list[Event], layout: MemoryLayout = LAYOUT) -> Memory:
    """Returns a memory with these events, added one after the other."""
    memory = Memory(layout)
    for event in events:
        memory.add(*event)
    return memory


RULES = (
    CapRule((COUNTED,), Scope.OFFER, limit=2, within_s=600, cooldown=False),
    CapRule((BOTH,), Scope.CATEGORY, limit=3, within_s=3600, cooldown=False),
    CapRule((NEITHER,), Scope.OFFER, limit=1, within_s=1800, cooldown=True),
)
