"""State machines stepped by events and by time: a user's lifecycle stage, an offer's holding phase, a user's choices.

Pure over events: no clock, no disk. A read computes the steps by time that are due but does not store them, so that a
machine's state depends on the events alone, not on when it was read. docs/format.md specifies the rules for ports; ADR
13 gives the reasons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from edge_sdk.memory.machine_states import KindSteps, MachineStates, TargetStates
from edge_sdk.memory.targets import USER_ROW, Scope, target_rows
from edge_sdk.types import I32, I64

# What one kind does to one machine: scope (as an int), steps by state, the machine's states. A plain tuple and not a
# record: `add` unpacks it for each event, which is faster than reading fields.
MachineSteps = tuple[int, KindSteps, MachineStates]
UserStates = tuple[tuple[int, int], ...]  # of each machine: state, and since when in ms
STATES_MAX: Final = 255  # of one machine
NO_STATE: Final = (0, 0)  # of a machine per offer or category
_OFFER, _CATEGORY = int(Scope.OFFER), int(Scope.CATEGORY)


class MachineStep(NamedTuple):
    """One step; a machine takes the first of its steps that matches."""

    sources: frozenset[int]  # state indices; empty = any
    kind: int  # kind id; 0 = by time
    count: int  # type: ignore[assignment]  # step at the count-th such event since the state was entered; at least 1
    after_s: int  # by time: since the state was entered
    target: int  # state index; the same state again starts its time anew


class MachineRule(NamedTuple):
    """A machine of the scene."""

    name: str
    per: Scope
    states: tuple[str, ...]  # the first is where it begins
    steps: tuple[MachineStep, ...]

    @property
    def kinds(self) -> frozenset[int]:
        """Ids of the kinds of events that step the machine."""
        return frozenset(step.kind for step in self.steps if step.kind)

    @property
    def counted(self) -> tuple[MachineStep, ...]:
        """The steps that count their events, in order."""
        return tuple(step for step in self.steps if step.kind and step.count > 1)


def time_cycle(rule: MachineRule) -> bool:
    """Returns whether time alone would lead some state back to itself; such a machine is refused.

    Of several steps by time from one state, only the one that is due first counts, as when a machine runs.
    """
    timed = _timed(rule)
    for start in range(len(timed)):
        state: int | None = start
        for _ in timed:
            step = None if state is None else timed[state]
            state = None if step is None else step[1]
        if state is not None:
            return True  # as many steps as there are states: one state came twice
    return False


class StateMachines:
    """The states of all targets of all machines."""

    def __init__(self, rules: Sequence[MachineRule], offer_categories: I64, category_rows: int) -> None:
        """Starts every target in its machine's first state; its time has not begun.

        Args:
            rules: of the bundle.
            offer_categories: category row of each offer row, (offers + 1,).
            category_rows: with row 0.

        Raises:
            ValueError: a step leads nowhere, or time alone leads in a circle.
        """
        self._rules = tuple(rules)
        self._offer_categories = offer_categories
        self._states = [
            _machine_states(rule, target_rows(rule.per, len(offer_categories), category_rows)) for rule in rules
        ]
        self._of_user = [
            states if rule.per == Scope.USER else None for rule, states in zip(rules, self._states, strict=True)
        ]
        self._steps = [{kind: _kind_steps(rule, kind) for kind in rule.kinds} for rule in self._rules]
        self.by_kind: dict[int, tuple[MachineSteps, ...]] = {
            kind: tuple(
                (int(rule.per), steps[kind], states)
                for rule, steps, states in zip(self._rules, self._steps, self._states, strict=True)
                if kind in steps
            )
            for kind in {kind for steps in self._steps for kind in steps}
        }

    @property
    def rules(self) -> tuple[MachineRule, ...]:
        """The rules, in order of the machines."""
        return self._rules

    # ---- stepping ----

    def add(self, stepped: tuple[MachineSteps, ...], time_ms: int, offer_row: int, category_row: int) -> None:
        """Applies one event to the machines that its kind steps (`by_kind`); row 0 is none and never steps."""
        for per, steps, states in stepped:
            row = offer_row if per == _OFFER else category_row if per == _CATEGORY else USER_ROW
            if row:
                states.step(steps, time_ms, row)

    def add_many(self, index: int, times_ms: I64, kinds: I64, rows: I32) -> None:
        """Applies many events to one machine: the same as one by one.

        Args:
            index: of the machine.
            times_ms: (E,) oldest first.
            kinds: (E,) ids of kinds that step the machine.
            rows: (E,) its targets (offer rows, category rows or all `USER_ROW`), 0 = none.
        """
        states, steps = self._states[index], self._steps[index]
        for time_ms, kind, row in zip(times_ms.tolist(), kinds.tolist(), rows.tolist(), strict=True):
            if row:
                states.step(steps[kind], time_ms, row)

    # ---- reading ----

    def state(self, index: int, now_ms: int) -> int:
        """Returns the state of a machine per user."""
        return self._states[index].state_at(USER_ROW, now_ms)[0]

    def states(self, index: int, offer_rows: I64, now_ms: int) -> I64:
        """Returns the state of each offer, or of its category, (C,); row 0 is in the first state."""
        return self._states[index].all_states(now_ms).take(self._targets(index, offer_rows))

    def state_of(self, index: int, offer_row: int, now_ms: int) -> int:
        """Returns the state of one offer, or of its category, at any time; does not change the cache of `states`."""
        return self._states[index].state_at(self._target(index, offer_row), now_ms)[0]

    def changes_of(self, index: int, offer_row: int, now_ms: int) -> int:
        """Returns when the next step by time of one offer, or of its category, is due, in ms; `NEVER_MS` = none."""
        states = self._states[index]
        return states.due_ms(*states.state_at(self._target(index, offer_row), now_ms))

    def _target(self, index: int, offer_row: int) -> int:
        return offer_row if self._rules[index].per == Scope.OFFER else int(self._offer_categories[offer_row])

    def version(self, index: int, now_ms: int) -> int:
        """Returns a number that changes whenever `states` may change; no two machines share a number."""
        states = self._states[index]
        states.all_states(now_ms)
        return states.version

    def user_changes_at(self, index: int, now_ms: int) -> int:
        """Returns when the next step by time of a machine per user is due, in ms; `NEVER_MS` = none."""
        states = self._states[index]
        return states.due_ms(*states.state_at(USER_ROW, now_ms))

    def _targets(self, index: int, offer_rows: I64) -> I64:
        per = self._rules[index].per
        if per == Scope.OFFER:
            return offer_rows
        return self._offer_categories.take(offer_rows) if per == Scope.CATEGORY else np.full_like(offer_rows, USER_ROW)

    # ---- states as they are now, for later ----

    def candidate_states(self, index: int, offer_rows: I64) -> TargetStates:
        """Returns the states of each offer, or of its category, (C,), as the newest event left them."""
        return self._states[index].target_states(self._targets(index, offer_rows))

    def user_states(self, now_ms: int) -> tuple[tuple[int, ...], UserStates]:
        """Returns the state of each machine of the user now, and the one that the newest event left, since when in ms.

        Of a machine per offer or category: -1 and `NO_STATE`.
        """
        entered = [NO_STATE if states is None else states.entered(USER_ROW) for states in self._of_user]
        settled = [
            -1 if states is None else states.settle(*pair, now_ms)[0]
            for states, pair in zip(self._of_user, entered, strict=True)
        ]
        return tuple(settled), tuple(entered)

    def frozen(self, user: UserStates, rows: I64, targets: Mapping[int, TargetStates]) -> FrozenStates:
        """Returns a reader of states as they were.

        Args:
            user: `user_states` of then.
            rows: (C,) the offer rows that `targets` is about.
            targets: by machine, `candidate_states` of then.
        """
        return FrozenStates(self._states, user, {row: at for at, row in enumerate(rows.tolist())}, targets)

    # ---- copying and saving ----

    def target_states(self, index: int, rows: I64) -> TargetStates:
        """Returns the states of some targets of a machine, as of the newest event that stepped the machine."""
        return self._states[index].target_states(rows)

    def inherit(self, index: int, rows: I64, former: TargetStates) -> None:
        """Replaces the states of some targets of a machine, (R,); `former` has a row for each."""
        self._states[index].inherit(rows, former)

    def dump(self) -> bytes:
        """Returns states, times and counts of each machine; the length depends on the rules and targets alone."""
        return b"".join(states.dump() for states in self._states)

    def load(self, raw: bytes) -> int:
        """Restores what `dump` wrote; `raw` may be longer. Returns the number of bytes read.

        Raises:
            ValueError: too few bytes, or a state that the machine does not have.
        """
        at = 0
        for states in self._states:
            at += states.load(raw[at:])
        return at


class FrozenStates:
    """The states of the user's machines and of some targets at one moment; later events do not change them."""

    def __init__(
        self,
        machines: Sequence[MachineStates],
        user: UserStates,
        places: Mapping[int, int],
        targets: Mapping[int, TargetStates],
    ) -> None:
        """Use `StateMachines.frozen`."""
        self._machines, self._user, self._places, self._targets = machines, user, places, targets

    def state(self, index: int, at_ms: int) -> int:
        """Returns the state of a machine of the user, if nothing but time has passed by then."""
        return self._machines[index].settle(*self._user[index], at_ms)[0]

    def user_changes_at(self, index: int, at_ms: int) -> int:
        """Returns when the next step by time of a machine of the user is due, in ms; `NEVER_MS` = none."""
        machine = self._machines[index]
        return machine.due_ms(*machine.settle(*self._user[index], at_ms))

    def state_of(self, index: int, offer_row: int, at_ms: int) -> int:
        """Returns the state of an offer, or of its category, if nothing but time has passed by then."""
        return self._machines[index].settle(*self._target(index, offer_row), at_ms)[0]

    def changes_of(self, index: int, offer_row: int, at_ms: int) -> int:
        """Returns when the next step by time of an offer, or of its category, is due, in ms; `NEVER_MS` = none."""
        machine = self._machines[index]
        return machine.due_ms(*machine.settle(*self._target(index, offer_row), at_ms))

    def _target(self, index: int, offer_row: int) -> tuple[int, int]:
        states, at = self._targets[index], self._places[offer_row]
        return int(states.states[at]), int(states.since_ms[at])


def _machine_states(rule: MachineRule, rows: int) -> MachineStates:
    named = range(len(rule.states))
    is_whole = all(step.target in named and all(source in named for source in step.sources) for step in rule.steps)
    if not 1 <= len(rule.states) <= STATES_MAX or not is_whole or time_cycle(rule):
        raise ValueError(f"machine {rule.name!r}: a step leads nowhere, or time alone leads in a circle")
    return MachineStates(rows, _timed(rule), len(rule.counted))


def _timed(rule: MachineRule) -> tuple[tuple[int, int] | None, ...]:
    """The step by time from each state: (after how many ms, target state); None = no step.

    Of several steps the one that is due first is taken; of equal ones the first. A step by time from a state to itself
    would change nothing and is left out.
    """
    found: list[tuple[int, int] | None] = []
    for state in range(len(rule.states)):
        steps = [
            (step.after_s * 1000, step.target)
            for step in rule.steps
            if not step.kind and step.target != state and (not step.sources or state in step.sources)
        ]
        found.append(min(steps, key=lambda step: step[0], default=None))
    return tuple(found)


def _kind_steps(rule: MachineRule, kind: int) -> KindSteps:
    """The steps by events of a kind from each state: (how many events, index of their count, target state)."""
    counted, of_kind = 0, []
    for step in rule.steps:
        if step.kind == kind:
            of_kind.append((step.sources, (step.count, counted, step.target)))
        counted += bool(step.kind) and step.count > 1
    return tuple(
        tuple(step for sources, step in of_kind if not sources or state in sources) for state in range(len(rule.states))
    )
