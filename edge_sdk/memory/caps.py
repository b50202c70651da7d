"""Frequency caps and cooldowns: at most `limit` events of some kinds within a time, per offer, per category or at all.

Exact and bounded: a cap holds when the limit-th latest event is still within the time, so each rule keeps the `limit`
latest times of each target, and nothing else. Latest by time: what is back-filled in another order counts all the same.

An event counts at the time of its stamp. But no event is later than one that the engine's clock stamps after it: where
the clock was set back (`CapCounts.set_back`), what lies ahead of it counts at that moment. So one event stamped far
ahead neither pushes out the others for good, nor holds its target until then.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from itertools import accumulate, pairwise
from itertools import count as counting
from typing import Final, NamedTuple

import numpy as np

from edge_sdk.clock import NEVER_MS
from edge_sdk.limits import TIME_MS_MAX
from edge_sdk.memory.targets import USER_ROW, Scope, candidate_targets, target_rows
from edge_sdk.types import I32, I64, Mask

# Index, per, limit, time in ms (0 = for ever), next places, times.
CountedRule = tuple[int, int, int, int, "memoryview[int]", "memoryview[int]"]
_SHORT: Final = 1024  # events that are sorted as they are
_FEW: Final = 24  # events of one rule that are counted one by one: below it a dozen calls of numpy cost more
_OFFER, _CATEGORY = int(Scope.OFFER), int(Scope.CATEGORY)
_versions: Final = counting(1)


class CapRule(NamedTuple):
    """What a frequency cap or a cooldown counts; a cooldown is a cap of limit 1."""

    kinds: tuple[int, ...]  # kind ids; an event of any of them counts
    per: Scope  # USER: every such event counts, also one about no item
    limit: int
    within_s: int  # 0 = for ever
    cooldown: bool


class CapCounts:
    """The newest event times of each rule and target, and when each target is free again."""

    def __init__(self, rules: Sequence[CapRule], offer_categories: I64, category_rows: int) -> None:
        """`offer_categories`: category row of each offer row, shape (offers + 1,). `category_rows` counts row 0."""
        self._rules = tuple(rules)
        self._targets = [candidate_targets(rule.per, offer_categories, category_rows) for rule in self._rules]
        sizes = [target_rows(rule.per, len(offer_categories), category_rows) for rule in self._rules]
        self._times = [np.zeros(size * rule.limit, np.int64) for size, rule in zip(sizes, self._rules, strict=True)]
        self._next = [np.zeros(size, np.int64) for size in sizes]  # where each target's oldest time stands
        self._rings = [np.arange(size) * rule.limit for size, rule in zip(sizes, self._rules, strict=True)]
        # When each target of each rule is free, one after the other behind a cell that is always free: a decision
        # gathers all its candidates under all rules at once. 0 = free.
        self._free_of_all = np.zeros(1 + sum(sizes), np.int64)
        ends = _ends(sizes)
        self._free_at_ms = [self._free_of_all[start:end] for start, end in pairwise(ends)]
        self._free_views = [column.data for column in self._free_at_ms]  # element writes at a third of numpy's cost
        self._all_free_at_ms = [0] * len(sizes)  # when the last target of a rule is free: mostly nothing to look at
        self.last_free_ms = 0  # the last of these: from then on no target of any rule is capped
        self.newest_ms = 0  # time of the newest event that any rule counted
        self.version = next(_versions)  # unique across memories; changes whenever a target becomes capped or free
        # All that one event needs in one tuple a rule: attribute look-ups would cost as much as the counting.
        self._counted: list[CountedRule] = [
            (index, int(rule.per), rule.limit, rule.within_s * 1000, self._next[index].data, self._times[index].data)
            for index, rule in enumerate(self._rules)
        ]
        self.by_kind: dict[int, tuple[CountedRule, ...]] = {
            kind: tuple(self._counted[index] for index, rule in enumerate(self._rules) if kind in rule.kinds)
            for kind in {kind for rule in self._rules for kind in rule.kinds}
        }

    @property
    def rules(self) -> tuple[CapRule, ...]:
        """In the order of their indices."""
        return self._rules

    def dump(self) -> bytes:
        """Times and next places of each rule; the length depends on the rules and targets alone."""
        return b"".join(column.tobytes() for pair in zip(self._times, self._next, strict=True) for column in pair)

    def load(self, raw: bytes, *, is_former: bool = False) -> int:
        """Go on where `dump` stood; `raw` may go on. Returns the bytes read.

        Args:
            raw: begins with a dump.
            is_former: the dump is of a snapshot of version 4 or before, which kept times in order of recording.

        Raises:
            ValueError: too few bytes, a time that no event has, or a place beyond the limit.
        """
        at = 0
        for index, rule in enumerate(self._rules):
            for column in (self._times[index], self._next[index]):
                column[:] = np.frombuffer(raw, np.int64, len(column), at)
                at += column.nbytes
            times, places = self._times[index], self._next[index]
            if times.min() < 0 or times.max() > TIME_MS_MAX or places.min() < 0 or places.max() >= rule.limit:
                raise ValueError("not the times of this cap")
            if is_former:
                self._sort(index)
            self.newest_ms = max(self.newest_ms, int(self._times[index].max(initial=0)))
            self._set_free_times(index, np.arange(len(self._next[index])))
        return at

    def _sort(self, index: int) -> None:
        """Puts the times of those targets in order that are not."""
        times = self.newest(index, np.arange(len(self._next[index])))
        rows = np.flatnonzero((times[:, 1:] < times[:, :-1]).any(axis=1))
        self._times[index].reshape(times.shape)[rows] = np.sort(times[rows], axis=1)
        self._next[index][rows] = 0

    # ---- counting ----

    def add(self, rules: tuple[CountedRule, ...], time_ms: int, offer_row: int, category_row: int) -> None:
        """Count one event for the rules of its kind (`by_kind`).

        Args:
            rules: of the event's kind.
            time_ms: milliseconds since 1970.
            offer_row: row of the event's offer, 0 = one that the bundle does not know, below 0 = none.
            category_row: row of its category, below 0 = none.
        """
        if time_ms >= self.newest_ms:
            self.newest_ms = time_ms
        else:
            self._add_late(rules, time_ms, offer_row, category_row)
            return
        for index, per, limit, within_ms, places, times in rules:
            row = offer_row if per == _OFFER else category_row if per == _CATEGORY else USER_ROW
            if row >= 0:
                at = places[row]
                times[row * limit + at] = time_ms
                places[row] = at = at + 1 if at + 1 < limit else 0
                oldest = times[row * limit + at]  # of the newest `limit`; 0 = fewer so far
                free_at_ms = (oldest + within_ms if within_ms else NEVER_MS) if oldest else 0
                self._free_views[index][row] = free_at_ms
                if free_at_ms > self._all_free_at_ms[index]:
                    self._all_free_at_ms[index] = free_at_ms
                    self.last_free_ms = max(self.last_free_ms, free_at_ms)
                self.version = next(_versions)

    def _add_late(self, rules: tuple[CountedRule, ...], time_ms: int, offer_row: int, category_row: int) -> None:
        """Counts one event that is stamped before an earlier one, at its place among the times of its targets."""
        for index, per, limit, _, places, times in rules:
            row = offer_row if per == _OFFER else category_row if per == _CATEGORY else USER_ROW
            start, at = row * limit, places[row]
            if row >= 0 and time_ms >= times[start + at]:  # else the `limit` latest are all later
                latest = [times[start + (at + 1 + n) % limit] for n in range(limit - 1)]
                insort(latest, time_ms)
                places[row] = at = (at + 1) % limit
                for n, one_ms in enumerate(latest):
                    times[start + (at + n) % limit] = one_ms
                self._set_free_times(index, np.array([row]))

    def set_back(self, now_ms: int) -> None:
        """Takes all times ahead of now as now: the clock was set back, and what was recorded before is not later."""
        self.newest_ms = min(self.newest_ms, now_ms)
        for index, times in enumerate(self._times):
            if int(times.max(initial=0)) > now_ms:
                np.minimum(times, now_ms, out=times)
                self._all_free_at_ms[index] = 0
                self._set_free_times(index, np.arange(len(self._next[index])))
        self.last_free_ms = max(self._all_free_at_ms, default=0)

    def add_many(self, index: int, times_ms: I64, rows: I32) -> None:
        """Count many events of one rule's kinds: the same as one by one, if the clock was not set back among them.

        Args:
            index: of the rule.
            times_ms: (E,) in order of recording.
            rows: (E,) the rule's targets (offer rows, category rows or all `USER_ROW`), below 0 = none.
        """
        if len(rows) < _FEW or self._are_late(index, times_ms):
            for time_ms, row in zip(times_ms.tolist(), rows.tolist(), strict=True):
                self.add((self._counted[index],), time_ms, row, row)
            return
        self.newest_ms = max(self.newest_ms, int(times_ms.max()))
        is_target = rows >= 0
        if not is_target.all():
            times_ms, rows = times_ms[is_target], rows[is_target]
            if not len(rows):
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
        touched = np.flatnonzero(counts)
        places[touched] = (places.take(touched) + counts.take(touched)) % limit
        self._set_free_times(index, touched)

    def _are_late(self, index: int, times_ms: I64) -> bool:
        """Returns whether one of these events (E,) is stamped before an earlier one of its rule."""
        newest_ms = int(self._times[index].max(initial=0))
        return int(times_ms[0]) < newest_ms or bool((times_ms[1:] < times_ms[:-1]).any())

    def newest(self, index: int, rows: I64) -> I64:
        """Latest times of some targets of a rule, (R, limit) oldest first; 0 = fewer so far."""
        limit = self._rules[index].limit
        places = (self._next[index].take(rows)[:, None] + np.arange(limit)) % limit
        return np.take_along_axis(self._times[index].reshape(-1, limit)[rows], places, axis=1)

    def inherit(self, index: int, rows: I64, times_ms: I64) -> None:
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
        self.newest_ms = max(self.newest_ms, int(times_ms.max(initial=0)))
        self._times[index].reshape(-1, limit)[rows] = times_ms[:, -limit:]
        self._next[index][rows] = 0
        self._set_free_times(index, rows)

    def _set_free_times(self, index: int, rows: I64) -> None:
        """A rule holds a target until the oldest of its newest `limit` events is out of the rule's time."""
        rule = self._rules[index]
        oldest = self._times[index].take(rows * rule.limit + self._next[index].take(rows))
        free_at_ms = np.where(oldest, oldest + rule.within_s * 1000 if rule.within_s else NEVER_MS, 0)
        self.version = next(_versions)
        self._free_at_ms[index][rows] = free_at_ms
        self._all_free_at_ms[index] = max(self._all_free_at_ms[index], int(free_at_ms.max(initial=0)))
        self.last_free_ms = max(self.last_free_ms, self._all_free_at_ms[index])

    # ---- asking ----

    def free_times(self, cells: I64) -> I64:
        """Returns when each candidate is free again under each rule, (R, C) in ms; 0 = it is not capped.

        Args:
            cells: (R, C) `cap_cells` of the candidates.
        """
        free_at_ms: I64 = self._free_of_all.take(cells)
        return free_at_ms

    def remaining(self, index: int, offer_rows: I64, size: int, now_ms: int) -> I64 | None:
        """Returns how many more events a rule allows each candidate's target now.

        Of the ring of a target's newest events, those that are out of the rule's time, from the oldest on, may be
        followed by as many new ones.

        Args:
            index: of the rule.
            offer_rows: (C,) candidate rows.
            size: more than so many is not asked for.
            now_ms: the clock.

        Returns:
            (C,) up to `size`; None = every target has room for so many.
        """
        rule = self._rules[index]
        if size > rule.limit:
            return np.asarray(np.count_nonzero(self._out_of_time(index, offer_rows, rule.limit, now_ms), axis=1))
        if rule.per == Scope.USER:
            _, _, limit, _, places, times = self._counted[index]
            if self._is_out(rule, times[limit * USER_ROW + (places[USER_ROW] + size - 1) % limit], now_ms):
                return None
        else:
            last = (self._next[index] + (size - 1)) % rule.limit  # of the `size` oldest
            last += self._rings[index]
            if self._is_over(rule, self._times[index].take(last), now_ms).all():  # mostly
                return None
        return np.asarray(np.count_nonzero(self._out_of_time(index, offer_rows, size, now_ms), axis=1))

    def _out_of_time(self, index: int, offer_rows: I64, size: int, now_ms: int) -> Mask:
        """Whether each of the `size` oldest events of each candidate's target is out of the rule's time, (C, size)."""
        rule, targets = self._rules[index], self._targets[index].take(offer_rows)
        places = (self._next[index].take(targets)[:, None] + np.arange(size)) % rule.limit
        return self._is_over(rule, self._times[index].take(targets[:, None] * rule.limit + places), now_ms)

    def _is_out(self, rule: CapRule, time_ms: int, now_ms: int) -> bool:
        """`_is_over` of one event: a tenth of numpy's cost."""
        within_ms = rule.within_s * 1000
        return not time_ms or (within_ms > 0 and not now_ms - within_ms < time_ms <= now_ms + within_ms)

    def _is_over(self, rule: CapRule, times_ms: I64, now_ms: int) -> Mask:
        """Whether events are out of a rule's time, or stamped by a clock that was wrong; 0 = there was none."""
        if not rule.within_s:
            never: Mask = times_ms == 0
            return never
        if self.newest_ms <= now_ms:
            past: Mask = times_ms <= now_ms - rule.within_s * 1000
            return past
        over: Mask = (times_ms + rule.within_s * 1000 <= now_ms) | (times_ms > now_ms + rule.within_s * 1000)
        return over


def cap_cells(rules: Sequence[CapRule], offer_categories: I64, category_rows: int, offer_rows: I64) -> I64:
    """Returns where `CapCounts.free_times` finds each candidate under each rule, (R, C): one table for all memories.

    Args:
        rules: of the layout.
        offer_categories: category row of each offer row, (offers + 1,).
        category_rows: with row 0.
        offer_rows: (C,) candidate rows.
    """
    starts = _ends([target_rows(rule.per, len(offer_categories), category_rows) for rule in rules])
    cells = np.zeros((len(rules), len(offer_rows)), np.int64)
    for row, rule, start in zip(cells, rules, starts, strict=False):
        row[:] = start + candidate_targets(rule.per, offer_categories, category_rows).take(offer_rows)
    return cells


def _ends(sizes: Sequence[int]) -> list[int]:
    """Where each rule's targets begin, behind one cell, and where the last ones end."""
    return list(accumulate(sizes, initial=1))


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
