"""What kinds and items mean to memory, as tables to gather from: for many events at once.

A code is a place in these tables; code 0 stands for every id that the bundle does not know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from edge_sdk.types import I32, I64

if TYPE_CHECKING:
    from edge_sdk.memory import MemoryLayout

Numbers = npt.NDArray[np.integer]


class EventRows:
    """The tables of one layout: by kind code (K + 1,), by item code (I + 1,)."""

    def __init__(self, layout: MemoryLayout) -> None:
        """Join the items and offers of a layout; a millisecond for 10,000 of them."""
        half_lives = len(layout.decays)
        width = layout.counter_kinds * half_lives
        kinds = sorted(layout.kinds)
        rules = [layout.kinds[kind] for kind in kinds]
        self._kind_ids = _padded(np.array(kinds, np.uint16))
        self.window_row: I32 = np.array([0, *(rule.row * rule.in_window for rule in rules)], np.int32)
        self.is_counted = np.array([False, *(rule.counter >= 0 for rule in rules)])
        self.counter_column: I64 = np.array([0, *(max(0, rule.counter) * half_lives for rule in rules)], np.int64)
        self.capped = tuple((index, self.kind_code(rule.kind), rule.per_category)
                            for index, rule in enumerate(layout.caps) if rule.kind in layout.kinds)  # fmt: skip
        item_ids: Numbers = np.union1d(layout.items.ids, layout.offers.ids)
        self._item_ids = _padded(item_ids)
        self.item_row = _with_unknown(_codes(_padded(layout.items.ids), item_ids)).astype(np.int32)
        self.offer_row = _with_unknown(_codes(_padded(layout.offers.ids), item_ids))
        of_offer, of_item = layout.offers.row_category[self.offer_row], layout.items.row_category[self.item_row]
        self.category_row = np.where(of_offer, of_offer, of_item)
        self.has_target = (self.offer_row > 0) | (self.category_row > 0)
        # Where the counters of the offer and of the category start among all sums, flat.
        self.offer_at = self.offer_row * width
        self.category_at = (self.category_row + len(layout.offers) + 1) * width

    def kind_codes(self, kinds: Numbers) -> I64:
        """Codes of kind ids, (E,)."""
        return _codes(self._kind_ids, kinds)

    def kind_code(self, kind: int) -> int:
        """Code of one kind id."""
        return int(self.kind_codes(np.array([kind]))[0])

    def item_codes(self, items: Numbers) -> I64:
        """Codes of item ids, (E,)."""
        return _codes(self._item_ids, items)


def _padded(ids: Numbers) -> Numbers:
    """Ascending ids with one more in front, for `_codes`: nothing that sorts before the first id equals it."""
    return np.concatenate([ids[:1] if len(ids) else np.zeros(1, ids.dtype), ids])


def _codes(padded: Numbers, wanted: Numbers) -> I64:
    """Place of each wanted id among ascending ids, from 1; 0 = it is not there."""
    at = np.searchsorted(padded[1:], wanted, side="right")
    codes: I64 = at * (padded.take(at) == wanted)
    return codes


def _with_unknown(rows: I64) -> I64:
    return np.concatenate([np.zeros(1, np.int64), rows])
