"""A plain model keeps an engine's events as a list, and for each where it still counts."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import cast

import numpy as np

from edge_sdk.limits import TIME_MS_MAX
from edge_sdk.log.local_field import local_field
from edge_sdk.memory.caps import cap_cells
from edge_sdk.memory.derived_events import Deriver
from edge_sdk.memory.derived_rules import NOTHING_DERIVED
from edge_sdk.memory.layout import MemoryLayout
from edge_sdk.memory.memory import Memory
from edge_sdk.memory.targets import Scope
from edge_sdk.types import F32, I64
from edge_sdk.vocabulary import item_id, kind_id
from tests.support.scene import OFFERS

Row = tuple[int, int, int, int, float, int]  # seq, time_ms, kind, item, value, decision

LIVE, BACK = local_field(0), local_field(0, is_back_filled=True)  # in UTC, where tests run
SET_BACK = -1  # the kind of no event
OFFER_IDS = frozenset(map(item_id, OFFERS))
CATEGORY_OF = {
    **{item_id(name): "coupon" for name in ("coupon_a", "coupon_b", "page_coupons")},
    **{item_id(name): "fund" for name in ("fund_a", "fund_b", "fund_c", "fund_d")},
}
# Which recorded kinds each derived kind of `DERIVED_SCENE` follows from.
FOLLOWS_FROM = {
    kind_id(name): frozenset(map(kind_id, kinds))
    for name, kinds in {
        "visit": ("view", "click", "impression"),
        "visit_end": ("view", "click", "impression"),
        "stay": ("view", "click", "dismiss"),
        "passed_over": ("impression", "click", "convert"),
    }.items()
}


@dataclass(slots=True)
class Seen:
    """An event, recorded or derived, and where it still counts."""

    seq: int  # a derived event has that of the recorded event that it is derived from
    time_ms: int
    kind: int
    item: int
    value: float
    is_derived: bool
    local: int = 0  # that field of the record
    in_window: bool = True
    for_offer: bool = True
    for_category: bool = True


class Model:
    """One user's events.

    Attributes:
        log: the events in the ring, by seq.
        seen: all events that memory has ingested, those in the ring and those that left it.
        is_whole: no events but erased ones have left the ring.
        is_replay: memory is, to the byte, the result of ingesting the events of `seen` one after the other.
        is_blurred: the effects of events that left the ring are not known to the bit: the clock had stepped back.
    """

    def __init__(self, layout: MemoryLayout, capacity: int) -> None:
        self._layout, self.capacity = layout, capacity
        self.clear()

    def clear(self) -> None:
        self.log: dict[int, Row] = {}
        self.seen: list[Seen] = []
        self.last_seq, self.first_seq = 0, 1
        self.has_stepped_back = self.is_blurred = self._has_expired = False
        self.is_replay = True
        self._local: dict[int, int] = {}
        self._deriver = Deriver(self._layout.derived)
        self._composed: Composed | None = None
        self._replayed: Memory | None = None

    # ---- what happens ----

    def record(self, time_ms: int, kind: str, item: str, value: float, decision: int = 0, *, local: int = LIVE) -> int:
        self.last_seq += 1
        self._local[self.last_seq] = local
        time_ms = min(max(time_ms, 0), TIME_MS_MAX)
        row = (self.last_seq, time_ms, kind_id(kind), item_id(item) if item else 0, float(np.float32(value)), decision)
        self.log[self.last_seq] = row
        self.seen += following(self._deriver, row, local)
        self.log.pop(self.last_seq - self.capacity, None)
        return self.last_seq

    def set_back(self, now_ms: int) -> None:
        """The engine has seen its clock at this time: nothing recorded so far is later."""
        self.seen.append(Seen(self.last_seq, now_ms, SET_BACK, 0, 0.0, is_derived=False))

    def resize(self, capacity: int) -> None:
        self.first_seq, self.capacity = max(self.oldest_seq, self.last_seq - capacity + 1), capacity
        self.log = {seq: row for seq, row in self.log.items() if seq >= self.first_seq}

    def expire(self, kept: set[int], now_ms: int) -> None:
        """Follows an expiry by the engine: events left its log; they must have expired."""
        for seq in self.log.keys() - kept:
            _, time_ms, kind, *_ = self.log.pop(seq)
            keep_s = self._layout.kinds[kind].keep_s
            assert keep_s > 0
            assert time_ms < now_ms - keep_s * 1000
            self._has_expired = True

    def erase(self, before_ms: int | None, items: set[int] | None, kinds: set[int] | None) -> int:
        """Erases the matching events. Returns how many of them were in the log."""
        chosen = {
            seq
            for seq, (_, time_ms, kind, item, _, _) in self.log.items()
            if (before_ms is None or time_ms < before_ms)
            and (items is None or item in items)
            and (kinds is None or kind in kinds)
        }
        if not chosen and self.is_whole:
            return 0  # there is nothing to erase, and memory is not made anew
        self.log = {seq: row for seq, row in self.log.items() if seq not in chosen}
        self._deriver, self._composed, self._replayed = Deriver(self._layout.derived), None, None
        rebuilt = [seen for row in self.log.values() for seen in following(self._deriver, row, self._local[row[0]])]
        if self.is_whole or (items is None and kinds is None):
            self.seen, self.is_replay = rebuilt, True
            return len(chosen)
        erased = {kind_id(name) for name in KIND_NAMES} if kinds is None else kinds
        uncertain = {kind for kind, causes in FOLLOWS_FROM.items() if causes & erased}
        for seen in rebuilt:  # the same events still count since they were first derived
            if seen.is_derived and seen.kind not in uncertain:
                seen.for_offer = seen.for_category = False
        earlier = [
            self._beyond(seen, erased, items)
            for seen in self.seen
            if (seen.kind not in uncertain if seen.is_derived else seen.seq not in self.log.keys() | chosen)
        ]
        self.seen = sorted(earlier + rebuilt, key=lambda seen: seen.seq)
        self.is_replay = False
        self.is_blurred |= self.has_stepped_back
        return len(chosen)

    # ---- what it comes to ----

    @property
    def oldest_seq(self) -> int:
        return max(self.first_seq, self.last_seq - self.capacity + 1)

    @property
    def is_whole(self) -> bool:
        return self.oldest_seq == 1 and not self._has_expired

    def replayed(self) -> bytes:
        """Returns the dump of a memory that ingested the recorded events one by one."""
        if self._replayed is None:
            self._replayed, self._known = Memory(self._layout), 0
        for seen in self.seen[self._known :]:
            if seen.kind == SET_BACK:
                self._replayed.set_back(seen.time_ms, seen.local)
            elif not seen.is_derived:
                self._replayed.add(seen.time_ms, seen.kind, seen.item, seen.value, seen.local)
        self._known = len(self.seen)
        return self._replayed.dump()

    def memory(self) -> Memory:
        """Returns a memory for a decision to read, each part made from the events that count there."""
        if self._composed is None:
            self._composed, self._taken = Composed(self._layout), 0
        for seen in self.seen[self._taken :]:
            self._composed.add(seen)
        self._taken = len(self.seen)
        return cast("Memory", self._composed)

    def _beyond(self, seen: Seen, kinds: set[int], items: set[int] | None) -> Seen:
        """Updates an event that is no longer in the log, after an erase."""
        seen.in_window = False
        if not seen.is_derived and seen.kind in kinds:
            categories = {CATEGORY_OF.get(item) for item in items or ()}
            seen.for_offer &= items is not None and seen.item not in items
            seen.for_category &= items is not None and CATEGORY_OF.get(seen.item) not in categories
        return seen


_versions = count(1)


class Composed:
    """Three memories in one: for the window, for counts of offers, and for counts of categories."""

    def __init__(self, layout: MemoryLayout) -> None:
        layout = layout._replace(derived=NOTHING_DERIVED)
        recent = Memory(layout)
        self.window = recent.window
        self.layout, self._counted = layout, layout.caps
        self.machines, self.rules = recent.machines, ()
        self._recent = recent
        self._offers = Memory(layout._replace(caps=tuple(cap for cap in layout.caps if cap.per == Scope.OFFER)))
        self._categories = Memory(layout._replace(caps=tuple(cap for cap in layout.caps if cap.per == Scope.CATEGORY)))
        self.caps = self.counters = self

    def add(self, seen: Seen) -> None:
        for counts, memory in (
            (seen.in_window, self._recent),
            (seen.for_offer, self._offers),
            (seen.for_category, self._categories),
        ):
            if seen.kind == SET_BACK:
                memory.set_back(seen.time_ms, seen.local)
            elif counts:
                memory.add(seen.time_ms, seen.kind, seen.item, seen.value, seen.local)

    def fill(self, now_ms: int, slots: I64, out: F32) -> None:
        """Writes decayed counters as `Counters.fill` does: the first half of offers, the second of categories."""
        of_categories = np.empty_like(out)
        self._offers.counters.fill(now_ms, slots, out)
        self._categories.counters.fill(now_ms, slots, of_categories)
        out[:, out.shape[1] // 2 :] = of_categories[:, out.shape[1] // 2 :]

    @property
    def version(self) -> int:
        """Never the same: no answer is cached."""
        return next(_versions)

    @property
    def newest_ms(self) -> int:
        """No clock was wrong."""
        return max(memory.caps.newest_ms for memory in (self._offers, self._categories))

    @property
    def last_free_ms(self) -> int:
        """The later one."""
        return max(memory.caps.last_free_ms for memory in (self._offers, self._categories))

    def free_times(self, cells: I64) -> I64:
        """Of all offers in their order, whatever the cells: each of the memories has cells of its own."""
        layout, rows = self.layout, np.array([self.layout.offers.row(item_id(offer)) for offer in OFFERS])
        of = {}
        for per, memory in ((Scope.OFFER, self._offers), (Scope.CATEGORY, self._categories)):
            own = cap_cells(memory.layout.caps, layout.offers.row_category, layout.category_rows, rows)
            of[per] = iter(memory.caps.free_times(own))
        return np.array([next(of[rule.per]) for rule in self._counted], np.int64).reshape(cells.shape)


KIND_NAMES = ("view", "click", "impression", "dismiss", "convert", "note")


def following(deriver: Deriver, row: Row, local: int) -> list[Seen]:
    """Returns a recorded event between the events derived from it."""
    seq, time_ms, kind, item, value, _ = row
    before, after = deriver.feed(time_ms, kind, item)
    own = Seen(seq, time_ms, kind, item, value, is_derived=False, local=local)
    return [*(Seen(seq, *event, True) for event in before), own, *(Seen(seq, *event, True) for event in after)]
