"""When a rule applies: conditions on the user and on candidates."""

from __future__ import annotations

from typing import NamedTuple

from edge_sdk.types import Mask


class ContextField(NamedTuple):
    """A field of `rank`'s context and the closed list of its values."""

    name: str
    values: tuple[str, ...]


class TargetingContext(NamedTuple):
    """What the conditions of the user look at; equal situations get equal answers, so it serves as a cache's key."""

    context: tuple[int, ...]  # value index of each context field; -1 = not given
    states: tuple[int, ...]  # state index of each machine; -1 = a machine per offer or category
    numbers: tuple[float, ...]  # each attribute; infinity = not given, and then no condition on it holds


class ContextCondition(NamedTuple):
    """A context field has one of these values."""

    field: int
    allowed: frozenset[int]

    def holds(self, situation: TargetingContext) -> bool:
        """In this situation."""
        return situation.context[self.field] in self.allowed


class StateCondition(NamedTuple):
    """A machine is in one of these states."""

    machine: int
    allowed: frozenset[int]

    def holds(self, situation: TargetingContext) -> bool:
        """In this situation; for a machine of the user."""
        return situation.states[self.machine] in self.allowed


class NumberCondition(NamedTuple):
    """at_least <= attribute < below."""

    attribute: int
    at_least: float
    below: float

    def holds(self, situation: TargetingContext) -> bool:
        """In this situation."""
        return self.at_least <= situation.numbers[self.attribute] < self.below


class Conditions(NamedTuple):
    """Conditions that must all hold: those that look at the user, and those that look at each candidate."""

    of_user: tuple[ContextCondition | StateCondition | NumberCondition, ...] = ()
    of_target: tuple[StateCondition, ...] = ()  # machines per offer or category

    def match_user(self, situation: TargetingContext) -> bool:
        """Whether all conditions that look at the user hold."""
        return all(condition.holds(situation) for condition in self.of_user)


class OfferSelector(NamedTuple):
    """Which candidates a rule is about."""

    offers: Mask | None = None  # (offers + 1,) by row; None = every one
    channels: frozenset[int] | None = None  # indices into `Policy.channels`; None = any
