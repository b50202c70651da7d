"""Ingesting many events at once: the same state, to the bit, as `Memory.add` for each of them in order.

Of the window only the last N events are written, of a cap only the newest `limit` times of each target. Machines step
one event after the other, but only for the kinds that they count. Counters are added in order of the events.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from edge_sdk.log.local_field import NOT_KNOWN
from edge_sdk.log.record import BACK_FILLED, BODY, Records, from_bodies, items_of
from edge_sdk.memory.layout import MemoryLayout
from edge_sdk.memory.memory import Memory
from edge_sdk.types import F32, I64, U16, Integers
from edge_sdk.vocabulary import HIGH_AT

_unpack: Final = BODY.unpack

CHUNK: Final = 1 << 14  # events; beyond 128 KiB an array is mapped and unmapped at each use, at half the speed
ONE_BY_ONE: Final = 40  # fewer events than this are added one by one
# Microseconds, one by one / at once; events 2 ms apart, then 10 s, then 5 min (x86 server core, wealth scene: three
# half-lives, three caps). At 16 events: 31 / 70, 48 / 70, 59 / 84. At 32: 53 / 73, 83 / 74, 105 / 85.
# At 64: 104 / 89, 165 / 89, 207 / 95. At 256: 410 / 100, 648 / 112, 816 / 118. At 1024: 1640 / 140, 2600 / 153,
# 3330 / 230.


def memory_from(layout: MemoryLayout, records: Records) -> Memory:
    """Returns the memory after these records of an event log, oldest first."""
    memory = Memory(layout)
    ingest(memory, records)
    return memory


def ingest(memory: Memory, records: Records) -> None:
    """Adds these records of an event log to memory, oldest first."""
    if len(records) < ONE_BY_ONE:
        _add_each(memory, records)
        return
    for part in _chunks(len(records)):
        times_ms = records["time_s"][part].astype(np.int64) * 1000 + records["time_ms"][part]
        chunk = records[part]
        if _is_set_back(memory, times_ms, chunk["local"]):
            _add_each(memory, chunk)
        else:
            _ingest_ids(memory, times_ms, chunk["kind"], items_of(chunk), chunk["value"], chunk["local"])


def ingest_bodies(memory: Memory, bodies: Sequence[bytes]) -> None:
    """Adds records packed as `BODY`, oldest first: a few cost a third of what they cost as an array."""
    if len(bodies) >= ONE_BY_ONE:
        ingest(memory, from_bodies(bodies))
        return
    for body in bodies:
        _, time_s, time_ms, kind, item, value, _, local, item_high = _unpack(body)
        memory.add(time_s * 1000 + time_ms, kind, item | item_high << HIGH_AT, value, local)


def ingest_columns(
    memory: Memory,
    times_ms: I64,
    kind_codes: Integers,
    kind_ids: Sequence[int],
    item_codes: Integers,
    item_ids: Sequence[int],
    values: F32,
    *,
    local: U16,
) -> None:
    """Adds back-filled events of dictionary-encoded columns to memory, in order of recording: the fastest way.

    Args:
        memory: changes.
        times_ms: (E,) milliseconds since 1970, not negative.
        kind_codes, item_codes: (E,) indices into `kind_ids` and `item_ids`; of any integer type, not widened.
        kind_ids, item_ids: ids, in any order.
        values: (E,)
        local: (E,) that field of their records.

    Raises:
        IndexError: a code is beyond its ids; events before its chunk have been added.
    """
    ids_of_kinds, ids_of_items = np.array(kind_ids, np.int64), np.array(item_ids, np.int64)
    lookup, is_idle = memory.lookup, memory.deriver.is_idle
    kind_of, item_of = lookup.kind_codes(ids_of_kinds), lookup.item_codes(ids_of_items)
    for part in _chunks(len(times_ms)):
        if is_idle:
            kinds, items = kind_of.take(kind_codes[part]), item_of.take(item_codes[part])
            _ingest_codes(memory, times_ms[part], kinds, items, values[part])
            _spend(memory, times_ms[part], kinds, values[part], local[part])
        else:  # a derived event may be about an item without a row: that takes ids
            kinds, items = ids_of_kinds.take(kind_codes[part]), ids_of_items.take(item_codes[part])
            _ingest_ids(memory, times_ms[part], kinds, items, values[part], local[part])


def _chunks(events: int) -> Iterator[slice]:
    return (slice(start, start + CHUNK) for start in range(0, events, CHUNK))


def _add_each(memory: Memory, records: Records) -> None:
    for _, time_s, time_ms, kind, item, value, _, local, item_high, _ in records.tolist():
        memory.add(time_s * 1000 + time_ms, kind, item | item_high << HIGH_AT, value, local)


def _is_set_back(memory: Memory, times_ms: I64, local: U16) -> bool:
    """Returns whether the engine's clock stamped one of these events before an earlier one; such a chunk is rare."""
    if memory.spending.is_set_back(times_ms, local):
        return True
    if int(times_ms[0]) >= memory.caps.newest_ms and (times_ms[1:] >= times_ms[:-1]).all():
        return False
    newest = np.maximum.accumulate(np.concatenate([[memory.caps.newest_ms], times_ms[:-1]]))
    return bool(((times_ms < newest) & (local > NOT_KNOWN) & (local < BACK_FILLED)).any())


def _ingest_ids(memory: Memory, times_ms: I64, kinds: Integers, items: I64, values: F32, local: U16) -> None:
    """Adds the events of a chunk and the events derived from them."""
    lookup = memory.lookup
    codes = lookup.kind_codes(kinds)
    _spend(memory, times_ms, codes, values, local)  # no derived event costs anything
    if not memory.deriver.is_idle:
        recorded = codes > 0
        for derived in memory.layout.derived.kinds:
            recorded &= kinds != derived
        known = np.flatnonzero(recorded)
        times_ms, kinds, items, values = memory.deriver.feed_many(
            times_ms[known], kinds[known].astype(np.uint16), items[known], values[known]
        )
        codes = lookup.kind_codes(kinds)
    _ingest_codes(memory, times_ms, codes, lookup.item_codes(items), values)


def _ingest_codes(memory: Memory, times_ms: I64, kinds: I64, items: I64, values: F32) -> None:
    """Adds the events of a chunk; kinds and items as codes of `memory.lookup`."""
    lookup = memory.lookup
    _push_newest(memory, times_ms, kinds, items, values)
    for inputs in lookup.caps:
        at = np.flatnonzero(inputs.kinds.take(kinds))
        if len(at):
            memory.caps.add_many(inputs.rule, times_ms.take(at), lookup.targets(inputs.per, items.take(at)))
    for inputs in lookup.machines:
        at = np.flatnonzero(inputs.kinds.take(kinds))
        if len(at):
            ids, targets = lookup.kind_id.take(kinds.take(at)), lookup.targets(inputs.per, items.take(at))
            memory.machines.add_many(inputs.rule, times_ms.take(at), ids, targets)
    counted = np.flatnonzero(lookup.is_counted.take(kinds) & lookup.has_target.take(items))
    if len(counted):
        columns, items = lookup.counter_column.take(kinds.take(counted)), items.take(counted)
        memory.counters.add_many(
            times_ms.take(counted), lookup.offer_at.take(items) + columns, lookup.category_at.take(items) + columns
        )


def _spend(memory: Memory, times_ms: I64, kinds: I64, values: F32, local: U16) -> None:
    """Adds the costs of a chunk's recorded events; kinds as codes of `memory.lookup`."""
    for inputs in memory.lookup.budget:
        at = np.flatnonzero(inputs.kinds.take(kinds))
        if len(at):
            memory.spending.add_many(times_ms.take(at), values.take(at), local.take(at))


def _push_newest(memory: Memory, times_ms: I64, kinds: I64, items: I64, values: F32) -> None:
    """Pushes the last N events of window kinds into the window; most of them lie near the end."""
    lookup, size = memory.lookup, memory.layout.window
    length, last = 4 * size, np.zeros(0, np.int64)
    while len(last) < size and length < 4 * len(kinds) + 4 * size:
        start = max(0, len(kinds) - length)
        last = np.flatnonzero(lookup.window_row.take(kinds[start:]))[-size:] + start
        length *= 4
    if len(last):
        item_rows = lookup.item_row.take(items.take(last))
        memory.window.push_many(lookup.window_row.take(kinds.take(last)), item_rows, times_ms[last], values[last])
