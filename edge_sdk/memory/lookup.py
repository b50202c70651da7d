"""Lookup tables from kind and item ids to rows, for ingesting many events at once.

A code is an index into these tables; code 0 is every id that the bundle does not know. Item id 0, "about no item", has
a code of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final, NamedTuple

import numpy as np

from edge_sdk.memory.layout import MemoryLayout
from edge_sdk.memory.targets import NO_TARGET, USER_ROW, Scope
from edge_sdk.types import I32, I64, Integers, Mask
from edge_sdk.vocabulary import HIGH_AT, HIGH_BITS, LOW_WORD, sort_keys

_BITS_MIN: Final = 12  # among few ids hardly two share their first bits
_KIND_BITS: Final = 16
_HIGH_WORD: Final = (1 << HIGH_BITS) - 1


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
        self._kinds = _IdIndex(np.array(kinds, np.int64), bits=_KIND_BITS)
        self.window_row: I32 = np.array([0, *(rule.row * rule.in_window for rule in rules)], np.int32)
        self.is_counted = np.array([False, *(rule.counter >= 0 for rule in rules)])
        self.counter_column: I64 = np.array([0, *(max(0, rule.counter) * half_lives for rule in rules)], np.int64)
        codes = {kind: code for code, kind in enumerate(kinds, start=1)}
        self.kind_id: I64 = np.array([0, *kinds], np.int64)
        self.caps = _rule_inputs(((rule.kinds, rule.per) for rule in layout.caps), codes)
        self.machines = _rule_inputs(((rule.kinds, rule.per) for rule in layout.machines), codes)
        self.budget = _rule_inputs([(layout.spending.kinds, Scope.USER)] if layout.spending else [], codes)
        self._knows_high_words = layout.offers.highs is not None
        item_keys = _joined(np.concatenate([[0], sort_keys(layout.items.ids)]), sort_keys(layout.offers.ids))
        self._items = _IdIndex(item_keys, bits=HIGH_AT + HIGH_BITS, optional_bits=HIGH_BITS)
        item_ids = item_keys >> HIGH_BITS | (item_keys & _HIGH_WORD) << HIGH_AT
        self.item_row = _with_unknown(layout.items.rows(item_ids))
        self.offer_row = _with_unknown(layout.offers.rows(item_ids))
        of_offer, of_item = layout.offers.row_category[self.offer_row], layout.items.row_category[self.item_row]
        self.category_row: I32 = np.where(of_offer, of_offer, of_item).astype(np.int32)
        # What caps and machines count for: an item that the bundle does not know may be an offer, row 0.
        self._offer: I32 = np.where(self.offer_row > 0, self.offer_row, NO_TARGET).astype(np.int32)
        self._offer[0] = 0
        self._category: I32 = np.where(self.category_row > 0, self.category_row, NO_TARGET).astype(np.int32)
        self.has_target = (self.offer_row > 0) | (self.category_row > 0)
        # Where the counters of the offer and of the category start among all sums, flattened.
        self.offer_at = self.offer_row * width
        self.category_at = (self.category_row + len(layout.offers) + 1) * width

    def targets(self, per: Scope, items: I64) -> I32:
        """Returns the target's row for events about these items (codes), (E,); below 0 = none."""
        if per == Scope.OFFER:
            return self._offer.take(items)
        return self._category.take(items) if per == Scope.CATEGORY else np.full(len(items), USER_ROW, np.int32)

    def kind_codes(self, kinds: Integers) -> I64:
        """Returns the codes of kind ids, (E,)."""
        return self._kinds.rows(kinds)

    def item_codes(self, items: I64) -> I64:
        """Returns the codes of item ids, (E,)."""
        if not self._knows_high_words:
            lows = items & LOW_WORD
            items = np.where(lows, lows, items)  # "no item" has no high word; with one it is an item, and not known
        return self._items.rows(sort_keys(items))


class _IdIndex:
    """Finds the row of an id by the id's first bits: ids are checksums, so these are as good as a hash.

    One guess is right for most ids at a tenth of a binary search's time; the others are searched for.
    """

    def __init__(self, ids: I64, *, bits: int, optional_bits: int = 0) -> None:
        """Makes the table of guesses.

        Args:
            ids: ascending.
            bits: of an id.
            optional_bits: how many of an id's last bits may be 0 in a wanted id, "not known". Such an id means the
                first id that has the same other bits.
        """
        first_bits = min(max(_BITS_MIN, (2 * len(ids)).bit_length()), bits - optional_bits)
        self._shift, self._given = bits - first_bits, -1 << optional_bits
        self._guesses = np.zeros(1 << first_bits, np.int32)
        self._guesses[ids[::-1] >> self._shift] = np.arange(len(ids), 0, -1)  # the first of those that share their bits
        # One more in front, for guesses of "not there": an id of other first bits does not equal it.
        self._padded = np.concatenate([ids[:1] if len(ids) else np.zeros(1, np.int64), ids])

    def rows(self, wanted: Integers) -> I64:
        """Returns the row of each wanted id, from 1; 0 = the id is not there."""
        rows = self._guesses.take(wanted >> self._shift, mode="clip").astype(np.int64)
        missed = np.flatnonzero(~self._is_same(self._padded.take(rows), wanted))
        if len(missed):
            left = wanted[missed]
            at = np.searchsorted(self._padded[1:], left) + 1
            rows[missed] = at * self._is_same(self._padded.take(at, mode="clip"), left)
        return rows

    def _is_same(self, found: I64, wanted: Integers) -> Mask:
        is_same: Mask = (found == wanted) | (found & self._given == wanted)
        return is_same


def _rule_inputs(rules: Iterable[tuple[Collection[int], Scope]], codes: dict[int, int]) -> tuple[RuleInputs, ...]:
    """The inputs of the rules that count any kind of the layout."""
    found = []
    for index, (kinds, per) in enumerate(rules):
        is_counted = np.zeros(len(codes) + 1, np.bool_)
        is_counted[[codes[kind] for kind in kinds if kind in codes]] = True
        if is_counted.any():
            found.append(RuleInputs(index, is_counted, per))
    return tuple(found)


def _joined(one: I64, other: I64) -> I64:
    """All keys, ascending, each once; where several share their low word, also one without a high word.

    The latter is what an event of a log of version 1 means: it may be about an item in one vocabulary and about another
    one in the other. `np.unique` does the same as `_once`, but its first call imports masked arrays: 7 ms.
    """
    keys = _once(np.concatenate([one, other]))
    lows = keys >> HIGH_BITS
    shared = keys[1:][lows[1:] == lows[:-1]] >> HIGH_BITS << HIGH_BITS
    return _once(np.concatenate([keys, shared])) if len(shared) else keys


def _once(keys: I64) -> I64:
    ordered: I64 = np.sort(keys)
    is_new = np.concatenate([np.ones(min(1, len(ordered)), np.bool_), ordered[1:] != ordered[:-1]])
    return ordered.compress(is_new)


def _with_unknown(rows: I64) -> I32:
    return np.concatenate([np.zeros(1, np.int32), rows.astype(np.int32)])
