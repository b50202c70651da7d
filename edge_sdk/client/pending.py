"""The queue of events recorded before the engine is open. Each keeps its own time; all are written in order later."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from itertools import groupby

from edge_sdk.client.engine_protocol import EngineProtocol
from edge_sdk.decision.decision import Decision, require_decision
from edge_sdk.errors import EdgeError, InvalidValueError, UnknownKindError, UnknownOutcomeError
from edge_sdk.limits import CLIENT_PENDING_MAX
from edge_sdk.log.event_input import as_float32, as_whole, decision_id, id_of, listed, within_range


class NameRole(Enum):
    """The role of a pending event's name. The bundle, which gives the kind for it, is not open yet."""

    KIND = auto()
    CHANNEL = auto()  # of an offer that was shown
    OUTCOME = auto()  # of a feedback


@dataclass(frozen=True, slots=True)
class PendingEvent:
    """An event to be written once the engine is open."""

    time_ms: int
    role: NameRole
    name: str
    item: str
    value: float
    decision: int

    @classmethod
    def checked(
        cls, time_ms: int, name: str, item: str, value: float, decision: int, role: NameRole = NameRole.KIND
    ) -> PendingEvent:
        """Returns the event, after the checks of the engine that need no bundle.

        Raises:
            UnknownKindError, UnknownOutcomeError: the name is not a str.
            InvalidValueError: no event can hold the item, the value or the decision's id.
        """
        if not isinstance(name, str):
            raise UnknownKindError(name, ()) if role is NameRole.KIND else UnknownOutcomeError(name, ())
        id_of(item)
        return cls(within_range(time_ms), role, name, item, as_float32(value), decision_id(decision))

    def kind(self, engine: EngineProtocol) -> str:
        """Returns the kind to record.

        Raises:
            UnknownOutcomeError: the scene maps no kind to the channel or the outcome.
        """
        if self.role is NameRole.KIND:
            return self.name
        shown = self.role is NameRole.CHANNEL
        kinds = engine.shown_kinds if shown else engine.feedback_kinds
        kind = kinds.get(self.name)
        if kind is None:
            raise UnknownOutcomeError("shown" if shown else self.name, () if shown else tuple(kinds))
        return kind


@dataclass(frozen=True, slots=True)
class PendingErasure:
    """An `erase` to be carried out in its turn."""

    before: int | None
    items: tuple[str, ...] | None
    kinds: tuple[str, ...] | None

    @classmethod
    def checked(cls, before: int | None, items: Iterable[str] | None, kinds: Iterable[str] | None) -> PendingErasure:
        """Returns the erasure, after the checks of the engine that need no bundle.

        Raises:
            InvalidValueError: the time is not a whole number, or a name is not a str.
        """
        before = None if before is None else as_whole("before", before)
        names = None if items is None else tuple(listed("items", items))
        for name in names or ():
            id_of(name)
        return cls(before, names, None if kinds is None else tuple(listed("kinds", kinds)))

    @property
    def is_whole(self) -> bool:
        """Whether it erases everything."""
        return self.before is None and self.items is None and self.kinds is None


@dataclass(frozen=True, slots=True)
class ShownOffer:
    """An offer of a decision that was on screen."""

    name: str
    channel: str
    cost: float


def shown_offers(decision: Decision, count: int | None) -> list[ShownOffer]:
    """Returns the first `count` offers of a decision's list; None = all."""
    require_decision(decision)
    order = decision.order if count is None else decision.order[: max(0, as_whole("count", count))]
    return [
        ShownOffer(decision.candidates[index], decision.base.channel(index), float(decision.trace.costs[index]))
        for index in order.tolist()
    ]


Act = PendingEvent | PendingErasure
Refused = Callable[[EdgeError, int], None]


class PendingQueue:
    """Events and erasures in their order, at most `CLIENT_PENDING_MAX` events. Its `Lifecycle` holds the lock."""

    def __init__(self) -> None:
        self._acts: list[Act] = []
        self._taken: list[Act] = []
        self.events = 0  # stored and not yet written

    @property
    def any(self) -> bool:
        """Whether the queue holds something to take."""
        return bool(self._acts)

    def add(self, acts: Sequence[Act]) -> int:
        """Stores acts, and returns how many events found no room. An erasure of everything empties the queue first."""
        lost = 0
        for act in acts:
            if isinstance(act, PendingErasure):
                if act.is_whole:
                    self.clear()
                self._acts.append(act)
            elif self.events < CLIENT_PENDING_MAX:
                self._acts.append(act)
                self.events += 1
            else:
                lost += 1
        return lost

    def take(self) -> list[Act]:
        """Returns all acts for writing. `put_back` must follow."""
        self._taken, self._acts = self._acts, []
        return list(self._taken)

    def put_back(self, unwritten: int) -> None:
        """Stores the last `unwritten` of the taken acts again; the others were written."""
        left = self._taken[len(self._taken) - unwritten :] if unwritten and self._taken else []
        self._acts, self._taken = left + self._acts, []
        self.events = sum(isinstance(act, PendingEvent) for act in self._acts)

    def clear(self) -> tuple[int, bool]:
        """Empties the queue, taken acts included. Returns the number of events, and whether an erasure was there."""
        acts = self._taken + self._acts
        cleared = self.events, any(isinstance(act, PendingErasure) for act in acts)
        self._acts, self._taken, self.events = [], [], 0
        return cleared


def write(engine: EngineProtocol, acts: Sequence[Act], refused: Refused) -> Iterator[int]:
    """Writes acts to an open engine, oldest first.

    Args:
        engine: the open engine.
        acts: what `PendingQueue.take` returned.
        refused: called for each act that the scene does not know, with the number of events lost.

    Yields:
        The number of acts done since the last yield; they need no second attempt.

    Raises:
        EdgeError: the engine cannot write now.
    """
    for together, group in groupby(acts, key=type):
        run = list(group)
        if together is PendingErasure:
            for act in run:
                yield _erase(engine, act, refused)
        else:
            yield from _write_events(engine, [act for act in run if isinstance(act, PendingEvent)], refused)


# ---- below: helpers ----


def _erase(engine: EngineProtocol, act: Act, refused: Refused) -> int:
    assert isinstance(act, PendingErasure)
    try:
        engine.erase(before=act.before, items=act.items, kinds=act.kinds)
    except (InvalidValueError, UnknownKindError) as error:
        refused(error, 0)
    return 1


def _write_events(engine: EngineProtocol, events: list[PendingEvent], refused: Refused) -> Iterator[int]:
    try:
        _write_together(engine, events)
        yield len(events)
    except (UnknownKindError, UnknownOutcomeError):
        for event in events:  # nothing was written, because one event has no kind: write one by one
            try:
                _write_together(engine, [event])
            except (UnknownKindError, UnknownOutcomeError) as error:
                refused(error, 1)
            yield 1


def _write_together(engine: EngineProtocol, events: list[PendingEvent]) -> None:
    kinds: dict[str, int] = {}
    items: dict[str, int] = {}
    engine.record_many(
        times_ms=[event.time_ms for event in events],
        kinds=[kinds.setdefault(event.kind(engine), len(kinds)) for event in events],
        items=[items.setdefault(event.item, len(items)) for event in events],
        values=[event.value for event in events],
        decisions=[event.decision for event in events],
        kind_names=list(kinds),
        item_names=list(items),
    )
