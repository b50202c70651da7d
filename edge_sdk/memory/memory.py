"""What the device derives from events: the last N events, decayed counters, cap counts, machines' states, spending.

Pure over arrays: no clock, no disk. The cloud replays logs through this same class, so training and serving see the
same bits. One event costs the same however many came before.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Final, cast

import numpy as np

from edge_sdk.memory.caps import CapCounts, CountedRule
from edge_sdk.memory.decay import FINE_BITS, FINE_MASK, PERIOD_HALF_LIVES, PERIOD_TICKS
from edge_sdk.memory.derived_events import Deriver
from edge_sdk.memory.layout import MemoryLayout
from edge_sdk.memory.lookup import EventRows
from edge_sdk.memory.spending import Spending
from edge_sdk.memory.state_machines import Machines, Stepped
from edge_sdk.memory.window import Window
from edge_sdk.types import F32, F64, I32, I64

# Window row, counter, caps, and what few kinds have: the machines that look at it and whether it is spending.
_Plan = tuple[int, int, tuple[CountedRule, ...], tuple[tuple[Stepped, ...], bool] | None]
_ALWAYS: Final = (1 << 63) - 1  # ms
_REFS_MAX: Final = 4096  # items whose rows are kept ready


class Memory:
    """The derived state of one user."""

    def __init__(self, layout: MemoryLayout) -> None:
        """An empty memory: as if nothing was ever recorded."""
        self.layout = layout
        self.window = Window(layout.window, _keep_ms(layout))
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
        self.caps = CapCounts(layout.caps, layout.offers.row_category, layout.category_rows)
        self.machines = Machines(layout.machines, layout.offers.row_category, layout.category_rows)
        self.spending = Spending(layout.spending)
        self.deriver = Deriver(layout.derived)
        self._derived = frozenset(layout.derived.kinds)
        # What a kind feeds, in one look-up: its window row (0 = none), its counter (-1 = none), its caps, the rest.
        self._plans: dict[int, _Plan] = {
            kind: (rule.row * rule.in_window, rule.counter, self.caps.by_kind.get(kind, ()), self._rest(kind))
            for kind, rule in layout.kinds.items()
        }

    @cached_property
    def rows(self) -> EventRows:
        """Tables for many events at once, made when first needed."""
        return EventRows(self.layout)

    def add(self, time_ms: int, kind: int, item: int, value: float) -> None:
        """Take in one event, the newest by order of calls, and what follows from it.

        A kind that the bundle does not know is passed over; so is one that it derives, if a former bundle let it be
        recorded.
        """
        plan = self._plans.get(kind)
        if plan is None:
            return
        if self.deriver.is_idle:
            self._feed(plan, time_ms, item, value)
            return
        if kind in self._derived:
            return
        before, after = self.deriver.feed(time_ms, kind, item)
        for event in (*before, (time_ms, kind, item, value), *after):
            plan = self._plans.get(event[1])
            if plan is not None:
                self._feed(plan, event[0], event[2], event[3])

    def _feed(self, plan: _Plan, time_ms: int, item: int, value: float) -> None:
        window_row, counter, capped, rest = plan
        item_row, offer_row, category_row = self._refs.get(item) or self.rows_of(item)
        if window_row:
            self.window.see(window_row, item_row, time_ms, value)
        if counter >= 0 and (offer_row or category_row):
            self._count(counter, time_ms, offer_row, category_row)
        if capped:
            self.caps.add(capped, time_ms, offer_row, category_row)
        if rest:
            stepped, is_spent = rest
            self.machines.add(stepped, time_ms, offer_row, category_row)
            if is_spent:
                self.spending.add(time_ms, value)

    def _rest(self, kind: int) -> tuple[tuple[Stepped, ...], bool] | None:
        stepped, budget = self.machines.by_kind.get(kind, ()), self.layout.spending
        is_spent = budget is not None and kind in budget.kinds
        return (stepped, is_spent) if stepped or is_spent else None

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
                np.multiply(column, 2.0 ** (-PERIOD_HALF_LIVES * min(periods, 64)), out=column)
        elif tick < latest:  # the clock was far ahead: what was counted keeps its value of then, and decays from now on
            _, _, _, fade_coarse, fade_fine = self._decays[h]
            then = latest % PERIOD_TICKS
            np.multiply(column, fade_coarse[then >> FINE_BITS] * fade_fine[then & FINE_MASK], out=column)
            np.multiply(column, self._growth(h, tick), out=column)
        self.stand_at(h, tick)

    def stand_at(self, h: int, tick: int) -> None:
        """Say that the sums of a half-life are of this tick's period; `advance` is what moves them."""
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
        """Write the last N events into the caller's arrays, each (N,), newest first.

        Absent events are all 0, and so are events older than their kind is kept; the places of others do not move.
        """
        self.window.fill(now_ms, item, kind, age_s, value)

    def forget_expired(self, now_ms: int) -> bool:
        """Overwrite events of the window that are older than their kind is kept, so that no dump holds them.

        Open stays that are too long for anything to follow from them are overwritten likewise.

        Returns:
            Whether there were any.
        """
        had_stays = self.deriver.forget_expired(now_ms)
        return self.window.forget_expired(now_ms) or had_stays

    def fill_counters(self, now_ms: int, slots: I64, out: F32) -> None:
        """Write decayed counters into `out`, (C, F): float64 sums, rounded once. `slots`: `layout.counter_slots`."""
        sums = self.sums.take(slots, axis=0).reshape(out.shape)
        np.multiply(sums, self._fade(now_ms, 2), out=out, casting="same_kind")

    def category_counters(self, now_ms: int) -> F32:
        """The decayed counters of all categories, (G·KC·H,): what the cloud's base model reads."""
        sums: F64 = self.sums[self.category_slot + 1 :] * self._fade(now_ms, 1)
        return sums.astype(np.float32).reshape(-1)

    def spent(self, now_ms: int) -> float:
        """What the budget's events have cost in the period of now; 0 without a budget."""
        return self.spending.spent(now_ms)

    def dump(self) -> bytes:
        """The whole state; its length depends on the layout alone."""
        counters = np.array(self.latest, np.int64).tobytes() + self.sums.tobytes()
        parts = (self.caps, self.machines, self.spending, self.deriver)
        return self.window.dump() + counters + b"".join(part.dump() for part in parts)

    @classmethod
    def load(cls, layout: MemoryLayout, raw: bytes) -> Memory:
        """A memory that goes on where `dump` stood; `raw` is of the same layout (the caller has checked)."""
        memory = cls(layout)
        at = memory.window.load(raw)
        latest = np.frombuffer(raw, np.int64, len(memory.latest), at)
        at += latest.nbytes
        for h, tick in enumerate(latest.tolist()):
            memory.stand_at(h, tick)
        memory.sums[:] = np.frombuffer(raw, np.float64, memory.sums.size, at).reshape(memory.sums.shape)
        at += memory.sums.nbytes
        for part in (memory.caps, memory.machines, memory.spending):
            at += part.load(raw[at:])
        memory.deriver.load(raw[at:])
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
        for (tick_ms, _, _, coarse, fine), latest in zip(self._decays, self.latest, strict=True):
            tick = now_ms // tick_ms
            if tick < latest:
                tick = latest
            since = tick % PERIOD_TICKS
            factor = coarse[since >> FINE_BITS] * fine[since & FINE_MASK]
            periods = tick // PERIOD_TICKS - latest // PERIOD_TICKS
            if periods:
                factor *= 2.0 ** (-PERIOD_HALF_LIVES * min(periods, 60))
            factors.append(factor)
        return np.array(factors * (self.layout.counter_kinds * repeats))


def _keep_ms(layout: MemoryLayout) -> I64 | None:
    """By kind row, how long the window shows an event; None = nothing is bounded, and then looking costs nothing."""
    rules = layout.kinds.values()
    if not any(rule.keep_s for rule in rules):
        return None
    keep_ms = np.full(max(rule.row for rule in rules) + 1, _ALWAYS, np.int64)
    for rule in rules:
        if rule.keep_s:
            keep_ms[rule.row] = rule.keep_s * 1000
    return keep_ms


def _floats(array: F32 | F64) -> memoryview[float]:
    return cast("memoryview[float]", array.data)


def replay(
    layout: MemoryLayout, times_ms: Sequence[int], kinds: Sequence[int], items: Sequence[int], values: Sequence[float]
) -> Memory:
    """A memory that took in these events (oldest first), as ids."""
    memory = Memory(layout)
    for time_ms, kind, item, value in zip(times_ms, kinds, items, values, strict=True):
        memory.add(time_ms, kind, item, value)
    return memory
