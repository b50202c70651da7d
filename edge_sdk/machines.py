"""State machines that events and time step: a user's lifecycle stage, an offer's holding phase, a user's own choices."""

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
