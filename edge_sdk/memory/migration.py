"""Migration of memory to a new bundle: counts that still mean the same continue, also of events that left the log.

There are two memories of the same events: one of the former bundle, which counted all of them, and one of the new
bundle, made from the events that are still in the log. For every target, kind and half-life that both bundles have, the
former memory's counts replace the new memory's; so no event counts twice, and no counted event is lost. The window
stays as made from the log.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from edge_sdk.memory.derived_rules import DerivedRules, DwellRule, IgnoredRule, SessionRule
from edge_sdk.memory.layout import MemoryLayout
from edge_sdk.memory.machine_states import TargetStates
from edge_sdk.memory.memory import Memory
from edge_sdk.memory.targets import USER_ROW, Scope
from edge_sdk.types import I64, U32
from edge_sdk.vocabulary import Vocabulary

_MISSING = -1  # the former bundle has no counterpart
_UNKNOWN_OFFER = np.zeros(1, np.int64)  # row of the offers that a bundle does not know
_USER_ROWS = np.arange(USER_ROW + 1)  # of the one target of a rule per user, with row 0


def inherit(memory: Memory, old: Memory) -> None:
    """Copies every counter, cap, state and sum that still means the same from the memory of a former bundle.

    - Offers match by id (by its low word where one side has no more), categories by the id of their name; the offers of
      a category may have changed.
    - Kinds match by id, unless a kind was recorded before and is derived now, or the other way round.
    - Half-lives match by their tick.
    - Caps match by their kinds and by what they are per; the time within which a cap counts may differ. If the new
      limit is larger than the former one, older times are missing until enough events have come. The
      offers that the new bundle does not know inherit, as one, from those of the former bundle and from the offers that
      are no longer known, so that no cap allows more of them than before.
    - Machines match by the id of their name and by what they are per, states by the id of their name. A target whose
      state does not exist any more, or whose time had not begun, stays as made from the log. A count continues if the
      step is the same: from and to the same states, with the count-th event of the same kind. If a machine has several
      identical counting steps, old and new ones match by position.
    - Budgets match by their periods; the sum is converted where the units differ, up to the next whole one.
    - The state of a derived-events rule continues if the rule is the same in every respect.

    What is read of a copied counter is, to the bit, what a memory would give that saw every event, if the clock never
    stepped back. If the clock did, only the tick may differ at which such an event counts.

    Args:
        memory: of the new bundle, made from the log up to the event that `old` ends with; changes.
        old: does not change.
    """
    match = _Match(memory.layout, old.layout)
    _inherit_counters(memory, old, match)
    _inherit_caps(memory, old, match)
    _inherit_machines(memory, old, match)
    if memory.layout.spending and old.layout.spending and memory.layout.spending.periods == old.layout.spending.periods:
        memory.spending.inherit(old.spending)
    _inherit_derived(memory, old)


@dataclass(frozen=True)
class _Match:
    """Maps parts of a new layout to their counterparts in the old one. Not slotted: each table is made once."""

    new: MemoryLayout
    old: MemoryLayout

    @cached_property
    def kinds(self) -> frozenset[int]:
        """The kinds that are recorded in both layouts, or derived in both."""
        changed = frozenset(self.new.derived.kinds) ^ frozenset(self.old.derived.kinds)
        return frozenset(self.new.kinds) & frozenset(self.old.kinds) - changed

    @cached_property
    def offers(self) -> I64:
        """The old row of each offer, (offers + 1,); 0 = none. Row 0 has none."""
        return _old_offer_rows(self.new.offers, self.old.offers)

    @cached_property
    def categories(self) -> I64:
        """The old row of each category, likewise."""
        return _old_rows(self.new.categories, self.old.categories)

    def targets(self, per: Scope) -> tuple[I64, I64]:
        """Returns the new rows of a rule's targets that have a counterpart, and the old rows of these.

        The offers that one bundle does not know are the counterpart of those that the other does not know.
        """
        old_rows = {Scope.OFFER: self.offers, Scope.CATEGORY: self.categories}.get(per, _USER_ROWS)
        is_matched = old_rows > 0
        is_matched[0] = per == Scope.OFFER
        rows = np.flatnonzero(is_matched)
        return rows, old_rows[rows]

    @cached_property
    def counters(self) -> I64:
        """The old index of each counter that the same kinds feed, (KC,); -1 = none."""
        former = {kinds: counter for counter, kinds in enumerate(_feeding(self.old))}
        found = [
            former.get(kinds, _MISSING) if kinds and kinds <= self.kinds else _MISSING for kinds in _feeding(self.new)
        ]
        return np.array(found, np.int64)


def _inherit_counters(memory: Memory, old: Memory, match: _Match) -> None:
    has_target = np.concatenate([match.offers, match.categories]) > 0
    slots = np.concatenate([match.offers, match.categories + old.counters.category_slot])
    cells = has_target[:, None] & (match.counters != _MISSING)
    ticks = [decay.tick_ms for decay in old.layout.decays]
    for h, decay in enumerate(memory.layout.decays):
        if decay.tick_ms in ticks:
            former = ticks.index(decay.tick_ms)
            sums = old.counters.sums_of(former)[np.ix_(slots, match.counters)]
            memory.counters.inherit(h, cells, sums, old.counters.latest[former])


def _inherit_caps(memory: Memory, old: Memory, match: _Match) -> None:
    limits = {  # of several rules on the same events, the one that keeps the most of them
        (frozenset(rule.kinds), rule.per): index
        for index, rule in sorted(enumerate(old.layout.caps), key=lambda indexed: indexed[1].limit)
        if match.kinds.issuperset(rule.kinds)
    }
    for index, rule in enumerate(memory.layout.caps):
        former = limits.get((frozenset(rule.kinds), rule.per))
        if former is not None:
            rows, old_rows = match.targets(rule.per)
            memory.caps.inherit(index, rows, old.caps.newest(former, old_rows))
            if rule.per == Scope.OFFER:
                _inherit_unknown_offers(memory, index, old, former, match)


def _inherit_unknown_offers(memory: Memory, index: int, old: Memory, former: int, match: _Match) -> None:
    """Copies what a cap per offer counted of all offers that the new bundle does not know."""
    times_ms = old.caps.newest(former, _UNKNOWN_OFFER)
    gone = np.flatnonzero(np.bincount(match.offers, minlength=len(old.layout.offers) + 1) == 0)
    if len(gone):
        times_ms = np.sort(np.concatenate([times_ms, old.caps.newest(former, gone).reshape(1, -1)], axis=1), axis=1)
    memory.caps.inherit(index, _UNKNOWN_OFFER, times_ms)


def _inherit_machines(memory: Memory, old: Memory, match: _Match) -> None:
    former = [names[0] for names in old.layout.machine_names]
    names = [names[0] for names in memory.layout.machine_names]
    for index, old_index in enumerate(_places(names, former)):
        if old_index < 0 or memory.layout.machines[index].per != old.layout.machines[old_index].per:
            continue
        rows, old_rows = match.targets(memory.layout.machines[index].per)
        former_states = old.machines.target_states(old_index, old_rows)
        to_new = _state_map(memory.layout, index, old.layout, old_index)
        continues = (to_new[former_states.states] >= 0) & (former_states.since_ms > 0)
        rows, old_rows = rows[continues], old_rows[continues]
        former_states = old.machines.target_states(old_index, old_rows)
        counts = memory.machines.target_states(index, rows).counts * 0
        for place, old_place in enumerate(_same_counts(memory.layout, index, old.layout, old_index, match.kinds)):
            if old_place >= 0:
                counts[:, place] = former_states.counts[:, old_place]
        states = TargetStates(to_new[former_states.states], former_states.since_ms, counts)
        memory.machines.inherit(index, rows, states)


def _state_map(new: MemoryLayout, index: int, old: MemoryLayout, old_index: int) -> I64:
    """The new index of each old state of a machine; -1 = the state does not exist any more."""
    return np.array(_places(old.machine_names[old_index][1:], new.machine_names[index][1:]), np.int64)


def _same_counts(new: MemoryLayout, index: int, old: MemoryLayout, old_index: int, kinds: frozenset[int]) -> list[int]:
    """The old counting step that matches each counting step of the new machine; -1 = none."""

    def described(layout: MemoryLayout, machine: int) -> list[tuple[object, ...]]:
        states = layout.machine_names[machine][1:]
        steps = [
            (frozenset(states[source] for source in step.sources), step.kind, step.count, states[step.target])
            for step in layout.machines[machine].counted
        ]
        # Identical steps match by position.
        return [(*step, steps[:place].count(step)) for place, step in enumerate(steps)]

    former = {step: place for place, step in enumerate(described(old, old_index)) if step[1] in kinds}
    return [former.get(step, _MISSING) for step in described(new, index)]


def _inherit_derived(memory: Memory, old: Memory) -> None:
    """Copies the state of the derived-events rules that both layouts have."""
    numbers, former = (np.frombuffer(of.deriver.dump(), "<i8").copy() for of in (memory, old))
    former_places = _state_places(old.layout.derived)
    for rule, places in _state_places(memory.layout.derived).items():
        if rule in former_places:
            numbers[places] = former[former_places[rule]]
    memory.deriver.load(numbers.tobytes())


def _state_places(rules: DerivedRules) -> dict[tuple[type, SessionRule | DwellRule | IgnoredRule], slice]:
    """The position of each rule's state among the numbers that `Deriver.dump` writes.

    The key has the rule's type: tuples of two types with the same fields are equal.
    """
    places: dict[tuple[type, SessionRule | DwellRule | IgnoredRule], slice] = {}
    if rules.session:
        places[SessionRule, rules.session] = slice(0, 2)
    at = 2
    for dwell in rules.dwell:
        places[DwellRule, dwell] = slice(at, at + 2)
        at += 2
    for ignored in rules.ignored:
        places[IgnoredRule, ignored] = slice(at, at + 1)
        at += 1
    return places


def _feeding(layout: MemoryLayout) -> list[frozenset[int]]:
    """The kinds that each counter counts, in order of the counters."""
    return [
        frozenset(kind for kind, rule in layout.kinds.items() if rule.counter == counter)
        for counter in range(layout.counter_kinds)
    ]


def _places(wanted: Sequence[int], ids: Sequence[int]) -> list[int]:
    """The index of each wanted id among the ids; -1 = the id is not there, or one of both sides has it twice."""
    times, other = Counter(wanted), Counter(ids)
    return [ids.index(each) if times[each] == other[each] == 1 else _MISSING for each in wanted]


def _old_offer_rows(new: Vocabulary, old: Vocabulary) -> I64:
    """The old row of each offer, from row 0. Of several that an old offer without a high word may be, the first."""
    rows = old.rows(new.ids)
    is_taken = np.concatenate([np.zeros(min(1, len(rows)), np.bool_), rows[1:] == rows[:-1]])
    return np.concatenate([np.zeros(1, np.int64), np.where(is_taken, 0, rows)])


def _old_rows(ids: U32, old_ids: U32) -> I64:
    """The old row of each id, from row 0. Of two categories with one id (one pair in 4 billion) neither matches."""
    listed, old_listed = ids.tolist(), old_ids.tolist()
    times, old_times = Counter(listed), Counter(old_listed)
    rows = {identifier: row for row, identifier in enumerate(old_listed, start=1) if old_times[identifier] == 1}
    return np.array([0, *(rows.get(each, 0) if times[each] == 1 else 0 for each in listed)], np.int64)
