"""The slate's rules: how many of a category, and which offers have their places. Pure over arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edge_sdk.types import I64


class Slate(NamedTuple):
    """Who stands, and the rules that any order of them must keep: fixed before an order is drawn."""

    best_first: I64  # (S,) candidate indices by final score
    pinned: tuple[int, ...]  # candidate indices with a place of their own, by place
    pin_places: tuple[int, ...]  # ascending, each once; a place beyond the list is its end
    categories: I64 | None  # (C,) category row of each candidate; None = no limits
    limits: I64 | None  # by category row

    @property
    def free(self) -> I64:
        """Candidate indices, best first, that may get a place besides the pinned ones."""
        others = self._others(self.best_first)
        if self.limits is None or self.categories is None:
            return others
        return others[self._left()[self.categories[others]] > 0]

    @property
    def is_pinned_first(self) -> bool:
        """Whether a rule says who stands first."""
        return len(self.pinned) > 0 and (self.pin_places[0] == 0 or not len(self.free))

    def listed(self, order: I64) -> I64:
        """The list that comes of an order (S,): pinned at their places, of each category no more than its limit."""
        others = self._others(order)
        if self.limits is not None and self.categories is not None:
            of = self.categories[others]
            others = others[earlier_of_same(of) < self._left()[of]]
        for candidate, place in zip(self.pinned, self.pin_places, strict=True):  # a place beyond the end is the end
            others = np.concatenate((others[:place], [candidate], others[place:]))
        return others

    def pinned_within(self, size: int) -> I64:
        """The pinned candidates among the first `size` of any list."""
        listed = self.listed(self.best_first)[:size]
        return listed[np.isin(listed, self.pinned or [-1])]

    def groups(self) -> tuple[I64, I64]:
        """The category row of each of `free`, and by row how many of it may get a place besides the pinned ones."""
        free = self.free
        if self.limits is None or self.categories is None:
            return np.zeros(len(free), np.int64), np.array([len(self.best_first)])
        return self.categories[free], self._left()

    def _others(self, order: I64) -> I64:
        for candidate in self.pinned:
            order = order[order != candidate]
        return order

    def _left(self) -> I64:
        """By category row, how many may get a place besides the pinned ones."""
        assert self.limits is not None
        assert self.categories is not None
        left = self.limits.copy()
        for candidate in self.pinned:
            left[self.categories[candidate]] -= 1
        return np.maximum(left, 0)


def earlier_of_same(values: I64) -> I64:
    """How many of the same value stand before each, (S,)."""
    order = values.astype(np.uint16, copy=False).argsort(kind="stable")  # 16 bits sort in linear time; rows fit in them
    ordered = values[order]
    places = np.arange(len(values))
    starts = places.copy()
    starts[1:] *= ordered[1:] != ordered[:-1]
    counts = np.empty(len(values), np.int64)
    counts[order] = places - np.maximum.accumulate(starts)
    return counts


def pin_places(wanted: list[tuple[int, int]]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Who is pinned and where, by place: each place goes to one, a later one moves on to the next.

    Args:
        wanted: (candidate, place) in the order of the rules; a candidate's first one counts.
    """
    first: dict[int, int] = {}
    for candidate, place in wanted:
        first.setdefault(candidate, place)
    taken: list[int] = []
    by_place = sorted(first.items(), key=lambda entry: entry[1])  # stable: of one place, the earlier rule
    for _, place in by_place:
        taken.append(max(place, taken[-1] + 1) if taken else place)
    return tuple(candidate for candidate, _ in by_place), tuple(taken)
