"""Frequency caps and cooldowns: at most `limit` events of a kind for one offer or category within a time.

Exact and bounded: a cap holds when the limit-th newest event is still within the time, so each rule keeps the times of
the newest `limit` events of each target, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from edge_sdk.reasons import Reason
from edge_sdk.types import I32, I64, Per

# Index, per category, limit, next places, times.
CountedRule = tuple[int, bool, int, "memoryview[int]", "memoryview[int]"]
_SHORT: Final = 1024  # events that are sorted as they are
_FEW: Final = 24  # events of one rule that are counted one by one: below it a dozen calls of numpy cost more


@dataclass(frozen=True, slots=True)
class CapRule:
    """One line of `[[policy.caps]]` or `[[policy.cooldowns]]`; a cooldown is a cap of limit 1."""

    kinds: tuple[int, ...]  # kind ids, counted together
    per: Per
    limit: int
    within_s: int  # 0 = for ever
    cooldown: bool
    name: str = ""  # what a person calls it
    channels: frozenset[int] = frozenset()  # indices into `Policy.channels`: only these are kept out; empty = all

    @property
    def kind(self) -> int:
        """The first kind."""
        return self.kinds[0]

    @property
    def per_category(self) -> bool:
        """Counted for a category."""
        return self.per == Per.CATEGORY

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
        self._times = [np.zeros(size * rule.limit, np.int64) for size, rule in zip(sizes, self._rules, strict=True)]
        self._next = [np.zeros(size, np.int64) for size in sizes]  # where each target's oldest time stands
        self._free_at_ms = [np.zeros(size, np.int64) for size in sizes]  # 0 = free
        self._free_views = [column.data for column in self._free_at_ms]  # element writes at a third of numpy's cost
        self._all_free_at_ms = [0] * len(sizes)  # when the last target of a rule is free: mostly nothing to look at
        # All that one event needs in one tuple a rule: attribute look-ups would cost as much as the counting.
        self._counted: list[CountedRule] = [
            (index, rule.per_category, rule.limit, self._next[index].data, self._times[index].data)
            for index, rule in enumerate(self._rules)
        ]
        self.by_kind: dict[int, tuple[CountedRule, ...]] = {
            kind: tuple(self._counted[index] for index, rule in enumerate(self._rules) if rule.kind == kind)
            for kind in {rule.kind for rule in self._rules}
        }

    def dump(self) -> bytes:
        """Times and next places of each rule; the length depends on the rules and targets alone."""
        return b"".join(column.tobytes() for pair in zip(self._times, self._next, strict=True) for column in pair)

    def load(self, raw: bytes) -> int:
        """Go on where `dump` stood; `raw` may go on. Returns the bytes read."""
        at = 0
        for index in range(len(self._rules)):
            for column in (self._times[index], self._next[index]):
                column[:] = np.frombuffer(raw, np.int64, len(column), at)
                at += column.nbytes
            self._hold_many(index, np.arange(1, len(self._next[index])))
        return at

    def add(self, rules: tuple[CountedRule, ...], time_ms: int, offer_row: int, category_row: int) -> None:
        """Count one event for the rules of its kind (`by_kind`); row 0 stands for none and is not counted."""
        for index, per_category, limit, places, times in rules:
            row = category_row if per_category else offer_row
            if row:
                at = places[row]
                times[row * limit + at] = time_ms
                places[row] = at = at + 1 if at + 1 < limit else 0
                oldest = times[row * limit + at]  # of the newest `limit`; 0 = fewer so far
                free_at_ms = oldest + self._rules[index].within_s * 1000 if oldest else 0
                self._free_views[index][row] = free_at_ms
                if free_at_ms > self._all_free_at_ms[index]:
                    self._all_free_at_ms[index] = free_at_ms

    def add_many(self, index: int, times_ms: I64, rows: I32) -> None:
        """Count many events of one rule's kind: the same as one by one.

        Args:
            index: of the rule.
            times_ms: (E,) oldest first.
            rows: (E,) the rule's targets (offer rows or category rows), 0 = none.
        """
        if len(rows) < _FEW:
            for time_ms, row in zip(times_ms.tolist(), rows.tolist(), strict=True):
                self.add((self._counted[index],), time_ms, row, row)
            return
        limit, places, times = self._rules[index].limit, self._next[index], self._times[index]
        counts = np.bincount(rows, minlength=len(places))
        start = _tail(rows, counts, limit)
        narrow = np.uint16 if len(places) <= 1 << 16 else np.uint32  # 16 bits sort in linear time
        order = rows[start:].astype(narrow).argsort(kind="stable")
        rows = rows[start:].take(order)
        newer = np.bincount(rows).cumsum().take(rows) - np.arange(1, len(rows) + 1)  # of the same target, later
        kept = np.flatnonzero(newer < limit)
        rows, newer = rows.take(kept), newer.take(kept)
        at = (places.take(rows) + counts.take(rows) - 1 - newer) % limit
        times[rows * limit + at] = times_ms[start:].take(order.take(kept))
        times[:limit] = counts[0] = 0  # row 0 is no target
        touched = np.flatnonzero(counts)
        places[touched] = (places.take(touched) + counts.take(touched)) % limit
        self._hold_many(index, touched)

    def newest(self, index: int, rows: I64) -> I64:
        """Times of the newest events of some targets of a rule, (R, limit) oldest first; 0 = fewer so far."""
        limit = self._rules[index].limit
        places = (self._next[index].take(rows)[:, None] + np.arange(limit)) % limit
        return np.take_along_axis(self._times[index].reshape(-1, limit)[rows], places, axis=1)

    def take_over(self, index: int, rows: I64, times_ms: I64) -> None:
        """Let some targets of a rule stand at these events instead.

        A rule of a larger limit cannot learn from `times_ms` what came before them. Where it knows of more events
        itself, it keeps those: both are the newest ones.

        Args:
            index: of the rule.
            rows: (R,) targets.
            times_ms: (R, any number), as `newest` gives them.
        """
        limit = self._rules[index].limit
        if times_ms.shape[1] < limit:
            mine = self.newest(index, rows)
            theirs = np.pad(times_ms, ((0, 0), (limit - times_ms.shape[1], 0)))
            knows_more = np.count_nonzero(mine, axis=1) > np.count_nonzero(theirs, axis=1)
            times_ms = np.where(knows_more[:, None], mine, theirs)
        self._times[index].reshape(-1, limit)[rows] = times_ms[:, -limit:]
        self._next[index][rows] = 0
        self._hold_many(index, rows)

    def _hold_many(self, index: int, rows: I64) -> None:
        """A rule holds a target until the oldest of its newest `limit` events is out of the rule's time."""
        rule = self._rules[index]
        oldest = self._times[index].take(rows * rule.limit + self._next[index].take(rows))
        free_at_ms = np.where(oldest, oldest + rule.within_s * 1000, 0)
        self._free_at_ms[index][rows] = free_at_ms
        self._all_free_at_ms[index] = max(self._all_free_at_ms[index], int(free_at_ms.max(initial=0)))

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


def _tail(rows: I32, counts: I64, limit: int) -> int:
    """Where the part starts that holds the newest `limit` events of each target: mostly near the end."""
    if len(rows) <= _SHORT:
        return 0
    wanted = np.minimum(counts, limit)
    length = max(_SHORT, 4 * int(wanted.sum()))
    while length < len(rows):
        if (np.bincount(rows[-length:], minlength=len(counts)) >= wanted).all():
            return len(rows) - length
        length *= 4
    return 0
