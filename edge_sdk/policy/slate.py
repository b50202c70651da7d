"""The slate's rules: category limits and pins. Pure functions over arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edge_sdk.types import I64


class Slate(NamedTuple):
    """The eligible candidates and the rules for every order of them; fixed before an order is drawn."""

    best_first: I64  # (S,) candidate indices by final score
    pinned: tuple[int, ...]  # pinned candidate indices, by place
    pin_places: tuple[int, ...]  # ascending, distinct; a place after the end of the list means its end
    categories: I64 | None  # (C,) category row of each candidate; None = no limits
    limits: I64 | None  # by category row

    @property
    def free(self) -> I64:
        """Returns the candidate indices that are not pinned and may get a place, best first."""
        others = self._others(self.best_first)
        if self.limits is None or self.categories is None:
            return others
        return others[self._remaining()[self.categories[others]] > 0]

    @property
    def is_pinned_first(self) -> bool:
        """Returns whether a pin decides the first place."""
        return len(self.pinned) > 0 and (self.pin_places[0] == 0 or not len(self.free))

    def listed(self, order: I64) -> I64:
        """Returns the list for an order (S,): pinned candidates at their places, each category within its limit."""
        others = self._others(order)
        if self.limits is not None and self.categories is not None:
            of = self.categories[others]
            others = others[earlier_of_same(of) < self._remaining()[of]]
        for candidate, place in zip(self.pinned, self.pin_places, strict=True):  # a slice ends at the list's end
            others = np.concatenate((others[:place], [candidate], others[place:]))
        return others

    def pinned_within(self, size: int) -> I64:
        """Returns the pinned candidates among the first `size` of any list."""
        listed = self.listed(self.best_first)[:size]
        return listed[np.isin(listed, self.pinned or [-1])]

    def groups(self) -> tuple[I64, I64]:
        """Returns the category row of each of `free`, and `_remaining` by category row."""
        free = self.free
        if self.limits is None or self.categories is None:
            return np.zeros(len(free), np.int64), np.array([len(self.best_first)])
        return self.categories[free], self._remaining()

    def _others(self, order: I64) -> I64:
        for candidate in self.pinned:
            order = order[order != candidate]
        return order

    def _remaining(self) -> I64:
        """Returns by category row how many candidates that are not pinned may get a place."""
        assert self.limits is not None
        assert self.categories is not None
        remaining = self.limits.copy()
        for candidate in self.pinned:
            remaining[self.categories[candidate]] -= 1
        return np.maximum(remaining, 0)


def earlier_of_same(values: I64) -> I64:
    """Returns for each entry how many earlier entries have the same value, (S,)."""
    order = values.astype(np.uint16, copy=False).argsort(kind="stable")  # 16 bits sort in linear time; rows fit in them
    ordered = values[order]
    places = np.arange(len(values))
    starts = places.copy()
    starts[1:] *= ordered[1:] != ordered[:-1]
    counts = np.empty(len(values), np.int64)
    counts[order] = places - np.maximum.accumulate(starts)
    return counts


def pin_places(wanted: list[tuple[int, int]]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Returns the pinned candidates and their places, by place. A candidate whose place is taken gets the next one.

    Args:
        wanted: (candidate, place) in the order of the rules; the first entry of a candidate counts.
    """
    first: dict[int, int] = {}
    for candidate, place in wanted:
        first.setdefault(candidate, place)
    taken: list[int] = []
    by_place = sorted(
        first.items(), key=lambda entry: entry[1]
    )  # stable: the earlier rule comes first at the same place
    for _, place in by_place:
        taken.append(max(place, taken[-1] + 1) if taken else place)
    return tuple(candidate for candidate, _ in by_place), tuple(taken)
