"""What is recorded before the engine is open: kept with its own time, written in order once it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from itertools import groupby

from edge_sdk.client.engine_protocol import EngineProtocol
from edge_sdk.decision.decision import Decision
from edge_sdk.errors import EdgeError, InvalidValueError, UnknownKindError, UnknownOutcomeError
from edge_sdk.limits import WAITING_MAX
from edge_sdk.log.event_input import as_float32, id_of, listed, within_range


class Names(Enum):
    """What the name in a waiting event is; the kind that follows is in the bundle, which is not there yet."""

    KIND = auto()
    CHANNEL = auto()  # of an offer that was shown
    OUTCOME = auto()  # of a feedback


@dataclass(frozen=True, slots=True)
class PendingEvent:
    """An event to be written."""

    time_ms: int
    names: Names
    name: str
    item: str
    value: float
    decision: int

    @classmethod
    def checked(
        cls, time_ms: int, name: str, item: str, value: float, decision: int, names: Names = Names.KIND
    ) -> PendingEvent:
        """Refuse now what no bundle would take, as the engine does.

        Raises:
            UnknownKindError, UnknownOutcomeError: the name is no str.
            InvalidValueError: an item, a value or a decision's id that no event can hold.
        """
        if not isinstance(name, str):
            raise UnknownKindError(name, ()) if names is Names.KIND else UnknownOutcomeError(name, ())
        id_of(item)
        if not isinstance(decision, int) or not 0 <= decision <= 0xFFFFFFFF:
            raise InvalidValueError("decision", decision)
        return cls(within_range(time_ms), names, name, item, as_float32(value), int(decision))

    def kind(self, engine: EngineProtocol) -> str:
        """The kind to record.

        Raises:
            UnknownOutcomeError: the scene maps no kind to it.
        """
        if self.names is Names.KIND:
            return self.name
        shown = self.names is Names.CHANNEL
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
        """Refuse now what no bundle would take, as the engine does.

        Raises:
            InvalidValueError: a time that is no whole number, or a name that is no str.
        """
        if before is not None and (not isinstance(before, int) or isinstance(before, bool)):
            raise InvalidValueError("before", before)
        names = None if items is None else tuple(listed("items", items))
        for name in names or ():
            id_of(name)
        return cls(before, names, None if kinds is None else tuple(listed("kinds", kinds)))

    @property
    def whole(self) -> bool:
        """Whether it forgets everything."""
        return self.before is None and self.items is None and self.kinds is None


@dataclass(frozen=True, slots=True)
class ShownOffer:
    """An offer of a decision that was on the screen."""

    name: str
    channel: str
    cost: float


def shown_offers(decision: Decision, count: int | None) -> list[ShownOffer]:
    """The first `count` of a decision's list; None = all."""
    order = decision.order if count is None else decision.order[: max(0, count)]
    return [
        ShownOffer(decision.candidates[index], decision.base.channel(index), float(decision.trace.costs[index]))
        for index in order.tolist()
    ]


Act = PendingEvent | PendingErasure
Refused = Callable[[EdgeError, int], None]


class PendingActs:
    """The acts in their order, at most `WAITING_MAX` events. Not thread-safe: `Readiness` holds its lock."""

    def __init__(self) -> None:
        self._acts: list[Act] = []
        self._taken: list[Act] = []
        self.events = 0  # kept and not written

    @property
    def any(self) -> bool:
        """Whether something is still to be taken."""
        return bool(self._acts)

    def add(self, acts: Sequence[Act]) -> int:
        """Keep them; how many events found no room. An erasure of everything forgets what waits at once."""
        lost = 0
        for act in acts:
            if isinstance(act, PendingErasure):
                if act.whole:
                    self.clear()
                self._acts.append(act)
            elif self.events < WAITING_MAX:
                self._acts.append(act)
                self.events += 1
            else:
                lost += 1
        return lost

    def take(self) -> list[Act]:
        """All that waits, to be written. They come back with `put_back` unless written."""
        self._taken, self._acts = self._acts, []
        return list(self._taken)

    def put_back(self, unwritten: int) -> None:
        """The last so many of those taken could not be written, the others were."""
        left = self._taken[len(self._taken) - unwritten :] if unwritten and self._taken else []
        self._acts, self._taken = left + self._acts, []
        self.events = sum(isinstance(act, PendingEvent) for act in self._acts)

    def clear(self) -> tuple[int, bool]:
        """Forget all, what is being written too; how many events that were, and whether an erasure was among it."""
        acts = self._taken + self._acts
        forgotten = self.events, any(isinstance(act, PendingErasure) for act in acts)
        self._acts, self._taken, self.events = [], [], 0
        return forgotten


def write(engine: EngineProtocol, acts: Sequence[Act], refused: Refused) -> Iterator[int]:
    """Write them to an open engine, oldest first.

    Args:
        engine: where to.
        acts: what was taken.
        refused: told of each act that the scene does not know, and how many events that loses.

    Yields:
        How many of the acts, from where it last was, need no second try.

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
    except (InvalidValueError, UnknownKindError) as problem:
        refused(problem, 0)
    return 1


def _write_events(engine: EngineProtocol, events: list[PendingEvent], refused: Refused) -> Iterator[int]:
    try:
        _write_together(engine, events)
        yield len(events)
    except (UnknownKindError, UnknownOutcomeError):
        for event in events:  # one has no kind, and all or none are written: find it
            try:
                _write_together(engine, [event])
            except (UnknownKindError, UnknownOutcomeError) as problem:
                refused(problem, 1)
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
