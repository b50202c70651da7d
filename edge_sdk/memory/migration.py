"""Memory under a new bundle: what it counted and still means the same goes on, whatever the log has dropped.

Two memories that saw the same events meet: one of the former bundle, which counted them all, and one of the new bundle,
made from what the log still holds. What the first one knows of a target, a kind and a half-life that the second has too
takes the place of what the second found in the log; so no event counts twice, and none that counted is lost. The window
stays as made from the log.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from edge_sdk.memory.counters import take_sums
from edge_sdk.memory.derived_rules import DerivedRules, DwellRule, IgnoredRule, SessionRule
from edge_sdk.memory.layout import MemoryLayout
from edge_sdk.memory.machine_states import TargetStates
from edge_sdk.memory.memory import Memory
from edge_sdk.memory.targets import USER_ROW, Scope
from edge_sdk.types import I64
from edge_sdk.vocabulary import U32

_NEVER = -1  # what the former bundle did not have
_THE_USER = np.arange(USER_ROW + 1)  # the rows of the one target of a rule per user


def inherit(memory: Memory, old: Memory) -> None:
    """Take over from the memory of a former bundle every counter, cap, state and sum that still means the same.

    - An offer is the same by its id, a category by the id of its name; who belongs to a category may have changed.
    - A kind is the same by its id, unless it was recorded and is derived now, or the other way round.
    - A half-life is the same by its tick.
    - A cap is the same by its kinds and by what it is per. Its time is its own. Of a larger limit than before, times
      that nobody kept are missing until enough events have come.
    - A machine is the same by the id of its name and by what it is per, a state by the id of its name. A target whose
      state is no more, or whose time had not begun, stays as made from the log. Counts go on where the step is the
      same: from and to the same states, with the count-th event of the same kind; the second of two equal steps goes
      on as the second.
    - A budget is the same by its period.
    - Derived events go on half-way where their rule is the same in every respect.

    What is read of a counter taken over is, to the bit, what a memory would give that saw every event, if the clock
    never stepped back. Where it did, only the tick may differ at which such an event counts.

    Args:
        memory: of the new bundle, made from what the log holds up to the event that `old` ends with; changes.
        old: does not change.
    """
    match = _Match(memory.layout, old.layout)
    _take_counters(memory, old, match)
    _take_caps(memory, old, match)
    _take_machines(memory, old, match)
    if (
        memory.layout.spending
        and old.layout.spending
        and memory.layout.spending.period_s == old.layout.spending.period_s
    ):
        memory.spending.inherit(old.spending)
    _take_states(memory, old)


@dataclass(frozen=True)
class _Match:
    """What of a new layout was in the old one. Not slotted: each table is made once."""

    new: MemoryLayout
    old: MemoryLayout

    @cached_property
    def kinds(self) -> frozenset[int]:
        """Kinds of the same origin in both."""
        changed = frozenset(self.new.derived.kinds) ^ frozenset(self.old.derived.kinds)
        return frozenset(self.new.kinds) & frozenset(self.old.kinds) - changed

    @cached_property
    def offers(self) -> I64:
        """The old row of each offer, (offers + 1,); 0 = it had none, as has row 0."""
        return _old_rows(self.new.offers.ids, self.old.offers.ids)

    @cached_property
    def categories(self) -> I64:
        """Likewise of each category."""
        return _old_rows(self.new.categories, self.old.categories)

    def targets(self, per: Scope) -> tuple[I64, I64]:
        """The rows that the new targets of a rule and their counterparts have; those without one are left out."""
        old_rows = {Scope.OFFER: self.offers, Scope.CATEGORY: self.categories}.get(per, _THE_USER)
        rows = np.flatnonzero(old_rows)
        return rows, old_rows[rows]

    @cached_property
    def counters(self) -> I64:
        """The old place of each counter that the same kinds feed, (KC,); -1 = it had none."""
        former = {kinds: counter for counter, kinds in enumerate(_feeding(self.old))}
        found = [former.get(kinds, _NEVER) if kinds and kinds <= self.kinds else _NEVER for kinds in _feeding(self.new)]
        return np.array(found, np.int64)


def _take_counters(memory: Memory, old: Memory, match: _Match) -> None:
    has_target = np.concatenate([match.offers, match.categories]) > 0
    slots = np.concatenate([match.offers, match.categories + old.category_slot])
    cells = has_target[:, None] & (match.counters != _NEVER)
    shape = (len(old.sums), old.layout.counter_kinds, len(old.latest))
    ticks = [decay.tick_ms for decay in old.layout.decays]
    for h, decay in enumerate(memory.layout.decays):
        if decay.tick_ms in ticks:
            former = ticks.index(decay.tick_ms)
            sums = old.sums.reshape(shape)[:, :, former][np.ix_(slots, match.counters)]
            take_sums(memory, h, cells, sums, old.latest[former])


def _take_caps(memory: Memory, old: Memory, match: _Match) -> None:
    limits = {  # of rules on the same events the one that knows most of them
        (frozenset(rule.kinds), rule.per): index
        for index, rule in sorted(enumerate(old.layout.caps), key=lambda indexed: indexed[1].limit)
        if match.kinds.issuperset(rule.kinds)
    }
    for index, rule in enumerate(memory.layout.caps):
        former = limits.get((frozenset(rule.kinds), rule.per))
        if former is not None:
            rows, old_rows = match.targets(rule.per)
            memory.caps.inherit(index, rows, old.caps.newest(former, old_rows))


def _take_machines(memory: Memory, old: Memory, match: _Match) -> None:
    former = [names[0] for names in old.layout.machine_names]
    names = [names[0] for names in memory.layout.machine_names]
    for index, old_index in enumerate(_places(names, former)):
        if old_index < 0 or memory.layout.machines[index].per != old.layout.machines[old_index].per:
            continue
        rows, old_rows = match.targets(memory.layout.machines[index].per)
        standing = old.machines.standing(old_index, old_rows)
        to_new = _state_map(memory.layout, index, old.layout, old_index)
        goes_on = (to_new[standing.states] >= 0) & (standing.since_ms > 0)
        rows, old_rows = rows[goes_on], old_rows[goes_on]
        standing = old.machines.standing(old_index, old_rows)
        counts = memory.machines.standing(index, rows).counts * 0
        for place, old_place in enumerate(_same_counts(memory.layout, index, old.layout, old_index, match.kinds)):
            if old_place >= 0:
                counts[:, place] = standing.counts[:, old_place]
        memory.machines.inherit(index, rows, TargetStates(to_new[standing.states], standing.since_ms, counts))


def _state_map(new: MemoryLayout, index: int, old: MemoryLayout, old_index: int) -> I64:
    """The new index of each old state of a machine; -1 = it is no more."""
    return np.array(_places(old.machine_names[old_index][1:], new.machine_names[index][1:]), np.int64)


def _same_counts(new: MemoryLayout, index: int, old: MemoryLayout, old_index: int, kinds: frozenset[int]) -> list[int]:
    """Where the old machine counted for each step of the new one that counts; -1 = nowhere."""

    def told(layout: MemoryLayout, machine: int) -> list[tuple[object, ...]]:
        states = layout.machine_names[machine][1:]
        steps = [
            (frozenset(states[source] for source in step.sources), step.kind, step.count, states[step.target])
            for step in layout.machines[machine].counted
        ]
        # Of equal steps each counts what the one before it let pass: the second goes on as the second.
        return [(*step, steps[:place].count(step)) for place, step in enumerate(steps)]

    former = {step: place for place, step in enumerate(told(old, old_index)) if step[1] in kinds}
    return [former.get(step, _NEVER) for step in told(new, index)]


def _take_states(memory: Memory, old: Memory) -> None:
    """Of derived events that are half made."""
    numbers, former = (np.frombuffer(of.deriver.dump(), "<i8").copy() for of in (memory, old))
    former_places = _state_places(old.layout.derived)
    for rule, places in _state_places(memory.layout.derived).items():
        if rule in former_places:
            numbers[places] = former[former_places[rule]]
    memory.deriver.load(numbers.tobytes())


def _state_places(rules: DerivedRules) -> dict[tuple[type, SessionRule | DwellRule | IgnoredRule], slice]:
    """Where each rule's state stands among the numbers that `Deriver.dump` writes.

    By the rule and its type: tuples of two types with the same fields are equal.
    """
    places: dict[tuple[type, SessionRule | DwellRule | IgnoredRule], slice] = {}
    if rules.session:
        places[SessionRule, rules.session] = slice(0, 2)
    at = 2
    for stay in rules.dwell:
        places[DwellRule, stay] = slice(at, at + 2)
        at += 2
    for passed in rules.ignored:
        places[IgnoredRule, passed] = slice(at, at + 1)
        at += 1
    return places


def _feeding(layout: MemoryLayout) -> list[frozenset[int]]:
    """The kinds that each counter counts, by its place."""
    return [
        frozenset(kind for kind, rule in layout.kinds.items() if rule.counter == counter)
        for counter in range(layout.counter_kinds)
    ]


def _places(wanted: Sequence[int], ids: Sequence[int]) -> list[int]:
    """Where each wanted id stands among the ids; -1 = nowhere, or not for certain, as one of both has it twice."""
    times, other = Counter(wanted), Counter(ids)
    return [ids.index(each) if times[each] == other[each] == 1 else _NEVER for each in wanted]


def _old_rows(ids: U32, old_ids: U32) -> I64:
    """By row, from row 0. Of two categories with one id (one pair in 4 billion) neither is the same as any."""
    listed, old_listed = ids.tolist(), old_ids.tolist()
    times, old_times = Counter(listed), Counter(old_listed)
    rows = {identifier: row for row, identifier in enumerate(old_listed, start=1) if old_times[identifier] == 1}
    return np.array([0, *(rows.get(each, 0) if times[each] == 1 else 0 for each in listed)], np.int64)
