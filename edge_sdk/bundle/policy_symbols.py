"""The symbol table of a policy: the names and ids that its rules may refer to, and how a rule resolves them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn, Protocol, TypeVar

import numpy as np

from edge_sdk.limits import CONDITIONS_MAX, SELECTED_BYTES_MAX
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
from edge_sdk.types import F32, I64, U16, U32, Mask, Record
from edge_sdk.vocabulary import Vocabulary, joined_words

if TYPE_CHECKING:
    from edge_sdk.bundle.format.generated.edge_generated import ConditionT, OfferSelectorT


Number = TypeVar("Number", bound=np.generic)


class Fail(Protocol):
    """Refuses a field: raises the error of the file that is read."""

    def __call__(self, field: str, found: str, /) -> NoReturn:
        """`found` describes the value of the field."""


class PolicySymbols(Record):
    """The names and ids that a policy of a scene may refer to."""

    objectives: tuple[str, ...]
    window: int  # N
    kinds: frozenset[int]  # ids of all kinds, the derived ones too
    offers: Vocabulary
    candidate_categories: I64  # (offers + categories + 1,) category row of each candidate row
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
        """Kinds of the events that an offer was shown, in the app or on a channel."""
        return frozenset(channel.shown_kind for channel in self.channels) - {0}


class RuleReader:
    """Resolves the selections and conditions of rules."""

    def __init__(self, symbols: PolicySymbols, fail: Fail) -> None:
        """Prepares look-ups by name: a policy may name thousands of values."""
        self.symbols, self.fail = symbols, fail
        self._channels = _places(channel.name for channel in symbols.channels)
        self._fields = _places(field.name for field in symbols.context)
        self._machines = _places(machine.name for machine in symbols.machines)
        self._attributes = _places(symbols.attributes)
        self._values = [_places(field.values) for field in symbols.context]
        self._states = [_places(machine.states) for machine in symbols.machines]
        self._selected = 0  # bytes of the selections so far

    def selection(self, field: str, raw: OfferSelectorT | None) -> OfferSelector:
        """Returns a selection: the listed offers and categories, on the listed channels."""
        if raw is None:
            return OfferSelector()
        return OfferSelector(
            offers=self._mask(field, raw),
            channels=self.channels(f"{field}.selection.channels", raw.channels),
            unknown=self._unknown(raw),
        )

    def channels(self, field: str, raw: Sequence[bytes] | None) -> frozenset[int] | None:
        """Returns the indices of named channels; None = any."""
        if not raw:
            return None
        return frozenset(self._one_of(field, decoded(name), self._channels) for name in raw)

    def when(self, field: str, raw: Sequence[ConditionT] | None, *, of_user_only: bool = False) -> Conditions:
        """Returns conditions, those on the user apart from those on an offer or category."""
        if len(raw or ()) > CONDITIONS_MAX:
            self.fail(f"{field}.when", f"{len(raw or ())} conditions, at most {CONDITIONS_MAX}")
        of_user: list[ContextCondition | StateCondition | NumberCondition] = []
        of_target: list[StateCondition] = []
        for index, condition in enumerate(raw or ()):
            read = self._condition(f"{field}.when[{index}]", condition)
            if not isinstance(read, StateCondition) or self.symbols.machines[read.machine].per == Scope.USER:
                of_user.append(read)
            elif of_user_only:
                found = "a machine per offer or category, and here only the user's are allowed"
                self.fail(f"{field}.when[{index}].name", f"{decoded(condition.name)!r}: {found}")
            else:
                of_target.append(read)
        return Conditions(tuple(of_user), tuple(of_target))

    def _one_of(self, field: str, name: str, known: Mapping[str, int]) -> int:
        """Returns the index of a name among the known ones."""
        place = known.get(name)
        if place is None:
            self.fail(field, f"{name!r} is none of {', '.join(known) or '(none)'}")
        return place

    def _unknown(self, raw: OfferSelectorT) -> frozenset[int]:
        """Returns the listed ids that the bundle does not know; of a policy up to format 2 their low words."""
        ids = _ids(numbers(raw.offers, np.uint32), numbers(raw.offerHighs, np.uint16))
        return frozenset(ids[self.symbols.offers.rows(ids) == 0].tolist())

    def _mask(self, field: str, raw: OfferSelectorT) -> Mask | None:
        """Ids that the bundle does not know match no row: a policy may name offers that come later."""
        offers, highs = numbers(raw.offers, np.uint32), numbers(raw.offerHighs, np.uint16)
        categories = numbers(raw.categories, np.uint32)
        if len(highs) not in (0, len(offers)):  # 0 = of a policy up to format 2, or no offers
            self.fail(f"{field}.selection.offer_highs", f"{len(highs)}, and {len(offers)} offers")
        if not len(offers) and not len(categories):
            return None
        vocabulary = self.symbols.offers
        self._selected += len(self.symbols.candidate_categories)
        if self._selected > SELECTED_BYTES_MAX:
            among = f"{len(vocabulary)} offers and {len(self.symbols.category_ids)} categories"
            found = f"the rules until here select among {among} each, {self._selected} bytes"
            self.fail(
                f"{field}.selection", f"{found}; at most {SELECTED_BYTES_MAX}: join rules, or leave selections out"
            )
        listed = {*categories.tolist()}
        wanted = np.array([False, *(identifier in listed for identifier in self.symbols.category_ids)])
        mask: Mask = wanted[self.symbols.candidate_categories]
        mask[vocabulary.rows(_ids(offers, highs))] = True
        mask[0] = False
        return mask

    def _condition(self, field: str, raw: ConditionT) -> ContextCondition | StateCondition | NumberCondition:
        name = decoded(raw.name)
        if raw.source == 0:
            place = self._one_of(f"{field}.name", name, self._fields)
            return ContextCondition(place, self._listed(field, raw, self._values[place]))
        if raw.source == 1:
            place = self._one_of(f"{field}.name", name, self._machines)
            return StateCondition(place, self._listed(field, raw, self._states[place]))
        if raw.source != 2:
            self.fail(f"{field}.source", str(raw.source))
        place = self._one_of(f"{field}.name", name, self._attributes)
        at_least = -math.inf if raw.atLeast is None else single(raw.atLeast)
        below = math.inf if raw.below is None else single(raw.below)
        if not at_least < below:  # NaN too
            self.fail(f"{field}.at_least", f"{at_least:g}, and below {below:g}: no number lies between")
        return NumberCondition(place, at_least, below)

    def _listed(self, field: str, raw: ConditionT, known: Mapping[str, int]) -> frozenset[int]:
        if not raw.values:
            self.fail(f"{field}.values", "none")
        return frozenset(
            self._one_of(f"{field}.values[{index}]", decoded(value), known) for index, value in enumerate(raw.values)
        )


def _places(names: Iterable[str]) -> dict[str, int]:
    """Returns the place of each name; of one that is listed twice, the first."""
    places: dict[str, int] = {}
    for place, name in enumerate(names):
        places.setdefault(name, place)
    return places


def _ids(lows: U32, highs: U16) -> I64:
    """Returns item ids; without high words these are not known."""
    return joined_words(lows, highs) if len(highs) else lows.astype(np.int64)


def decoded(raw: bytes | str | None) -> str:
    """Returns a text of the file, which is bytes where it was read and str where it is about to be packed."""
    return raw.decode() if isinstance(raw, bytes) else raw or ""


def numbers(raw: object, kind: type[Number]) -> np.ndarray[tuple[int, ...], np.dtype[Number]]:
    """Returns a vector of the file as an array, a view where its type is right; absent = empty."""
    return np.zeros(0, kind) if raw is None else np.asarray(raw, kind)


def single(value: float) -> float:
    """Returns a number rounded to float32, as files have it: the cloud compiles a policy before packing it."""
    with np.errstate(over="ignore"):  # too large becomes infinite, which each reader refuses
        return float(np.float32(value))
