"""What the device derives from events: the last N events, decayed counters, cap counts.

Pure over arrays: no clock, no disk. The cloud replays logs through this same class, so training and serving see the
same bits. One event costs the same however many came before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

import numpy as np

from edge_sdk.caps import CapCounts, CapRule
from edge_sdk.decay import FINE_BITS, FINE_MASK, PERIOD_HALF_LIVES, PERIOD_TICKS, DecayTables
from edge_sdk.derived import NOTHING_DERIVED, DerivedRules
from edge_sdk.types import F32, F64, I32, I64
from edge_sdk.vocabulary import Vocabulary

_NEVER: Final = 1 << 62  # time of an empty window place: its age clamps to 0
_REFS_MAX: Final = 4096  # items whose rows are kept ready


@dataclass(frozen=True, slots=True)
class KindRule:
    """What one kind of event feeds."""

    row: int  # of the model's kind table, from 1
    in_window: bool
    counter: int  # index of its decayed counters; -1 = not counted
    keep_s: int = 0  # the log and the window hold it no longer than this; 0 = as long as there is room


@dataclass(frozen=True, slots=True, eq=False)
class MemoryLayout:
    """What a bundle says of memory."""

    window: int  # N
    kinds: dict[int, KindRule]  # by kind id
    items: Vocabulary
    offers: Vocabulary
    category_rows: int  # categories + 1
    counter_kinds: int  # KC
    decays: tuple[DecayTables, ...]  # H half-lives
    caps: tuple[CapRule, ...]
    derived: DerivedRules = NOTHING_DERIVED

    @property
    def counter_features(self) -> int:
        """F = 2·KC·H: of the offer itself (kind-major), then of its category."""
        return 2 * self.counter_kinds * len(self.decays)

    def counter_slots(self, offer_rows: I64 | I32) -> I64:
        """Where the counters of each offer and of its category lie, (C, 2): offer rows come first, then categories."""
        categories = self.offers.row_category[offer_rows] + len(self.offers) + 1
        return np.stack([offer_rows, categories], axis=1).astype(np.int64)

    def fingerprint(self) -> bytes:
        """SHA-256 (32 bytes) of all that gives a dumped memory its meaning: rows, rules, half-lives."""
        digest = hashlib.sha256()
        for vocabulary in (self.items, self.offers):
            digest.update(vocabulary.ids.tobytes() + vocabulary.row_category.tobytes())
        rules = sorted((kind, rule.row, rule.in_window, rule.counter) for kind, rule in self.kinds.items())
        ticks = [decay.tick_ms for decay in self.decays]
        digest.update(repr((self.window, rules, self.category_rows, self.counter_kinds, ticks, self.caps)).encode())
        return digest.digest()


class Memory:
    """The derived state of one user."""

    def __init__(self, layout: MemoryLayout) -> None:
        """An empty memory: as if nothing was ever recorded."""
        self.layout = layout
        n = layout.window
        self._size = n
        # The window is written twice, N apart and backwards, so that "newest first" is always one contiguous slice.
        self._item = np.zeros(2 * n, np.int32)
        self._kind = np.zeros(2 * n, np.int32)
        self._value = np.zeros(2 * n, np.float32)
        self._time = np.full(2 * n, _NEVER, np.int64)
        self._at = 0
        # Element writes through a memoryview cost a third of those through numpy.
        self._views = (self._item.data, self._kind.data, _floats(self._value), self._time.data)
        self._width = layout.counter_kinds * len(layout.decays)
        self.category_slot = len(layout.offers) + 1  # slots of rows 0 stay 0
        self.sums = np.zeros((self.category_slot + layout.category_rows, self._width))
        self._sums_view = _floats(self.sums.reshape(-1))
        self.latest = [0] * len(layout.decays)  # tick of the newest event; the landmark is the start of its period
        self._tick_ms = [decay.tick_ms for decay in layout.decays]
        self._grown = [1.0] * len(layout.decays)  # what an event at `latest` adds: most events share their tick with it
        self._decays = [
            (d.tick_ms, _floats(d.grow_coarse), _floats(d.grow_fine), _floats(d.fade_coarse), _floats(d.fade_fine))
            for d in layout.decays
        ]
        self._refs: dict[int, tuple[int, int, int]] = {}
        self._ages = np.empty(n, np.int64)
        self._seconds = np.empty(n, np.float64)
        self.caps = CapCounts(layout.caps, layout.offers.row_category, layout.category_rows)
        # What a kind feeds, in one look-up: its window row (0 = none), its counter (-1 = none), its caps.
        self._plans = {
            kind: (rule.row if rule.in_window else 0, rule.counter, self.caps.by_kind.get(kind, ()))
            for kind, rule in layout.kinds.items()
        }

    def add(self, time_ms: int, kind: int, item: int, value: float) -> None:
        """Take in one event, the newest by order of calls. A kind that the bundle does not know is passed over."""
        plan = self._plans.get(kind)
        if plan is None:
            return
        window_row, counter, capped = plan
        item_row, offer_row, category_row = self._refs.get(item) or self.rows_of(item)
        if window_row:
            self.see(window_row, item_row, time_ms, value)
        if counter >= 0 and (offer_row or category_row):
            self._count(counter, time_ms, offer_row, category_row)
        if capped:
            self.caps.add(capped, time_ms, offer_row, category_row)

    def see(self, kind_row: int, item_row: int, time_ms: int, value: float) -> None:
        """Put one event into the window, over the oldest."""
        n = self._size
        at = self._at = (self._at or n) - 1
        items, kinds, values, times = self._views
        items[at] = items[at + n] = item_row
        kinds[at] = kinds[at + n] = kind_row
        values[at] = values[at + n] = value
        times[at] = times[at + n] = time_ms

    def _count(self, counter: int, time_ms: int, offer_row: int, category_row: int) -> None:
        """Add one event to the counters of its offer and of its category, where it has them."""
        sums, latest = self._sums_view, self.latest
        offer_at = offer_row * self._width + counter * len(latest)
        category_at = (self.category_slot + category_row) * self._width + counter * len(latest)
        for h, tick_ms in enumerate(self._tick_ms):
            tick = time_ms // tick_ms
            if tick != latest[h]:
                self.advance(h, tick)
            grown = self._grown[h]
            if offer_row:
                sums[offer_at + h] += grown
            if category_row:
                sums[category_at + h] += grown

    def advance(self, h: int, tick: int) -> None:
        """Follow the clock to an event's tick, never behind the newest event's (no age is negative)."""
        latest = self.latest[h]
        if latest - PERIOD_TICKS < tick < latest:
            return  # the clock stepped back a little: time stands still until it has caught up
        column = self.sums[:, h :: len(self._decays)]
        if tick > latest:
            periods = tick // PERIOD_TICKS - latest // PERIOD_TICKS
            if periods:
                np.ldexp(column, -PERIOD_HALF_LIVES * min(periods, 64), out=column)
        elif tick < latest:  # the clock was far ahead: what was counted keeps its value of then, and decays from now on
            _, _, _, fade_coarse, fade_fine = self._decays[h]
            then = latest % PERIOD_TICKS
            np.multiply(column, fade_coarse[then >> FINE_BITS] * fade_fine[then & FINE_MASK], out=column)
            np.multiply(column, self._growth(h, tick), out=column)
        self._stand_at(h, tick)

    def _stand_at(self, h: int, tick: int) -> None:
        self.latest[h], self._grown[h] = tick, self._growth(h, tick)

    def _growth(self, h: int, tick: int) -> float:
        """What an event at this tick adds to a sum."""
        _, coarse, fine, _, _ = self._decays[h]
        since = tick % PERIOD_TICKS
        return coarse[since >> FINE_BITS] * fine[since & FINE_MASK]

    def knows(self, item: int) -> bool:
        """Whether the bundle has a row for this item id."""
        return any(self.rows_of(item)[:2])

    def fill_window(self, now_ms: int, item: I32, kind: I32, age_s: F32, value: F32) -> None:
        """Write the last N events into the caller's arrays, each (N,), newest first; absent events are all 0."""
        part = slice(self._at, self._at + self._size)
        item[:] = self._item[part]
        kind[:] = self._kind[part]
        value[:] = self._value[part]
        np.subtract(now_ms, self._time[part], out=self._ages)
        np.maximum(self._ages, 0, out=self._ages)  # a clock that stepped back makes no negative ages
        np.divide(self._ages, 1000.0, out=self._seconds)
        age_s[:] = self._seconds

    def fill_counters(self, now_ms: int, slots: I64, out: F32) -> None:
        """Write decayed counters into `out`, (C, F): float64 sums, rounded once. `slots`: `layout.counter_slots`."""
        sums = self.sums.take(slots, axis=0).reshape(out.shape)
        np.multiply(sums, self._fade(now_ms, 2), out=out, casting="same_kind")

    def category_counters(self, now_ms: int) -> F32:
        """The decayed counters of all categories, (G·KC·H,): what the cloud's base model reads."""
        sums: F64 = self.sums[self.category_slot + 1 :] * self._fade(now_ms, 1)
        return sums.astype(np.float32).reshape(-1)

    def dump(self) -> bytes:
        """The whole state; its length depends on the layout alone."""
        part = slice(self._at, self._at + self._size)
        window = (self._item[part], self._kind[part], self._value[part], self._time[part])
        counters = (np.array(self.latest, np.int64), self.sums)
        return b"".join(array.tobytes() for array in (*window, *counters)) + self.caps.dump()

    @classmethod
    def load(cls, layout: MemoryLayout, raw: bytes) -> Memory:
        """A memory that goes on where `dump` stood; `raw` is of the same layout (the caller has checked)."""
        memory, at = cls(layout), 0
        for array in (memory._item, memory._kind, memory._value, memory._time):
            part = np.frombuffer(raw, array.dtype, layout.window, at)
            array[: layout.window] = part
            array[layout.window :] = part
            at += part.nbytes
        latest = np.frombuffer(raw, np.int64, len(memory.latest), at)
        at += latest.nbytes
        for h, tick in enumerate(latest.tolist()):
            memory._stand_at(h, tick)
        memory.sums[:] = np.frombuffer(raw, np.float64, memory.sums.size, at).reshape(memory.sums.shape)
        memory.caps.load(raw[at + memory.sums.nbytes :])
        return memory

    def rows_of(self, item: int) -> tuple[int, int, int]:
        """Item row, offer row and category row of an item id; 0 where there is none."""
        known = self._refs.get(item)
        if known is not None:
            return known
        layout = self.layout
        item_row, offer_row = layout.items.row(item), layout.offers.row(item)
        category = int(layout.offers.row_category[offer_row] or layout.items.row_category[item_row])
        if len(self._refs) >= _REFS_MAX:
            self._refs.clear()  # rare, and cheaper than keeping an order of use
        self._refs[item] = (item_row, offer_row, category)
        return self._refs[item]

    def _fade(self, now_ms: int, repeats: int) -> F64:
        """What each sum is multiplied with to be read now, (repeats·KC·H,)."""
        factors = []
        for h, (tick_ms, _, _, coarse, fine) in enumerate(self._decays):
            latest = self.latest[h]
            tick = max(now_ms // tick_ms, latest)
            since = tick % PERIOD_TICKS
            periods = tick // PERIOD_TICKS - latest // PERIOD_TICKS
            factor = coarse[since >> FINE_BITS] * fine[since & FINE_MASK]
            factors.append(factor * 2.0 ** (-PERIOD_HALF_LIVES * min(periods, 60)))
        return np.array(factors * (self.layout.counter_kinds * repeats))


def _floats(array: F32 | F64) -> memoryview[float]:
    return cast("memoryview[float]", array.data)


def replay(layout: MemoryLayout, times_ms: Sequence[int], kinds: Sequence[int], items: Sequence[int],
           values: Sequence[float]) -> Memory:  # fmt: skip
    """A memory that took in these events (oldest first), as ids."""
    memory = Memory(layout)
    for time_ms, kind, item, value in zip(times_ms, kinds, items, values, strict=True):
        memory.add(time_ms, kind, item, value)
    return memory
