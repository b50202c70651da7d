"""Taking many events into memory at once: the same state, to the bit, as one `Memory.add` after the other.

Of the window only the last N events are written, of a cap only the newest `limit` times of each target. Machines step
one event after the other, but only those that look at its kind. Counters are sums in order of the events, so they are
added in that order (`np.add.at`), many landmarks at a time (`_add_stretch`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from edge_sdk.log.record import BODY, Records, from_bodies
from edge_sdk.memory.decay import FINE_BITS, FINE_MASK, PERIOD_BITS, PERIOD_HALF_LIVES, PERIOD_MASK, PERIOD_TICKS
from edge_sdk.memory.layout import MemoryLayout
from edge_sdk.memory.memory import Memory
from edge_sdk.types import F32, F64, I64

Numbers = npt.NDArray[np.integer]

_unpack: Final = BODY.unpack

CHUNK: Final = 1 << 14  # events; beyond 128 KiB an array is mapped and unmapped at each use, at half the speed
ONE_BY_ONE: Final = 40  # fewer events than this are added one by one
# Microseconds, one by one / at once; events 2 ms apart, then 10 s, then 5 min (x86 server core, wealth scene: three
# half-lives, three caps). At 16 events: 31 / 70, 48 / 70, 59 / 84. At 32: 53 / 73, 83 / 74, 105 / 85.
# At 64: 104 / 89, 165 / 89, 207 / 95. At 256: 410 / 100, 648 / 112, 816 / 118. At 1024: 1640 / 140, 2600 / 153,
# 3330 / 230.
_SPAN: Final = 48  # periods that one stretch may reach over: 2**(16·48) leaves sums far from overflow
# A sum below 2**-1022 has fewer bits, so that each move of the landmark rounds; one below 2**-1080 is 0 however it is
# rounded. In between lie the last `_ROUNDING` moves.
_NORMAL: Final = -1022
_NOTHING: Final = -1080
_ROUNDING: Final = 4


def memory_from(layout: MemoryLayout, records: Records) -> Memory:
    """Memory after these records of an event log, oldest first."""
    memory = Memory(layout)
    take_in(memory, records)
    return memory


def take_in(memory: Memory, records: Records) -> None:
    """Let memory grow by these records, oldest first."""
    if len(records) < ONE_BY_ONE:
        for _, time_s, time_ms, kind, item, value, *_ in records.tolist():
            memory.add(time_s * 1000 + time_ms, kind, item, value)
        return
    for part in _chunks(len(records)):
        times_ms = records["time_s"][part].astype(np.int64) * 1000 + records["time_ms"][part]
        chunk = records[part]
        _add_ids(memory, times_ms, chunk["kind"], chunk["item"], chunk["value"])


def ingest_bodies(memory: Memory, bodies: Sequence[bytes]) -> None:
    """The same for records packed as `BODY`: few of them cost a third of what they cost as an array."""
    if len(bodies) >= ONE_BY_ONE:
        take_in(memory, from_bodies(bodies))
        return
    for body in bodies:
        _, time_s, time_ms, kind, item, value, _, _, _ = _unpack(body)
        memory.add(time_s * 1000 + time_ms, kind, item, value)


def add_many(memory: Memory, times_ms: I64, kinds: Numbers, items: Numbers, values: npt.NDArray[np.floating]) -> None:
    """Take in events, oldest first.

    Args:
        memory: grows by these events.
        times_ms: (E,) milliseconds since 1970, not negative.
        kinds, items: (E,) ids.
        values: (E,), rounded to float32.
    """
    for part in _chunks(len(times_ms)):
        _add_ids(memory, times_ms[part], kinds[part], items[part], values[part].astype(np.float32, copy=False))


def add_columns(
    memory: Memory,
    times_ms: I64,
    kind_codes: Numbers,
    kind_ids: Sequence[int],
    item_codes: Numbers,
    item_ids: Sequence[int],
    values: F32,
) -> None:
    """Take in events of dictionary-encoded columns, oldest first: the fastest way in.

    Args:
        memory: grows by these events.
        times_ms: (E,) milliseconds since 1970, not negative.
        kind_codes, item_codes: (E,) places in `kind_ids` and `item_ids`; of any integer type, not widened.
        kind_ids, item_ids: ids, in any order.
        values: (E,)

    Raises:
        IndexError: a code is beyond its ids; events before its chunk have been taken in.
    """
    ids_of_kinds, ids_of_items = np.array(kind_ids, np.int64), np.array(item_ids, np.int64)
    rows, is_idle = memory.rows, memory.deriver.is_idle
    kind_of, item_of = rows.kind_codes(ids_of_kinds), rows.item_codes(ids_of_items)
    for part in _chunks(len(times_ms)):
        if is_idle:
            kinds, items = kind_of.take(kind_codes[part]), item_of.take(item_codes[part])
            _add_chunk(memory, times_ms[part], kinds, items, values[part])
        else:  # what is derived may be about an item without a row: that takes ids
            kinds, items = ids_of_kinds.take(kind_codes[part]), ids_of_items.take(item_codes[part])
            _add_ids(memory, times_ms[part], kinds, items, values[part])


def _chunks(events: int) -> Iterator[slice]:
    return (slice(start, start + CHUNK) for start in range(0, events, CHUNK))


def _add_ids(memory: Memory, times_ms: I64, kinds: Numbers, items: Numbers, values: F32) -> None:
    rows = memory.rows
    codes = rows.kind_codes(kinds)
    if not memory.deriver.is_idle:
        recorded = codes > 0
        for derived in memory.layout.derived.kinds:
            recorded &= kinds != derived
        known = np.flatnonzero(recorded)
        times_ms, kinds, items, values = memory.deriver.feed_many(
            times_ms[known], kinds[known].astype(np.uint16), items[known].astype(np.uint32), values[known]
        )
        codes = rows.kind_codes(kinds)
    _add_chunk(memory, times_ms, codes, rows.item_codes(items), values)


def _add_chunk(memory: Memory, times_ms: I64, kinds: I64, items: I64, values: F32) -> None:
    """Take in events of a chunk; kinds and items as codes of `memory.rows`."""
    rows = memory.rows
    _see(memory, times_ms, kinds, items, values)
    for index, looked_at, per in rows.capped:
        at = np.flatnonzero(looked_at.take(kinds))
        if len(at):
            memory.caps.add_many(index, times_ms.take(at), rows.targets(per, items.take(at)))
    for index, looked_at, per in rows.stepped:
        at = np.flatnonzero(looked_at.take(kinds))
        if len(at):
            stepping, targets = rows.kind_id.take(kinds.take(at)), rows.targets(per, items.take(at))
            memory.machines.add_many(index, times_ms.take(at), stepping, targets)
    for _, looked_at, _ in rows.spent:
        at = np.flatnonzero(looked_at.take(kinds))
        if len(at):
            memory.spending.add_many(times_ms.take(at), values.take(at))
    counted = np.flatnonzero(rows.is_counted.take(kinds) & rows.has_target.take(items))
    if len(counted):
        _count(memory, times_ms.take(counted), kinds.take(counted), items.take(counted))


def _see(memory: Memory, times_ms: I64, kinds: I64, items: I64, values: F32) -> None:
    """The last N events of window kinds; they mostly stand near the end."""
    rows, size = memory.rows, memory.layout.window
    looked_at, last = 4 * size, np.zeros(0, np.int64)
    while len(last) < size and looked_at < 4 * len(kinds) + 4 * size:
        start = max(0, len(kinds) - looked_at)
        last = np.flatnonzero(rows.window_row.take(kinds[start:]))[-size:] + start
        looked_at *= 4
    if len(last):
        item_rows = rows.item_row.take(items.take(last))
        memory.window.see_many(rows.window_row.take(kinds.take(last)), item_rows, times_ms[last], values[last])


def _count(memory: Memory, times_ms: I64, kinds: I64, items: I64) -> None:
    """Add counted events to the counters of their offers and categories."""
    rows = memory.rows
    column = rows.counter_column.take(kinds)
    offer_at, category_at = rows.offer_at.take(items) + column, rows.category_at.take(items) + column
    ascends = bool((times_ms[1:] >= times_ms[:-1]).all())
    first_ms, last_ms = int(times_ms[0]), int(times_ms[-1])
    for h, decay in enumerate(memory.layout.decays):
        ticks = times_ms // decay.tick_ms
        if not ascends or first_ms // decay.tick_ms < memory.latest[h]:
            ticks = _effective(ticks, memory.latest[h])
        since = ticks & PERIOD_MASK
        grown: F64 = decay.grow_coarse.take(since >> FINE_BITS) * decay.grow_fine.take(since & FINE_MASK)
        if ascends and last_ms - first_ms < decay.tick_ms * PERIOD_TICKS * (_SPAN - 1):
            _add_stretch(memory, h, ticks, grown, offer_at, category_at)
        else:
            for part in _stretches(ticks):
                _add_stretch(memory, h, ticks[part], grown[part], offer_at[part], category_at[part])
    memory.sums[0] = memory.sums[memory.category_slot] = 0.0  # what had no offer or no category went there


def _effective(ticks: I64, latest: int) -> I64:
    """The tick that each event counts at: never behind the newest, unless the clock was far ahead and came back."""
    running = np.maximum.accumulate(np.concatenate([[latest], ticks]))
    if not (ticks <= running[:-1] - PERIOD_TICKS).any():
        return running[1:]
    effective = []
    for tick in ticks.tolist():  # the rare log in which it came back
        if not latest - PERIOD_TICKS < tick < latest:
            latest = tick
        effective.append(latest)
    return np.array(effective, np.int64)


def _stretches(ticks: I64) -> Iterator[slice]:
    """Parts in which ticks ascend and reach over few periods."""
    falls = np.flatnonzero(ticks[1:] < ticks[:-1]) + 1
    for start, end in pairwise([0, *falls.tolist(), len(ticks)]):
        while start < end:
            border = ((int(ticks[start]) >> PERIOD_BITS) + _SPAN) << PERIOD_BITS
            stop = start + int(np.searchsorted(ticks[start:end], border))
            yield slice(start, stop)
            start = stop


def _add_stretch(memory: Memory, h: int, ticks: I64, grown: F64, offer_at: I64, category_at: I64) -> None:
    """Add ascending events of a few periods.

    Moving the landmark is a multiplication by a power of two. So instead of fading the sums at each border, events
    after a border are scaled up, and the sums are faded once at the end: the same bits, but for sums that fade to the
    smallest floats. Of those, the ones that got an event have lost themselves in it; the others are faded move by move.
    """
    first, last = int(ticks[0]), int(ticks[-1])
    memory.advance(h, first)
    flat = memory.sums.reshape(-1)[h:]
    span = (last >> PERIOD_BITS) - (first >> PERIOD_BITS)
    if not span:
        np.add.at(flat, offer_at, grown)
        np.add.at(flat, category_at, grown)
    else:
        moves = (ticks >> PERIOD_BITS) - (first >> PERIOD_BITS)
        grown = grown * np.ldexp(1.0, PERIOD_HALF_LIVES * np.arange(span + 1)).take(moves)
        column = memory.sums[:, h :: len(memory.latest)]
        normal, nothing = (2.0 ** (PERIOD_HALF_LIVES * span + end) for end in (_NORMAL, _NOTHING))
        tiny = np.nonzero((column < normal) & (column > nothing))  # these fade to where moves round
        before = column[tiny]
        np.add.at(flat, offer_at, grown)
        np.add.at(flat, category_at, grown)
        untouched = column[tiny] == before
        np.multiply(column, 2.0 ** (-PERIOD_HALF_LIVES * span), out=column)
        if len(before):
            column[tiny] = np.where(untouched, _faded(before, moves), column[tiny])
    memory.stand_at(h, last)


def _faded(sums: F64, moves: I64) -> F64:
    """Sums after every single move of the landmark, the last of which leave them below the normal numbers."""
    stops = moves[np.concatenate([[True], moves[1:] != moves[:-1]])]
    at = int(stops[stops <= stops[-1] - _ROUNDING].max(initial=0))
    sums = sums * 2.0 ** (-PERIOD_HALF_LIVES * at)  # normal still: these moves are exact, so one will do
    for stop in stops[stops > at].tolist():
        sums = sums * 2.0 ** (-PERIOD_HALF_LIVES * (stop - at))
        at = stop
    return sums
