"""What a policy may refer to, and its selections and conditions resolved against it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, NoReturn, Protocol, TypeVar

import numpy as np

from edge_sdk.bundle.format.generated.edge_generated import ConditionT, OfferSelectorT
from edge_sdk.memory.state_machines import MachineRule
from edge_sdk.memory.targets import Scope
from edge_sdk.policy.conditions import (
    Conditions,
    ContextCondition,
    ContextField,
    NumberCondition,
    OfferSelector,
    StateCondition,
)
from edge_sdk.policy.rules import Channel
from edge_sdk.types import F32, I64, Mask
from edge_sdk.vocabulary import Vocabulary

Number = TypeVar("Number", bound=np.generic)


class Fail(Protocol):
    """How a reader refuses a field: it raises the error of what is being read."""

    def __call__(self, field: str, found: str, /) -> NoReturn:
        """`found` is what stands there."""


class PolicySymbols(NamedTuple):
    """What a policy of a scene may refer to."""

    objectives: tuple[str, ...]
    window: int  # N
    kinds: frozenset[int]  # ids of all kinds, the derived ones too
    offers: Vocabulary
    category_ids: tuple[int, ...]  # crc32 of names, row 1 first
    valid_from_ms: I64  # (offers + 1,) 0 = always
    valid_until_ms: I64  # (offers + 1,) 0 = for ever
    offer_costs: F32  # (offers + 1,)
    context: tuple[ContextField, ...] = ()
    machines: tuple[MachineRule, ...] = ()
    attributes: tuple[str, ...] = ()
    channels: tuple[Channel, ...] = (Channel("", 0, 0.0),)  # the app first
    variants: tuple[str, ...] = ()

    @property
    def shown_kinds(self) -> frozenset[int]:
        """The kinds that say an offer was shown, in the app or on a channel."""
        return frozenset(channel.shown_kind for channel in self.channels) - {0}


class RuleReader(NamedTuple):
    """Resolves what a rule is about and when it holds."""

    words: PolicySymbols
    fail: Fail

    def selection(self, field: str, raw: OfferSelectorT | None) -> OfferSelector:
        """Offers or categories listed, of the channels listed."""
        if raw is None:
            return OfferSelector()
        return OfferSelector(
            offers=self._mask(raw), channels=self.channels(f"{field}.selection.channels", raw.channels)
        )

    def channels(self, field: str, raw: Sequence[bytes] | None) -> frozenset[int] | None:
        """Indices of named channels; None = any."""
        if not raw:
            return None
        known = [channel.name for channel in self.words.channels]
        return frozenset(self.one_of(field, decoded(name), known) for name in raw)

    def when(self, field: str, raw: Sequence[ConditionT] | None, *, of_user_only: bool = False) -> Conditions:
        """Conditions by whom they look at."""
        of_user: list[ContextCondition | StateCondition | NumberCondition] = []
        of_target: list[StateCondition] = []
        for index, condition in enumerate(raw or ()):
            read = self._condition(f"{field}.when[{index}]", condition)
            if not isinstance(read, StateCondition) or self.words.machines[read.machine].per == Scope.USER:
                of_user.append(read)
            elif of_user_only:
                found = "a machine per offer or category, and here only the user may be asked for"
                self.fail(f"{field}.when[{index}].name", f"{decoded(condition.name)!r}: {found}")
            else:
                of_target.append(read)
        return Conditions(tuple(of_user), tuple(of_target))

    def one_of(self, field: str, name: str, known: Sequence[str]) -> int:
        """The index of a name."""
        if name not in known:
            self.fail(field, f"{name!r} is none of {', '.join(known) or '(none)'}")
        return known.index(name)

    def _mask(self, raw: OfferSelectorT) -> Mask | None:
        """Ids that the bundle does not know match nothing: a policy may speak of offers that come later."""
        offers, categories = numbers(raw.offers, np.uint32), numbers(raw.categories, np.uint32)
        if not len(offers) and not len(categories):
            return None
        rows = [row for row, known in enumerate(self.words.category_ids, 1) if known in categories]
        mask = np.isin(self.words.offers.row_category, rows)
        mask[[self.words.offers.row(identifier) for identifier in offers.tolist()]] = True
        mask[0] = False
        return mask

    def _condition(self, field: str, raw: ConditionT) -> ContextCondition | StateCondition | NumberCondition:
        name, words = decoded(raw.name), self.words
        if raw.source == 0:
            place = self.one_of(f"{field}.name", name, [known.name for known in words.context])
            return ContextCondition(place, self._values(field, raw, words.context[place].values))
        if raw.source == 1:
            place = self.one_of(f"{field}.name", name, [known.name for known in words.machines])
            return StateCondition(place, self._values(field, raw, words.machines[place].states))
        if raw.source != 2:
            self.fail(f"{field}.source", str(raw.source))
        place = self.one_of(f"{field}.name", name, words.attributes)
        at_least = -math.inf if raw.atLeast is None else single(raw.atLeast)
        below = math.inf if raw.below is None else single(raw.below)
        if not at_least < below:  # NaN too
            self.fail(f"{field}.at_least", f"{at_least:g}, and below {below:g}: no number lies between")
        return NumberCondition(place, at_least, below)

    def _values(self, field: str, raw: ConditionT, known: Sequence[str]) -> frozenset[int]:
        if not raw.values:
            self.fail(f"{field}.values", "none")
        return frozenset(
            self.one_of(f"{field}.values[{index}]", decoded(value), known) for index, value in enumerate(raw.values)
        )


def decoded(raw: bytes | str | None) -> str:
    """A text of the file; bytes where it was read from one, str where it is about to be packed."""
    return raw.decode() if isinstance(raw, bytes) else raw or ""


def numbers(raw: object, kind: type[Number]) -> np.ndarray[tuple[int, ...], np.dtype[Number]]:
    """A vector of the file as an array (a view where its type is right); absent = empty."""
    return np.zeros(0, kind) if raw is None else np.asarray(raw, kind)


def single(value: float) -> float:
    """As the file holds it: the cloud compiles a policy before it is packed and must see the same number."""
    with np.errstate(over="ignore"):  # too large becomes infinite, which each reader refuses
        return float(np.float32(value))
