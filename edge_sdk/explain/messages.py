"""Messages: a variant's template filled with the local state of the device, so that each user gets another message.

The templates are texts of the bundle, the same for all users. The values are filled in on the device and stay there.
A variant's text has the key `variant.<name>` and may use these slots:

    {offer}             text of the offer that the message is about
    {category}          text of its category
    {state:MACHINE}     state of a machine: the user's, the offer's or its category's
    {attribute:NAME}    number that the app passed to `rank`

and these slots of the events in the model's window:

    {event}             the newest event as a clause ("you viewed fund_017")
    {kind} {item}       kind and item of the newest event
    {age} {value}       age and value of the newest event
    {count:KIND}        number of events of a kind; a slot with 0 events cannot be filled
    {last:KIND}         item of the newest event of a kind
    {since:KIND}        age of the newest event of a kind

Where a slot cannot be filled, the text `variant.<name>.plain` is used, which has no slots of events. Where that text is
missing or cannot be filled, the message is the offer's text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from math import isfinite
from typing import Final

import numpy as np

from edge_sdk.bundle.bundle import Bundle
from edge_sdk.decision.decision import Decision
from edge_sdk.explain.contributions import WindowTables
from edge_sdk.explain.wording import SLOT, Phrasebook
from edge_sdk.memory.memory import Memory
from edge_sdk.memory.targets import Scope
from edge_sdk.types import F32, I32

OFFER_SLOTS: Final = frozenset({"offer", "category"})
EVENT_SLOTS: Final = frozenset({"event", "kind", "item", "age", "value"})
NAMED_SLOTS: Final = frozenset({"state", "attribute"})  # with an argument
NAMED_EVENT_SLOTS: Final = frozenset({"count", "last", "since"})


@dataclass(frozen=True, slots=True)
class SeenEvent:
    """An event in the window, with names instead of rows."""

    kind: str
    item: str  # "" = about no item, or about an item not in the bundle
    age_s: float
    value: float


@dataclass(frozen=True, slots=True)
class LocalState:
    """The local state that fills the slots of a message."""

    events: tuple[SeenEvent, ...]  # newest first
    states: Mapping[str, str]  # machine -> state
    attributes: Mapping[str, float]  # that the app passed


def window_events(tables: WindowTables, kind: I32, item: I32, age_s: F32, value: F32) -> tuple[SeenEvent, ...]:
    """Returns the events of a window, newest first; each array is (N,), kind 0 = no event."""
    columns = (kind.tolist(), item.tolist(), age_s.tolist(), value.tolist())
    return tuple(
        SeenEvent(tables.kind_names[kind_row], tables.item_names[row], age, amount)
        for kind_row, row, age, amount in zip(*columns, strict=True)
        if kind_row
    )


def render(phrasebook: Phrasebook, variant: str, offer: str, category: str, state: LocalState) -> str:
    """Returns a variant's message for an offer; the offer's text where no template can be filled.

    Args:
        phrasebook: the phrasebook of a language.
        variant: name of the variant; "" = the offer's text.
        offer: name of the offer.
        category: name of its category; "" = none.
        state: the local state of the device.
    """

    def value_of(slot: str, argument: str | None) -> str | None:
        if argument is not None:
            return _named(phrasebook, slot, argument, state)
        if slot == "offer":
            return phrasebook.offer(offer)
        if slot == "category":
            return phrasebook.category(category) if category else None
        return _newest(phrasebook, slot, state.events[0]) if state.events else None

    for key in (f"variant.{variant}", f"variant.{variant}.plain") if variant else ():
        template = phrasebook.text(key)
        filled = None if template is None else _filled(template, value_of)
        if filled is not None:
            return filled
    return phrasebook.offer(offer)


def refused_slots(template: str, *, is_plain: bool) -> tuple[str, ...]:
    """Returns the slots that a variant's text may not use; the exporter checks them.

    Args:
        template: the text.
        is_plain: whether the text has a key `variant.<name>.plain`.
    """
    bare = OFFER_SLOTS if is_plain else OFFER_SLOTS | EVENT_SLOTS
    named = NAMED_SLOTS if is_plain else NAMED_SLOTS | NAMED_EVENT_SLOTS
    found = SLOT.finditer(template)
    return tuple(slot[0] for slot in found if slot[1] not in (bare if slot[2] is None else named))


class Messenger:
    """The messages of one bundle."""

    def __init__(self, bundle: Bundle) -> None:
        """Looks up the bundle's tables; the texts of a language are read at its first message."""
        self._tables = WindowTables.of(bundle)
        self._layout = bundle.layout
        self._rows = {name: row for row, name in enumerate(bundle.layout.offers.names(), 1)}
        self._phrasebook = cache(lambda language: Phrasebook.of(bundle.texts, language))

    def message(self, decision: Decision, offer: str, language: str, memory: Memory, now_ms: int) -> str:
        """Returns the message for an offer of a decision: in its eligible variant, else in that of its first candidate.

        Args:
            decision: any decision.
            offer: name of the offer. The message of an offer that is not a candidate is the offer's text.
            language: BCP 47.
            memory: the current memory.
            now_ms: milliseconds since 1970.
        """
        eligible, names = decision.trace.result.eligible_order.tolist(), decision.candidates
        index = next((at for at in (*eligible, *range(len(names))) if names[at] == offer), None)
        variants = decision.base.variants
        variant = variants[index] if variants is not None and index is not None and index < len(variants) else ""
        row = self._rows.get(offer, 0)
        category = self._tables.category_names[int(self._tables.candidate_category[row])]
        state = self._state(decision, row, memory, now_ms)
        return render(self._phrasebook(language), variant, offer, category, state)

    def _state(self, decision: Decision, row: int, memory: Memory, now_ms: int) -> LocalState:
        size = self._layout.window
        item, kind = np.zeros((2, size), np.int32)
        age_s, value = np.zeros((2, size), np.float32)
        memory.fill_window(now_ms, item, kind, age_s, value)
        states = {}
        for index, rule in enumerate(self._layout.machines):
            if rule.per is Scope.USER:
                states[rule.name] = rule.states[memory.machines.state(index, now_ms)]
            elif row:
                states[rule.name] = rule.states[int(memory.machines.states(index, np.array([row]), now_ms)[0])]
        given: dict[str, float] = {}
        evidence = decision.trace.evidence
        if evidence is not None and not evidence.is_gone:
            names, numbers = evidence.inputs.policy.rules.attributes, evidence.inputs.evaluated.context.numbers
            given = {name: number for name, number in zip(names, numbers, strict=True) if isfinite(number)}
        return LocalState(window_events(self._tables, kind, item, age_s, value), states, given)


# ---- slots ----


def _filled(template: str, value_of: Callable[[str, str | None], str | None]) -> str | None:
    """Returns the template with every slot filled; None where a slot cannot be filled."""
    values = [value_of(slot[1], slot[2]) for slot in SLOT.finditer(template)]
    known = [value for value in values if value is not None]
    rest = iter(known)
    return SLOT.sub(lambda _: next(rest), template) if len(known) == len(values) else None


def _newest(phrasebook: Phrasebook, slot: str, event: SeenEvent) -> str | None:
    """Returns the text of a slot of the newest event; None = it cannot be filled."""
    if slot == "event":
        return phrasebook.event(event.kind, event.item)
    if slot == "kind":
        return phrasebook.kind(event.kind)
    if slot == "item":
        return phrasebook.item(event.item) if event.item else None
    if slot == "age":
        return phrasebook.age(event.age_s)
    return phrasebook.number(event.value) if slot == "value" else None


def _named(phrasebook: Phrasebook, slot: str, name: str, state: LocalState) -> str | None:
    """Returns the text of a slot with an argument; None = it cannot be filled."""
    if slot == "state":
        return phrasebook.state(name, state.states[name]) if name in state.states else None
    if slot == "attribute":
        return phrasebook.number(state.attributes[name]) if name in state.attributes else None
    of_kind = [event for event in state.events if event.kind == name]
    if not of_kind:
        return None
    if slot == "count":
        return str(len(of_kind))
    if slot == "last":
        return phrasebook.item(of_kind[0].item) if of_kind[0].item else None
    return phrasebook.age(of_kind[0].age_s) if slot == "since" else None
