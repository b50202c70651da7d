"""Lookup tables from kind and item ids to rows, for ingesting many events at once.

A code is an index into these tables; code 0 is every id that the bundle does not know.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

import numpy as np

from edge_sdk.memory.layout import MemoryLayout
from edge_sdk.memory.targets import USER_ROW, Scope
from edge_sdk.types import I32, I64, U32, Integers, Mask

_BITS_MIN: Final = 12  # among few ids hardly two share their first bits


class RuleInputs(NamedTuple):
    """Which events a cap, a machine or the budget counts."""

    rule: int  # index
    kinds: Mask  # (K + 1,) by kind code
    per: Scope


class LookupTables:
    """The tables of one layout: by kind code (K + 1,), by item code (I + 1,)."""

    def __init__(self, layout: MemoryLayout) -> None:
        """Joins the items and offers of a layout; a millisecond for 10,000 of them."""
        half_lives = len(layout.decays)
        width = layout.counter_kinds * half_lives
        kinds = sorted(layout.kinds)
        rules = [layout.kinds[kind] for kind in kinds]
        self._kinds = _IdIndex(np.array(kinds, np.uint16))
        self.window_row: I32 = np.array([0, *(rule.row * rule.in_window for rule in rules)], np.int32)
        self.is_counted = np.array([False, *(rule.counter >= 0 for rule in rules)])
        self.counter_column: I64 = np.array([0, *(max(0, rule.counter) * half_lives for rule in rules)], np.int64)
        codes = {kind: code for code, kind in enumerate(kinds, start=1)}
        self.kind_id: I64 = np.array([0, *kinds], np.int64)
        self.caps = _rule_inputs(((rule.kinds, rule.per) for rule in layout.caps), codes)
        self.machines = _rule_inputs(((rule.kinds, rule.per) for rule in layout.machines), codes)
        self.budget = _rule_inputs([(layout.spending.kinds, Scope.USER)] if layout.spending else [], codes)
        item_ids = _joined(layout.items.ids, layout.offers.ids)
        self._items = _IdIndex(item_ids)
        self.item_row = _with_unknown(_IdIndex(layout.items.ids).rows(item_ids))
        self.offer_row = _with_unknown(_IdIndex(layout.offers.ids).rows(item_ids))
        of_offer, of_item = layout.offers.row_category[self.offer_row], layout.items.row_category[self.item_row]
        self.category_row: I32 = np.where(of_offer, of_offer, of_item).astype(np.int32)
        self.has_target = (self.offer_row > 0) | (self.category_row > 0)
        # Where the counters of the offer and of the category start among all sums, flattened.
        self.offer_at = self.offer_row * width
        self.category_at = (self.category_row + len(layout.offers) + 1) * width

    def targets(self, per: Scope, items: I64) -> I32:
        """Returns the target's row for events about these items (codes), (E,); 0 = none."""
        if per == Scope.OFFER:
            return self.offer_row.take(items)
        return self.category_row.take(items) if per == Scope.CATEGORY else np.full(len(items), USER_ROW, np.int32)

    def kind_codes(self, kinds: Integers) -> I64:
        """Returns the codes of kind ids, (E,)."""
        return self._kinds.rows(kinds)

    def item_codes(self, items: Integers) -> I64:
        """Returns the codes of item ids, (E,)."""
        return self._items.rows(items)


class _IdIndex:
    """Finds the row of an id by the id's first bits: ids are checksums, so these are as good as a hash.

    One guess is right for most ids at a tenth of a binary search's time; the others are searched for.
    """

    def __init__(self, ids: Integers) -> None:
        """`ids` ascend; they are of an unsigned type."""
        bits = min(max(_BITS_MIN, (2 * len(ids)).bit_length()), 8 * ids.itemsize)
        self._shift = 8 * ids.itemsize - bits
        self._guesses = np.zeros(1 << bits, np.int32)
        self._guesses[ids >> self._shift] = np.arange(1, len(ids) + 1)
        # One more in front, for guesses of "not there" and for ids before the first: these do not equal it.
        self._padded = np.concatenate([ids[:1] if len(ids) else np.zeros(1, ids.dtype), ids])

    def rows(self, wanted: Integers) -> I64:
        """Returns the row of each wanted id, from 1; 0 = the id is not there."""
        rows = self._guesses.take(wanted >> self._shift, mode="clip").astype(np.int64)
        missed = np.flatnonzero(self._padded.take(rows) != wanted)
        if len(missed):
            left = wanted[missed]
            at = np.searchsorted(self._padded[1:], left, side="right")
            rows[missed] = at * (self._padded.take(at) == left)
        return rows


def _rule_inputs(rules: Iterable[tuple[Collection[int], Scope]], codes: dict[int, int]) -> tuple[RuleInputs, ...]:
    """The inputs of the rules that count any kind of the layout."""
    found = []
    for index, (kinds, per) in enumerate(rules):
        is_counted = np.zeros(len(codes) + 1, np.bool_)
        is_counted[[codes[kind] for kind in kinds if kind in codes]] = True
        if is_counted.any():
            found.append(RuleInputs(index, is_counted, per))
    return tuple(found)


def _joined(one: U32, other: U32) -> U32:
    """All ids, ascending, each once. `np.union1d` does the same, but its first call imports masked arrays: 7 ms."""
    ids: U32 = np.sort(np.concatenate([one, other]))
    is_new = np.concatenate([np.ones(min(1, len(ids)), np.bool_), ids[1:] != ids[:-1]])
    return ids.compress(is_new)


def _with_unknown(rows: I64) -> I32:
    return np.concatenate([np.zeros(1, np.int32), rows.astype(np.int32)])
