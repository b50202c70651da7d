"""Targeting data: conditions (when a rule applies) and offer selectors (which candidates a rule applies to)."""

from __future__ import annotations

from typing import NamedTuple

from edge_sdk.types import Mask


class ContextField(NamedTuple):
    """A field of `rank`'s context and the closed list of its values."""

    name: str
    values: tuple[str, ...]


# A machine, the context field that it sets, and the index of the field's value for each state. A plain tuple: `rank`
# unpacks it, and unpacking a NamedTuple takes more instructions.
MachineField = tuple[int, int, tuple[int, ...]]


class TargetingContext(NamedTuple):
    """Everything that conditions on the user read. Equal contexts get equal results, so a context is a cache key."""

    context: tuple[int, ...]  # value index of each context field; -1 = not given
    states: tuple[int, ...]  # state index of each machine; -1 = a machine per offer or category
    numbers: tuple[float, ...]  # each attribute; infinity = not given: a condition on it is false


class ContextCondition(NamedTuple):
    """A context field has one of the allowed values."""

    field: int
    allowed: frozenset[int]

    def matches(self, context: TargetingContext) -> bool:
        """Returns whether the condition is true in this context."""
        return context.context[self.field] in self.allowed


class StateCondition(NamedTuple):
    """A machine is in one of the allowed states."""

    machine: int
    allowed: frozenset[int]

    def matches(self, context: TargetingContext) -> bool:
        """Returns whether the condition is true in this context; only for a machine of the user."""
        return context.states[self.machine] in self.allowed


class NumberCondition(NamedTuple):
    """at_least <= attribute < below."""

    attribute: int
    at_least: float
    below: float

    def matches(self, context: TargetingContext) -> bool:
        """Returns whether the condition is true in this context."""
        return self.at_least <= context.numbers[self.attribute] < self.below


class Conditions(NamedTuple):
    """Conditions that must all be true: those that read the user, and those that read each candidate."""

    of_user: tuple[ContextCondition | StateCondition | NumberCondition, ...] = ()
    of_target: tuple[StateCondition, ...] = ()  # machines per offer or category

    def match_user(self, context: TargetingContext) -> bool:
        """Returns whether all conditions that read the user are true."""
        return all(condition.matches(context) for condition in self.of_user)


class OfferSelector(NamedTuple):
    """The candidates that a rule applies to."""

    offers: Mask | None = None  # (offers + categories + 1,) by candidate row; None = every offer
    channels: frozenset[int] | None = None  # indices into `Policy.channels`; None = any
    unknown: frozenset[int] = frozenset()  # ids of listed offers that the bundle does not know
