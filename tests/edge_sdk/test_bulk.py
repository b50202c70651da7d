"""Events taken in at once leave the same memory, to the bit, as the same events one after the other."""

import numpy as np
from conftest import ITEMS, KINDS, NOW_MS, OFFERS, Small
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.bulk import add_many
from edge_sdk.memory import Memory
from edge_sdk.vocabulary import item_id, kind_id

KIND_IDS = [*(kind_id(kind) for kind in KINDS), 9]  # the last one is unknown to the bundle
ITEM_IDS = [*(item_id(item) for item in ITEMS), 0]
STEPS_MS = st.one_of(
    st.integers(0, 60_000),
    st.integers(-5_000, 5_000_000),
    st.integers(-(10**11), 10**11),  # a clock years off
)
EVENTS = st.lists(
    st.tuples(STEPS_MS, st.sampled_from(KIND_IDS), st.sampled_from(ITEM_IDS), st.floats(width=32, allow_nan=False)),
    max_size=60,
)


def visible(memory: Memory, now_ms: int) -> tuple[bytes, ...]:
    """Everything that a decision can see."""
    n = memory.layout.window
    item, kind = np.zeros(n, np.int32), np.zeros(n, np.int32)
    age, value = np.zeros(n, np.float32), np.zeros(n, np.float32)
    memory.fill_window(now_ms, item, kind, age, value)
    rows = np.arange(len(OFFERS) + 1)
    counters = np.zeros((len(rows), memory.layout.counter_features), np.float32)
    memory.fill_counters(now_ms, memory.layout.counter_slots(rows), counters)
    held = memory.caps.reasons(rows, now_ms)
    capped = np.zeros(len(rows), np.int64) if held is None else held
    return tuple(array.tobytes() for array in (item, kind, age, value, counters, capped))


@given(events=EVENTS, cut=st.integers(0, 60), later_ms=st.integers(-(10**6), 10**8))
@settings(max_examples=200, deadline=None)
def test_at_once_is_as_one_by_one(
    small: Small, events: list[tuple[int, int, int, float]], cut: int, later_ms: int
) -> None:
    times_ms = np.clip(NOW_MS + np.cumsum([step for step, *_ in events], dtype=np.int64), 0, 4_000_000_000_000)
    kinds, items = np.array([e[1] for e in events], np.int64), np.array([e[2] for e in events], np.int64)
    values = np.array([e[3] for e in events], np.float32)
    one_by_one, at_once = Memory(small.layout.memory), Memory(small.layout.memory)
    for index in range(len(events)):
        row = (int(times_ms[index]), int(kinds[index]), int(items[index]), float(values[index]))
        one_by_one.add(*row)
        if index < cut:
            at_once.add(*row)
    add_many(at_once, times_ms[cut:], kinds[cut:], items[cut:], values[cut:])
    now_ms = int(times_ms[-1] if len(events) else NOW_MS) + later_ms
    assert one_by_one.sums.tobytes() == at_once.sums.tobytes()
    assert one_by_one.latest == at_once.latest
    assert visible(one_by_one, now_ms) == visible(at_once, now_ms)
