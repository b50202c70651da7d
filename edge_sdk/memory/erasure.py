"""Erasing some events of a user while keeping what the rest have left behind.

After an erase, memory is rebuilt from the events that the log still holds. What older events left behind is in no log:
it is taken over from the memory before, wherever no erased event can have had a part in it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from edge_sdk.memory.counters import take_sums
from edge_sdk.memory.decay import PERIOD_BITS
from edge_sdk.memory.derived_rules import DerivedRules
from edge_sdk.memory.layout import MemoryLayout
from edge_sdk.memory.memory import Memory
from edge_sdk.memory.targets import Scope
from edge_sdk.types import I64, Mask


def inherit_untouched(
    memory: Memory,
    old: Memory,
    kinds: frozenset[int] | None,
    items: frozenset[int] | None,
    *,
    categories_differed: bool = False,
) -> None:
    """Take over from the memory before an erase all that the erased events cannot have touched.

    That is counters, targets of caps and of machines, and what was spent.

    The window and the state of derived events stay as rebuilt: they are about the newest events, which the log holds.

    Where the old memory saw a later period, the newest tick becomes that period's start: all that is kept of an erased
    event's time is its period of 16 half-lives. What is read from then on is, to the bit, as if the erased events had
    never been, if the clock never stepped back.

    Args:
        memory: rebuilt from the log after the erase; changes.
        old: before the erase, of the same layout; does not change. It alone is asked about the erased items: a memory
            keeps ids that it was asked about.
        kinds: ids of the erased kinds; None = any.
        items: ids of the items that the erased events are about; None = any. With both None nothing is taken over.
        categories_differed: older events were counted under a bundle whose items had other categories, nobody knows
            which: an erased item may have touched any of them.
    """
    if kinds is None and items is None:
        return
    erased = frozenset(memory.layout.kinds) if kinds is None else kinds
    refs = None if items is None else np.array([old.rows_of(item) for item in items], np.int64).reshape(-1, 3)
    reach = _Reach(memory.layout, erased, _following(memory.layout.derived, erased), refs, categories_differed)
    _keep_counters(memory, old, reach)
    for index, rule in enumerate(memory.layout.caps):
        rows = reach.untouched_rows(rule.kinds, rule.per)
        memory.caps.inherit(index, rows, old.caps.newest(index, rows))
    for index, machine in enumerate(memory.layout.machines):
        rows = reach.untouched_rows(machine.kinds, machine.per)
        memory.machines.inherit(index, rows, old.machines.standing(index, rows))
    budget = memory.layout.spending
    if budget and len(reach.untouched_rows(budget.kinds, Scope.USER)):
        memory.spending.inherit(old.spending)


@dataclass(frozen=True, slots=True, eq=False)
class _Reach:
    """How far an erase reaches."""

    layout: MemoryLayout
    erased: frozenset[int]  # kind ids
    following: frozenset[int]  # kind ids of derived events that may be others now, and about any item
    rows: I64 | None  # (items, 3) item, offer and category rows of the erased items; None = any item
    any_category: bool  # an erased item may have been in any category

    def untouched_rows(self, kinds: Collection[int], per: Scope) -> I64:
        """Rows of the targets of a rule whose events of all these kinds were left alone."""
        untouched = np.ones(self.layout.target_rows(per), np.bool_)
        untouched[0] = False
        for kind in kinds:
            if per == Scope.USER:
                untouched &= kind not in self.erased | self.following
            else:
                untouched &= self.untouched_offers(kind) if per == Scope.OFFER else self.untouched_categories(kind)
        return np.flatnonzero(untouched)

    def untouched_offers(self, kind: int) -> Mask:
        """Offers whose events of a kind were all left alone, by offer row."""
        return self._untouched(kind, len(self.layout.offers) + 1, 1)

    def untouched_categories(self, kind: int) -> Mask:
        """Likewise by category row."""
        if self.any_category and kind in self.erased:
            return np.zeros(self.layout.category_rows, np.bool_)
        return self._untouched(kind, self.layout.category_rows, 2)

    def _untouched(self, kind: int, targets: int, column: int) -> Mask:
        if kind in self.following or (kind in self.erased and self.rows is None):
            return np.zeros(targets, np.bool_)
        untouched = np.ones(targets, np.bool_)
        if kind in self.erased and self.rows is not None:
            untouched[self.rows[:, column]] = False
        return untouched


def _following(rules: DerivedRules, kinds: frozenset[int]) -> frozenset[int]:
    """Kinds of derived events that may be other ones, or none, without events of these kinds."""
    found: set[int] = set()
    if rules.session and rules.session.activity & kinds:
        found |= {rules.session.start_kind, rules.session.end_kind}
    found |= {rule.kind for rule in rules.dwell if (rule.of | rule.activity) & kinds}
    found |= {rule.kind for rule in rules.ignored if (rule.seen | rule.touched) & kinds}
    return frozenset(found)


def _keep_counters(memory: Memory, old: Memory, reach: _Reach) -> None:
    layout = memory.layout
    shape = (len(memory.sums), layout.counter_kinds, len(layout.decays))
    kept = np.ones(shape[:2], np.bool_)
    for kind, rule in layout.kinds.items():
        if rule.counter >= 0:
            kept[:, rule.counter] &= np.concatenate([reach.untouched_offers(kind), reach.untouched_categories(kind)])
    for h in range(len(layout.decays)):
        take_sums(memory, h, kept, old.sums.reshape(shape)[:, :, h], old.latest[h] >> PERIOD_BITS << PERIOD_BITS)
