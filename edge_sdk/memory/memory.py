"""The derived state of one user: the newest events, decayed counters, cap counts, machines' states and spending.

Pure over arrays: no clock, no disk. The cloud replays logs through this same class, so training and serving see the
same bits. One event costs the same however many came before.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Final

import numpy as np

from edge_sdk.log.local_field import offset_s_of
from edge_sdk.log.record import BACK_FILLED
from edge_sdk.memory.caps import CapCounts, CountedRule
from edge_sdk.memory.counters import Counters
from edge_sdk.memory.derived_events import Deriver
from edge_sdk.memory.layout import MemoryLayout
from edge_sdk.memory.lookup import LookupTables
from edge_sdk.memory.spending import Spending
from edge_sdk.memory.state_machines import MachineSteps, StateMachines
from edge_sdk.memory.targets import NO_TARGET
from edge_sdk.memory.window import Window
from edge_sdk.types import F32, I32, I64

# What the events of one kind change: window row (0 = none), counter (-1 = none), caps, and for the few kinds that have
# any, the machines and whether the events are spending. Plain tuples: one event unpacks them faster than it reads
# fields of a record.
_RareEffects = tuple[tuple[MachineSteps, ...], bool]
_Effects = tuple[int, int, tuple[CountedRule, ...], _RareEffects | None]
_ALWAYS: Final = (1 << 63) - 1  # ms
_REFS_MAX: Final = 4096  # items whose rows are cached


class Memory:
    """Passes each event to the parts that count it, and answers reads from them.

    Attributes:
        layout: of the bundle.
        window, counters, caps, machines, spending, deriver: the parts.
    """

    def __init__(self, layout: MemoryLayout) -> None:
        """Starts empty: as if nothing was ever recorded."""
        self.layout = layout
        self.window = Window(layout.window, _keep_ms(layout))
        self.counters = Counters(layout)
        self.caps = CapCounts(layout.caps, layout.offers.row_category, layout.category_rows)
        self.machines = StateMachines(layout.machines, layout.offers.row_category, layout.category_rows)
        self.spending = Spending(layout.spending)
        self.deriver = Deriver(layout.derived)
        self._derived = frozenset(layout.derived.kinds)
        self._refs: dict[int, tuple[int, int, int, int, int]] = {}
        self._effects: dict[int, _Effects] = {
            kind: (rule.row * rule.in_window, rule.counter, self.caps.by_kind.get(kind, ()), self._rare_effects(kind))
            for kind, rule in layout.kinds.items()
        }

    @cached_property
    def lookup(self) -> LookupTables:
        """The tables for ingesting many events at once, made when first needed."""
        return LookupTables(self.layout)

    def add(self, time_ms: int, kind: int, item: int, value: float, local: int = 0) -> None:
        """Ingests one event, the newest by order of calls, and the events derived from it.

        An event is ignored if the bundle does not know its kind, or if the bundle derives its kind (a former bundle may
        have let it be recorded).

        Args:
            time_ms: milliseconds since 1970, not negative.
            kind, item: ids.
            value: a float32.
            local: that field of the event's record.
        """
        if (time_ms < self.caps.newest_ms or time_ms < self.spending.begun_ms) and 0 < local < BACK_FILLED:
            self.set_back(time_ms, local)  # else the clock goes on: `is_stamped_by_clock`, at no call's cost
        effects = self._effects.get(kind)
        if effects is None:
            return
        if self.deriver.is_idle:
            self._ingest(effects, time_ms, item, value, local)
            return
        if kind in self._derived:
            return
        before, after = self.deriver.feed(time_ms, kind, item)
        for event in (*before, (time_ms, kind, item, value), *after):
            effects = self._effects.get(event[1])
            if effects is not None:
                self._ingest(effects, event[0], event[2], event[3], local)

    def set_back(self, now_ms: int, local: int) -> None:
        """Lets nothing be ahead of a reading of the engine's clock: rules of time count it as of now.

        Args:
            now_ms: milliseconds since 1970.
            local: the field of an event that is recorded now.
        """
        if now_ms < self.caps.newest_ms:
            self.caps.set_back(now_ms)
        self.spending.set_back(now_ms, offset_s_of(local))

    def _ingest(self, effects: _Effects, time_ms: int, item: int, value: float, local: int) -> None:
        window_row, counter, capped, rare = effects
        item_row, offer_row, category_row, offer, category = self._refs.get(item) or self._ref(item)
        if window_row:
            self.window.push(window_row, item_row, time_ms, value)
        if counter >= 0 and (offer_row or category_row):
            self.counters.add(counter, time_ms, offer_row, category_row)
        if capped:
            self.caps.add(capped, time_ms, offer, category)
        if rare:
            stepped, is_spent = rare
            self.machines.add(stepped, time_ms, offer, category)
            if is_spent:
                self.spending.add(time_ms, value, local)

    def _rare_effects(self, kind: int) -> _RareEffects | None:
        stepped, budget = self.machines.by_kind.get(kind, ()), self.layout.spending
        is_spent = budget is not None and kind in budget.kinds
        return (stepped, is_spent) if stepped or is_spent else None

    def fill_window(self, now_ms: int, item: I32, kind: I32, age_s: F32, value: F32) -> None:
        """Writes the last N events into the caller's arrays, each (N,), newest first.

        Missing events are all 0, and so are events older than their kind is kept; the places of others do not move.
        """
        self.window.fill(now_ms, item, kind, age_s, value)

    def category_counters(self, now_ms: int) -> F32:
        """Returns the decayed counters of all categories, (G·KC·H,)."""
        return self.counters.of_categories(now_ms)

    def spent(self, now_ms: int, offset_s: int = 0) -> int:
        """Returns what the budget's events have cost in the period of now, in its units; 0 without a budget.

        Args:
            now_ms: milliseconds since 1970.
            offset_s: how far local time is ahead of UTC then.
        """
        return self.spending.spent(now_ms, offset_s)

    def forget_expired(self, now_ms: int) -> bool:
        """Overwrites events of the window that are older than their kind is kept, so that no dump contains them.

        Also clears dwell timers that have been open longer than `longest_s`: they can no longer produce an event.

        Returns:
            Whether anything was overwritten.
        """
        had_timers = self.deriver.forget_expired(now_ms)
        return self.window.forget_expired(now_ms) or had_timers

    def dump(self) -> bytes:
        """Returns the whole state; its length depends on the layout alone."""
        parts = (self.window, self.counters, self.caps, self.machines, self.spending, self.deriver)
        return b"".join(part.dump() for part in parts)

    @classmethod
    def load(cls, layout: MemoryLayout, raw: bytes, *, is_former: bool = False) -> Memory:
        """Returns a memory with the state that `dump` wrote; `raw` is of the same layout (the caller has checked).

        Args:
            layout: of the memory.
            raw: begins with the dump.
            is_former: the dump is of a snapshot of version 4 or before.
        """
        memory = cls(layout)
        at = memory.window.load(raw)
        at += memory.counters.load(raw, at)
        at += memory.caps.load(raw[at:], is_former=is_former)
        at += memory.machines.load(raw[at:])
        at += memory.spending.load(raw[at:], is_former=is_former)
        memory.deriver.load(raw[at:])
        return memory

    def targets_of(self, item: int) -> tuple[int, int]:
        """Returns the offer and the category that events about an item id count for; below 0 = none.

        An item that is neither in the bundle nor "no item" may be an offer: offer row 0.
        """
        return self._ref(item)[3:]

    def _ref(self, item: int) -> tuple[int, int, int, int, int]:
        """Returns item row, offer row and category row of an item id, 0 = none; then its `targets_of`."""
        known = self._refs.get(item)
        if known is not None:
            return known
        layout = self.layout
        item_row, offer_row = layout.items.row(item), layout.offers.row(item)
        category_row = int(layout.offers.row_category[offer_row] or layout.items.row_category[item_row])
        offer = offer_row or (0 if item and not item_row else NO_TARGET)
        if len(self._refs) >= _REFS_MAX:
            self._refs.clear()  # rare, and cheaper than an order of use
        self._refs[item] = (item_row, offer_row, category_row, offer, category_row or NO_TARGET)
        return self._refs[item]


def _keep_ms(layout: MemoryLayout) -> I64 | None:
    """How long the window shows an event, by kind row; None = no kind is bounded, and then the check costs nothing."""
    rules = layout.kinds.values()
    if not any(rule.keep_s for rule in rules):
        return None
    keep_ms = np.full(max(rule.row for rule in rules) + 1, _ALWAYS, np.int64)
    for rule in rules:
        if rule.keep_s:
            keep_ms[rule.row] = rule.keep_s * 1000
    return keep_ms


def replay(
    layout: MemoryLayout, times_ms: Sequence[int], kinds: Sequence[int], items: Sequence[int], values: Sequence[float]
) -> Memory:
    """Returns a memory that has ingested these events, given as ids, oldest first."""
    memory = Memory(layout)
    for time_ms, kind, item, value in zip(times_ms, kinds, items, values, strict=True):
        memory.add(time_ms, kind, item, value)
    return memory
