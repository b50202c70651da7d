"""Frequency caps and cooldowns: at most `limit` events of a kind for one offer or category within a time.

Exact and bounded: a cap holds when the limit-th newest event is still within the time, so each rule keeps the times of
the newest `limit` events of each target, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_sdk.types import I64, Reason

CountedRule = tuple[int, bool, int, list[int], list[int]]  # index, per category, limit, next places, times


@dataclass(frozen=True, slots=True)
class CapRule:
    """One line of `[[policy.caps]]` or `[[policy.cooldowns]]`; a cooldown is a cap of limit 1."""

    kind: int  # kind id
    per_category: bool  # else per offer
    limit: int
    within_s: int
    cooldown: bool

    @property
    def reason(self) -> Reason:
        """The reason code of an offer that this rule takes out."""
        return Reason.COOLING_DOWN if self.cooldown else Reason.CAPPED


class CapCounts:
    """The newest event times of each rule and target, and when each target is free again."""

    def __init__(self, rules: Sequence[CapRule], offer_categories: I64, category_rows: int) -> None:
        """`offer_categories`: category row of each offer row, shape (offers + 1,). `category_rows` counts row 0."""
        self._rules = tuple(rules)
        self._offer_categories = offer_categories
        sizes = [category_rows if rule.per_category else len(offer_categories) for rule in self._rules]
        self._times = [[0] * (size * rule.limit) for size, rule in zip(sizes, self._rules, strict=True)]
        self._next = [[0] * size for size in sizes]  # where each target's oldest time stands
        self._free_at_ms = [np.zeros(size, np.int64) for size in sizes]  # 0 = free
        self._free_views = [column.data for column in self._free_at_ms]  # element writes at a third of numpy's cost
        self._all_free_at_ms = [0] * len(sizes)  # when the last target of a rule is free: mostly nothing to look at
        # All that one event needs, by kind, in one tuple a rule: attribute look-ups would cost as much as the counting.
        self.by_kind: dict[int, tuple[CountedRule, ...]] = {
            kind: tuple(
                (index, rule.per_category, rule.limit, self._next[index], self._times[index])
                for index, rule in enumerate(self._rules)
                if rule.kind == kind
            )
            for kind in {rule.kind for rule in self._rules}
        }

    def dump(self) -> bytes:
        """The whole state; its length depends on the rules and targets alone."""
        arrays = [np.array(column, np.int64) for pair in zip(self._times, self._next, strict=True) for column in pair]
        return b"".join(array.tobytes() for array in arrays)

    def load(self, raw: bytes) -> None:
        """Go on where `dump` stood."""
        numbers = np.frombuffer(raw, np.int64).tolist()
        at = 0
        for index, rule in enumerate(self._rules):
            targets = len(self._next[index])
            self._times[index][:] = numbers[at : at + targets * rule.limit]
            at += targets * rule.limit
            self._next[index][:] = numbers[at : at + targets]
            at += targets
            for row in range(1, targets):
                oldest = self._times[index][row * rule.limit + self._next[index][row]]
                if oldest:
                    self._hold(index, row, oldest)

    def add(self, rules: tuple[CountedRule, ...], time_ms: int, offer_row: int, category_row: int) -> None:
        """Count one event for the rules of its kind (`by_kind`); row 0 stands for none and is not counted."""
        for index, per_category, limit, places, times in rules:
            row = category_row if per_category else offer_row
            if row:
                at = places[row]
                times[row * limit + at] = time_ms
                places[row] = at = at + 1 if at + 1 < limit else 0
                oldest = times[row * limit + at]  # of the newest `limit`; 0 = fewer so far
                if oldest:
                    self._hold(index, row, oldest)

    def _hold(self, index: int, row: int, oldest_ms: int) -> None:
        """A rule holds a target until the oldest of its newest `limit` events is out of the rule's time."""
        free_at_ms = oldest_ms + self._rules[index].within_s * 1000
        self._free_views[index][row] = free_at_ms
        self._all_free_at_ms[index] = max(self._all_free_at_ms[index], free_at_ms)

    def reasons(self, offer_rows: I64, now_ms: int) -> I64 | None:
        """Reason bits of each offer that a rule takes out now, 0 = free, shape of `offer_rows`; None = all are free."""
        bits: I64 | None = None
        for index, rule in enumerate(self._rules):
            if self._all_free_at_ms[index] <= now_ms:
                continue
            targets = self._offer_categories[offer_rows] if rule.per_category else offer_rows
            free_at_ms = self._free_at_ms[index][targets]
            # An event further ahead than the rule's own time was stamped by a clock that was wrong: it holds nothing.
            is_held = (free_at_ms > now_ms) & (free_at_ms <= now_ms + 2000 * rule.within_s)
            held = np.where(is_held, int(rule.reason), 0)
            bits = held if bits is None else bits | held
        return bits
