"""Messages: a variant's template filled from what only this device knows, so that each user's sentence is its own.

The templates are texts of the bundle, the same for everyone; the values are filled here, and nothing of them leaves.
A variant's text has the key `variant.<name>`; these slots may stand in it:

    {offer}             the offer that the message is about, in words
    {category}          its category
    {state:MACHINE}     the state of a machine: the user's, this offer's or its category's
    {attribute:NAME}    a number that the app gave `rank`

and of the events in the model's window:

    {event}             the newest one as a clause ("you viewed fund_017")
    {kind} {item}       its kind; what it is about
    {age} {value}       how long ago it was; its value
    {count:KIND}        how many there are of a kind; 0 cannot be filled
    {last:KIND}         what the newest of a kind is about
    {since:KIND}        how long ago that was

Where a slot cannot be filled the text `variant.<name>.plain` is taken, which has none of the slots of events; where
that is absent or cannot be filled either, the offer's words.
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
    """An event in the window, by names."""

    kind: str
    item: str  # "" = about nothing, or nothing that the bundle knows
    age_s: float
    value: float


@dataclass(frozen=True, slots=True)
class LocalState:
    """What slots are filled from."""

    events: tuple[SeenEvent, ...]  # newest first
    states: Mapping[str, str]  # machine -> state
    attributes: Mapping[str, float]  # those that the app gave


def window_events(tables: WindowTables, kind: I32, item: I32, age_s: F32, value: F32) -> tuple[SeenEvent, ...]:
    """The events of a window, newest first; each array (N,), kind 0 = no event."""
    columns = (kind.tolist(), item.tolist(), age_s.tolist(), value.tolist())
    return tuple(
        SeenEvent(tables.kind_names[kind_row], tables.item_names[row], age, amount)
        for kind_row, row, age, amount in zip(*columns, strict=True)
        if kind_row
    )


def render(words: Phrasebook, variant: str, offer: str, category: str, state: LocalState) -> str:
    """A variant's sentence for an offer; the offer's words where there is none that can be filled.

    Args:
        words: of a language.
        variant: its name; "" = the offer's own words.
        offer: its name.
        category: name of its category; "" = none.
        state: of the device.
    """

    def value_of(slot: str, argument: str | None) -> str | None:
        if argument is not None:
            return _named(words, slot, argument, state)
        if slot == "offer":
            return words.offer(offer)
        if slot == "category":
            return words.category(category) if category else None
        return _newest(words, slot, state.events[0]) if state.events else None

    for key in (f"variant.{variant}", f"variant.{variant}.plain") if variant else ():
        template = words.text(key)
        filled = None if template is None else _filled(template, value_of)
        if filled is not None:
            return filled
    return words.offer(offer)


def refused_slots(template: str, *, is_plain: bool) -> tuple[str, ...]:
    """The slots that a variant's text may not have, for whoever packs it.

    Args:
        template: the text.
        is_plain: of a key `variant.<name>.plain`.
    """
    bare = OFFER_SLOTS if is_plain else OFFER_SLOTS | EVENT_SLOTS
    named = NAMED_SLOTS if is_plain else NAMED_SLOTS | NAMED_EVENT_SLOTS
    found = SLOT.finditer(template)
    return tuple(slot[0] for slot in found if slot[1] not in (bare if slot[2] is None else named))


class Messenger:
    """The messages of one bundle."""

    def __init__(self, bundle: Bundle) -> None:
        """Look up the bundle's tables; texts are read when first asked for."""
        self._tables = WindowTables.of(bundle)
        self._layout = bundle.layout
        self._rows = {name: row for row, name in enumerate(bundle.layout.offers.names(), 1)}
        self._words = cache(lambda language: Phrasebook.of(bundle.texts, language))

    def message(self, decision: Decision, offer: str, language: str, memory: Memory, now_ms: int) -> str:
        """The sentence for an offer of a decision: in the variant that stands, else in the first that was a candidate.

        Args:
            decision: any.
            offer: its name. Of one that was no candidate: its words.
            language: BCP 47.
            memory: as it is now.
            now_ms: the clock.
        """
        eligible, names = decision.trace.result.eligible_order.tolist(), decision.candidates
        index = next((at for at in (*eligible, *range(len(names))) if names[at] == offer), None)
        variants = decision.base.variants
        variant = variants[index] if variants is not None and index is not None and index < len(variants) else ""
        row = self._rows.get(offer, 0)
        category = self._tables.category_names[int(self._tables.offer_category[row])]
        return render(self._words(language), variant, offer, category, self._state(decision, row, memory, now_ms))

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
    """The template with every slot filled; None where one cannot be."""
    values = [value_of(slot[1], slot[2]) for slot in SLOT.finditer(template)]
    known = [value for value in values if value is not None]
    rest = iter(known)
    return SLOT.sub(lambda _: next(rest), template) if len(known) == len(values) else None


def _newest(words: Phrasebook, slot: str, event: SeenEvent) -> str | None:
    """What a slot of the newest event says."""
    if slot == "event":
        return words.event(event.kind, event.item)
    if slot == "kind":
        return words.kind(event.kind)
    if slot == "item":
        return words.item(event.item) if event.item else None
    if slot == "age":
        return words.age(event.age_s)
    return words.number(event.value) if slot == "value" else None


def _named(words: Phrasebook, slot: str, name: str, state: LocalState) -> str | None:
    """What a slot with an argument says."""
    if slot == "state":
        return words.state(name, state.states[name]) if name in state.states else None
    if slot == "attribute":
        return words.number(state.attributes[name]) if name in state.attributes else None
    of_kind = [event for event in state.events if event.kind == name]
    if not of_kind:
        return None
    if slot == "count":
        return str(len(of_kind))
    if slot == "last":
        return words.item(of_kind[0].item) if of_kind[0].item else None
    return words.age(of_kind[0].age_s) if slot == "since" else None
