"""Converts and checks the [[machines]] of a scene. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cloud_export.errors import SceneProblem, quoted
from cloud_export.scene.kind_checks import named, repetitions, unless_known
from cloud_export.scene.policy_sections import Machine, Step
from cloud_export.scene.sections import Scene
from edge_sdk.memory.state_machines import MachineRule, MachineStep, time_cycle
from edge_sdk.memory.targets import Scope
from edge_sdk.vocabulary import kind_id, name_id


def machine_rule(machine: Machine) -> MachineRule:
    """Returns the machine with indices and kind ids; the states of its steps must be declared."""
    steps = tuple(_step(machine, step) for step in machine.steps)
    return MachineRule(machine.name, Scope[machine.per.upper()], machine.states, steps)


def _step(machine: Machine, step: Step) -> MachineStep:
    return MachineStep(
        sources=frozenset(machine.states.index(state) for state in step.from_),
        kind=kind_id(step.on) if step.on else 0,
        count=step.count,
        after_s=step.after_s or 0,
        target=machine.states.index(step.to),
    )


def machine_problems(scene: Scene) -> Iterator[SceneProblem]:
    """Yields a problem for each wrong field of the state machines."""
    names = [machine.name for machine in scene.machines]
    yield from _shared_ids([f"machines[{index}].name" for index in range(len(names))], names)
    for index, machine in enumerate(scene.machines):
        field = f"machines[{index}]"
        yield from _shared_ids([f"{field}.states[{place}]" for place in range(len(machine.states))], machine.states)
        if machine.name in names[:index]:
            yield SceneProblem(f"{field}.name", machine.name, "another machine has this name", "rename one of them")
        yield from repetitions(f"{field}.states", machine.states)
        yield from _context_problems(field, machine, scene)
        problems = list(_steps_problems(f"{field}.steps", machine, scene))
        yield from problems
        if not problems and time_cycle(machine_rule(machine)):
            reason = "its steps by time lead from a state back to it, so the machine would never stop"
            yield SceneProblem(f"{field}.steps", None, reason, "name in `from` the states that a step leaves")


def _shared_ids(fields: Sequence[str], names: Sequence[str]) -> Iterator[SceneProblem]:
    """Yields a problem for each name whose id on the device is that of another name before it."""
    first: dict[int, str] = {}
    for field, name in zip(fields, names, strict=True):
        owner = first.setdefault(name_id(name), name)
        if owner != name:
            reason = f'it has the same 32-bit id on the device as "{owner}"'
            yield SceneProblem(field, name, reason, "rename one of them")


def _context_problems(field: str, machine: Machine, scene: Scene) -> Iterator[SceneProblem]:
    """Yields the problems of a machine with the name of a context field: its states must be values of that field."""
    if machine.name not in scene.context:
        return
    if machine.per != "user":
        reason = "a context field has this name, and only a machine of the user can give it"
        yield SceneProblem(f"{field}.name", machine.name, reason, "rename one of them")
        return
    values = scene.context[machine.name]
    for place, state in enumerate(machine.states):
        yield from unless_known(f"{field}.states[{place}]", state, values, f"context.{machine.name}")


def _steps_problems(field: str, machine: Machine, scene: Scene) -> Iterator[SceneProblem]:
    for place, step in enumerate(machine.steps):
        yield from _step_problems(f"{field}[{place}]", step, machine, scene)


def _step_problems(field: str, step: Step, machine: Machine, scene: Scene) -> Iterator[SceneProblem]:
    for place, state in (*named(f"{field}.from", step.from_), (f"{field}.to", step.to)):
        yield from unless_known(place, state, machine.states, "the machine's states")
    if (step.on is None) == (step.after_s is None):
        reason = "it has neither `on` nor `after_s`" if step.on is None else "it has both `on` and `after_s`"
        yield SceneProblem(field, None, reason, "a step is by a kind of event, or by time: write one of the two")
    if step.on is None:
        if "count" in step.model_fields_set:
            yield SceneProblem(f"{field}.count", step.count, "it counts events, and there is no `on`", "remove it")
        return
    yield from unless_known(f"{field}.on", step.on, scene.events.all_kinds, "events.kinds")
    if machine.per != "user" and step.on in scene.events.kinds_about_nothing:
        about = quoted(kind for kind in scene.events.all_kinds if kind not in scene.events.kinds_about_nothing)
        reason = f"its events are about no item, so they never step a machine per {machine.per}"
        yield SceneProblem(f"{field}.on", step.on, reason, f"use one of {about}")
