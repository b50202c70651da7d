"""Reads and checks a bundle's rules of derived events and its state machines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from edge_sdk.bundle.bounds import at_most
from edge_sdk.bundle.policy_symbols import Fail, decoded, numbers
from edge_sdk.limits import STEPS_MAX
from edge_sdk.memory.derived_rules import DerivedRules, DwellRule, IgnoredRule, SessionRule
from edge_sdk.memory.state_machines import MachineRule, MachineStep, time_cycle
from edge_sdk.memory.targets import Scope
from edge_sdk.policy.conditions import ContextField, MachineField

if TYPE_CHECKING:
    from edge_sdk.bundle.format.generated.edge_generated import BundleT, MachineStepT, MachineT


def read_derived_rules(raw: BundleT, fail: Fail) -> DerivedRules:
    """Returns the rules that make events from recorded ones."""
    recorded = frozenset(kind.id for kind in raw.kinds if not kind.derived)

    def recorded_kinds(field: str, vector: object) -> frozenset[int]:
        kinds = frozenset(numbers(vector, np.uint16).tolist())
        if not kinds or not kinds <= recorded:
            fail(field, f"{sorted(kinds)}: none, or one that is not declared or itself derived")
        return kinds

    session = None
    if raw.session is not None:
        activity = recorded_kinds("session.activity", raw.session.activity)
        session = SessionRule(raw.session.startKind, raw.session.endKind, activity, raw.session.gapS)
    dwell, ignored = [], []
    for index, rule in enumerate(raw.dwell or []):
        of = recorded_kinds(f"dwell[{index}].of", rule.of)
        activity = recorded_kinds(f"dwell[{index}].activity", rule.activity)
        dwell.append(DwellRule(rule.kind, of, activity, rule.longestS))
    for index, rule in enumerate(raw.ignored or []):
        if not rule.count:
            fail(f"ignored[{index}].count", "0")
        seen = recorded_kinds(f"ignored[{index}].seen", rule.seen)
        reset_by = recorded_kinds(f"ignored[{index}].reset_by", rule.resetBy)
        ignored.append(IgnoredRule(rule.kind, seen, reset_by, rule.count))
    rules = DerivedRules(session, tuple(dwell), tuple(ignored))
    declared = {kind.id for kind in raw.kinds if kind.derived}
    if len(set(rules.kinds)) < len(rules.kinds) or not {*rules.kinds} <= declared:
        found = f"make kinds {[*rules.kinds]}: one twice, or one that is not declared as derived"
        fail("session, dwell or ignored", found)
    if session and not (session.start_kind or session.end_kind):
        fail("session.start_kind", "0, and end_kind too")
    return rules


def read_machines(raw: Sequence[MachineT], kinds: frozenset[int], fail: Fail) -> tuple[MachineRule, ...]:
    """Returns the state machines; `kinds` are the ids of all declared kinds."""
    machines: list[MachineRule] = []
    for index, machine in enumerate(raw):
        name, field = decoded(machine.name), f"machines[{index}]"
        if not name or name in [other.name for other in machines]:
            fail(f"{field}.name", f"{name!r}: none, or one that is listed twice")
        if machine.per not in tuple(Scope):
            fail(f"{field}.per", str(machine.per))
        states = tuple(decoded(state) for state in machine.states or [])
        if not states or len(set(states)) < len(states):
            fail(f"{field}.states", "none, or one that is listed twice")
        at_most(len(machine.steps or ()), STEPS_MAX, f"{field}.steps", fail)
        steps = tuple(_steps(field, machine.steps or [], len(states), kinds, fail))
        rule = MachineRule(name, Scope(machine.per), states, steps)
        if time_cycle(rule):
            fail(f"{field}.steps", "those by time lead from a state back to it")
        machines.append(rule)
    return tuple(machines)


def _steps(
    field: str, raw: Sequence[MachineStepT], states: int, kinds: frozenset[int], fail: Fail
) -> Iterator[MachineStep]:
    for index, step in enumerate(raw):
        place = f"{field}.steps[{index}]"
        sources = frozenset(numbers(step.from_, np.uint8).tolist())
        if max(*sources, step.to, 0) >= states:
            fail(f"{place}.to", f"{step.to}, from {sorted(sources)}, of {states} states")
        if step.on and step.on not in kinds:
            fail(f"{place}.on", f"{step.on} is not the id of a declared kind")
        if (step.on == 0) == (step.afterS == 0):
            fail(f"{place}.after_s", f"{step.afterS}, and on {step.on}: a step is by events or by time")
        yield MachineStep(sources, step.on, max(1, step.count), step.afterS, step.to)


def read_machine_fields(
    machines: Sequence[MachineRule], context: Sequence[ContextField], fail: Fail
) -> tuple[MachineField, ...]:
    """Returns the context fields that a machine of the same name gives where the app does not."""
    names = [field.name for field in context]
    fields: list[MachineField] = []
    for index, machine in enumerate(machines):
        if machine.name not in names:
            continue
        place = names.index(machine.name)
        values = context[place].values
        if machine.per != Scope.USER or not {*machine.states} <= {*values}:
            fail(f"machines[{index}]", f"{machine.name!r} is a context field, whose values are {', '.join(values)}")
        fields.append((index, place, tuple(values.index(state) for state in machine.states)))
    return tuple(fields)
