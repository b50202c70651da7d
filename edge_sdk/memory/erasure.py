"""Selective erasure: removes some events of a user while keeping what the other events have left behind.

After an erase, memory is rebuilt from the events that are still in the log. The effects of older events are in no log:
they are copied from the memory before the erase, for every counter and target that no erased event can have changed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np

from edge_sdk.memory.decay import PERIOD_BITS
from edge_sdk.memory.derived_rules import DerivedRules
from edge_sdk.memory.layout import MemoryLayout
from edge_sdk.memory.memory import Memory
from edge_sdk.memory.targets import Scope
from edge_sdk.types import I64, Mask
from edge_sdk.vocabulary import LOW_WORD


def inherit_unaffected(
    memory: Memory,
    old: Memory,
    kinds: frozenset[int] | None,
    items: frozenset[int] | None,
    *,
    categories_differed: bool = False,
) -> None:
    """Copies from the memory before an erase everything that the erased events cannot have changed.

    This covers counters, targets of caps and of machines, and spending. The window and the state of derived events stay
    as rebuilt: they are about the newest events, which are in the log.

    Where the old memory saw a later period, the newest tick becomes that period's start: the only trace of an erased
    event's time is its period of 16 half-lives. What is read from then on is, to the bit, as if the erased events had
    never been, if the clock never stepped back.

    Args:
        memory: rebuilt from the log after the erase; changes.
        old: before the erase, of the same layout; does not change. Only this memory is asked about the erased items,
            because a memory caches the ids that it is asked about.
        kinds: ids of the erased kinds; None = any.
        items: ids of the items that the erased events are about; None = any. With both None nothing is copied.
        categories_differed: older events were counted under a bundle whose items had other categories, which are not
            known any more: an erased item may have changed any category.
    """
    if kinds is None and items is None:
        return
    erased = frozenset(memory.layout.kinds) if kinds is None else kinds
    refs = None if items is None else np.array([*_rows_of(old, items)], np.int64).reshape(-1, 3)
    effect = _Effect(memory.layout, erased, _derived_from(memory.layout.derived, erased), refs, categories_differed)
    _inherit_counters(memory, old, effect)
    for index, rule in enumerate(memory.layout.caps):
        rows = effect.unaffected_rows(rule.kinds, rule.per)
        memory.caps.inherit(index, rows, old.caps.newest(index, rows))
    for index, machine in enumerate(memory.layout.machines):
        rows = effect.unaffected_rows(machine.kinds, machine.per)
        memory.machines.inherit(index, rows, old.machines.target_states(index, rows))
    budget = memory.layout.spending
    if budget and len(effect.unaffected_rows(budget.kinds, Scope.USER)):
        memory.spending.inherit(old.spending)


@dataclass(frozen=True, slots=True, eq=False)
class _Effect:
    """What the erased events may have changed."""

    layout: MemoryLayout
    erased: frozenset[int]  # kind ids
    derived: frozenset[int]  # kind ids of derived events that may differ after the erase, about any item
    rows: I64 | None  # (items, 3) item, offer and category rows of the erased items; None = any item
    any_category: bool  # an erased item may have been in any category

    def unaffected_rows(self, kinds: Collection[int], per: Scope) -> I64:
        """Returns the rows of a rule's targets for which no event of these kinds was erased."""
        unaffected = np.ones(self.layout.target_rows(per), np.bool_)
        unaffected[0] = False
        for kind in kinds:
            if per == Scope.USER:
                unaffected &= kind not in self.erased | self.derived
            else:
                unaffected &= self.unaffected_offers(kind) if per == Scope.OFFER else self.unaffected_categories(kind)
        return np.flatnonzero(unaffected)

    def unaffected_offers(self, kind: int) -> Mask:
        """Returns, by offer row, whether no event of a kind about that offer was erased."""
        return self._unaffected(kind, len(self.layout.offers) + 1, 1)

    def unaffected_categories(self, kind: int) -> Mask:
        """Returns the same by category row."""
        if self.any_category and kind in self.erased:
            return np.zeros(self.layout.category_rows, np.bool_)
        return self._unaffected(kind, self.layout.category_rows, 2)

    def _unaffected(self, kind: int, targets: int, column: int) -> Mask:
        if kind in self.derived or (kind in self.erased and self.rows is None):
            return np.zeros(targets, np.bool_)
        unaffected = np.ones(targets, np.bool_)
        if kind in self.erased and self.rows is not None:
            unaffected[self.rows[:, column]] = False
        return unaffected


def _rows_of(old: Memory, items: frozenset[int]) -> Iterator[tuple[int, int, int]]:
    """The rows at which events about the items counted; one of a log of version 1 counted by the id's low word."""
    for item in items:
        yield old.rows_of(item)
        yield old.rows_of(item & LOW_WORD)


def _derived_from(rules: DerivedRules, kinds: frozenset[int]) -> frozenset[int]:
    """Kinds of derived events that may differ, or be missing, without events of these kinds."""
    found: set[int] = set()
    if rules.session and rules.session.activity & kinds:
        found |= {rules.session.start_kind, rules.session.end_kind}
    found |= {rule.kind for rule in rules.dwell if (rule.of | rule.activity) & kinds}
    found |= {rule.kind for rule in rules.ignored if (rule.seen | rule.reset_by) & kinds}
    return frozenset(found)


def _inherit_counters(memory: Memory, old: Memory, effect: _Effect) -> None:
    layout = memory.layout
    cells = np.ones((len(layout.offers) + 1 + layout.category_rows, layout.counter_kinds), np.bool_)
    for kind, rule in layout.kinds.items():
        if rule.counter >= 0:
            unaffected = np.concatenate([effect.unaffected_offers(kind), effect.unaffected_categories(kind)])
            cells[:, rule.counter] &= unaffected
    for h in range(len(layout.decays)):
        period_start = old.counters.latest[h] >> PERIOD_BITS << PERIOD_BITS
        memory.counters.inherit(h, cells, old.counters.sums_of(h), period_start)
