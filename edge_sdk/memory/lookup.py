"""What kinds and items mean to memory, as tables to gather from: for many events at once.

A code is a place in these tables; code 0 stands for every id that the bundle does not know.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

import numpy as np
import numpy.typing as npt

from edge_sdk.memory.layout import MemoryLayout
from edge_sdk.memory.targets import USER_ROW, Scope
from edge_sdk.types import I32, I64, Mask
from edge_sdk.vocabulary import U32

_BITS_MIN: Final = 12  # of a few ids hardly two share their first bits

Numbers = npt.NDArray[np.integer]


class EventRows:
    """The tables of one layout: by kind code (K + 1,), by item code (I + 1,)."""

    def __init__(self, layout: MemoryLayout) -> None:
        """Join the items and offers of a layout; a millisecond for 10,000 of them."""
        half_lives = len(layout.decays)
        width = layout.counter_kinds * half_lives
        kinds = sorted(layout.kinds)
        rules = [layout.kinds[kind] for kind in kinds]
        self._kinds = _Finder(np.array(kinds, np.uint16))
        self.window_row: I32 = np.array([0, *(rule.row * rule.in_window for rule in rules)], np.int32)
        self.is_counted = np.array([False, *(rule.counter >= 0 for rule in rules)])
        self.counter_column: I64 = np.array([0, *(max(0, rule.counter) * half_lives for rule in rules)], np.int64)
        codes = {kind: code for code, kind in enumerate(kinds, start=1)}
        self.kind_id: I64 = np.array([0, *kinds], np.int64)
        # Of each cap, each machine, and the budget: index, which kind codes it looks at, what its targets are.
        self.capped = _looking(((rule.kinds, rule.per) for rule in layout.caps), codes)
        self.stepped = _looking(((rule.kinds, rule.per) for rule in layout.machines), codes)
        self.spent = _looking([(layout.spending.kinds, Scope.USER)] if layout.spending else [], codes)
        item_ids = _joined(layout.items.ids, layout.offers.ids)
        self._items = _Finder(item_ids)
        self.item_row = _with_unknown(_Finder(layout.items.ids).places(item_ids))
        self.offer_row = _with_unknown(_Finder(layout.offers.ids).places(item_ids))
        of_offer, of_item = layout.offers.row_category[self.offer_row], layout.items.row_category[self.item_row]
        self.category_row: I32 = np.where(of_offer, of_offer, of_item).astype(np.int32)
        self.has_target = (self.offer_row > 0) | (self.category_row > 0)
        # Where the counters of the offer and of the category start among all sums, flat.
        self.offer_at = self.offer_row * width
        self.category_at = (self.category_row + len(layout.offers) + 1) * width

    def targets(self, per: Scope, items: I64) -> I32:
        """The target's row of events about these items (codes), (E,); 0 = none."""
        if per == Scope.OFFER:
            return self.offer_row.take(items)
        return self.category_row.take(items) if per == Scope.CATEGORY else np.full(len(items), USER_ROW, np.int32)

    def kind_codes(self, kinds: Numbers) -> I64:
        """Codes of kind ids, (E,)."""
        return self._kinds.places(kinds)

    def item_codes(self, items: Numbers) -> I64:
        """Codes of item ids, (E,)."""
        return self._items.places(items)


class _Finder:
    """Finds places of ids by their first bits: ids are checksums, so these are as good as a hash.

    One guess is right for most ids at a tenth of a binary search's time; the rest are searched for.
    """

    def __init__(self, ids: Numbers) -> None:
        """`ids` ascend; they are of an unsigned type."""
        bits = min(max(_BITS_MIN, (2 * len(ids)).bit_length()), 8 * ids.itemsize)
        self._shift = 8 * ids.itemsize - bits
        self._guesses = np.zeros(1 << bits, np.int32)
        self._guesses[ids >> self._shift] = np.arange(1, len(ids) + 1)
        # One more in front, for guesses of "not there" and for ids before the first: these do not equal it.
        self._padded = np.concatenate([ids[:1] if len(ids) else np.zeros(1, ids.dtype), ids])

    def places(self, wanted: Numbers) -> I64:
        """Place of each wanted id among the ids, from 1; 0 = it is not there."""
        places = self._guesses.take(wanted >> self._shift, mode="clip").astype(np.int64)
        missed = np.flatnonzero(self._padded.take(places) != wanted)
        if len(missed):
            left = wanted[missed]
            at = np.searchsorted(self._padded[1:], left, side="right")
            places[missed] = at * (self._padded.take(at) == left)
        return places


def _looking(
    rules: Iterable[tuple[Collection[int], Scope]], codes: dict[int, int]
) -> tuple[tuple[int, Mask, Scope], ...]:
    """Index, mask over kind codes and side of the rules that look at any kind of the layout."""
    found = []
    for index, (kinds, per) in enumerate(rules):
        looked_at = np.zeros(len(codes) + 1, np.bool_)
        looked_at[[codes[kind] for kind in kinds if kind in codes]] = True
        if looked_at.any():
            found.append((index, looked_at, per))
    return tuple(found)


def _joined(one: U32, other: U32) -> U32:
    """All ids, ascending, each once. `np.union1d` does it too, but its first call imports masked arrays: 7 ms."""
    ids: U32 = np.sort(np.concatenate([one, other]))
    is_new = np.concatenate([np.ones(min(1, len(ids)), np.bool_), ids[1:] != ids[:-1]])
    return ids.compress(is_new)


def _with_unknown(rows: I64) -> I32:
    return np.concatenate([np.zeros(1, np.int32), rows.astype(np.int32)])
