"""Frequency caps and cooldowns: at most `limit` events of a kind for one offer or category within a time.

Exact and bounded: a cap holds when the limit-th newest event is still within the time, so each rule keeps the times of
the newest `limit` events of each target, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_sdk.types import I64, Reason


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
    """The newest event times of each rule and target."""

    def __init__(self, rules: Sequence[CapRule], offer_categories: I64, category_rows: int) -> None:
        """`offer_categories`: category row of each offer row, shape (offers + 1,). `category_rows` counts row 0."""
        self._rules = tuple(rules)
        self._offer_categories = offer_categories
        self._times = [
            np.zeros((category_rows if rule.per_category else len(offer_categories), rule.limit), np.int64)
            for rule in self._rules
        ]
        self._next = [[0] * len(times) for times in self._times]  # where each target's oldest time stands
        self.by_kind: dict[int, tuple[int, ...]] = {
            kind: tuple(index for index, rule in enumerate(self._rules) if rule.kind == kind)
            for kind in {rule.kind for rule in self._rules}
        }

    def add(self, rules: tuple[int, ...], time_ms: int, offer_row: int, category_row: int) -> None:
        """Count one event for the rules of its kind (`by_kind`); row 0 stands for none and is not counted."""
        for index in rules:
            rule = self._rules[index]
            row = category_row if rule.per_category else offer_row
            if row:
                at = self._next[index][row]
                self._times[index][row, at] = time_ms
                self._next[index][row] = (at + 1) % rule.limit

    def reasons(self, offer_rows: I64, now_ms: int) -> I64:
        """Reason bits of each offer that a rule takes out now; 0 = free. Shape of `offer_rows`."""
        bits = np.zeros(len(offer_rows), np.int64)
        for index, rule in enumerate(self._rules):
            targets = self._offer_categories[offer_rows] if rule.per_category else offer_rows
            # The least of the kept times is the limit-th newest; 0 = fewer than `limit` so far. Row 0 stays 0.
            oldest = self._times[index][targets].min(axis=1)
            bits |= np.where((oldest > 0) & (oldest > now_ms - rule.within_s * 1000), int(rule.reason), 0)
        return bits
