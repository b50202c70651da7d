"""State machines that events and time step: a user's lifecycle stage, an offer's holding phase, own choices."""

from __future__ import annotations

from dataclasses import dataclass

from edge_sdk.types import Per


@dataclass(frozen=True, slots=True)
class MachineStep:
    """One step; the first of a machine's steps that fits is taken."""

    sources: frozenset[int]  # state indices; empty = any
    kind: int  # kind id; 0 = by time
    count: int  # with the count-th such event since the state was entered; at least 1
    after_s: int  # by time: since the state was entered
    target: int  # state index; the same state again starts its time anew


@dataclass(frozen=True, slots=True)
class MachineRule:
    """A machine of the scene."""

    name: str
    per: Per
    states: tuple[str, ...]  # the first is where it begins
    steps: tuple[MachineStep, ...]


def time_cycle(rule: MachineRule) -> bool:
    """Whether steps by time alone lead from some state back to it: such a machine would never come to rest."""
    reached = {state: _next_by_time(rule, state) for state in range(len(rule.states))}
    for _ in rule.states:  # after as many rounds every way that exists has been found
        reached = {state: ways.union(*(reached[way] for way in ways)) for state, ways in reached.items()}
    return any(state in ways for state, ways in reached.items())


def _next_by_time(rule: MachineRule, state: int) -> set[int]:
    return {step.target for step in rule.steps if not step.kind and (not step.sources or state in step.sources)}
