"""The ledger keeps what killed recorders recorded, and what must be found after each kill."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge_sdk.errors import WrongKeyError
from edge_sdk.memory.layout import MemoryLayout
from edge_sdk.memory.memory import Memory
from edge_sdk.state.folder import StateFolder
from edge_sdk.state.lock import HeldFolder
from edge_sdk.testing.white_box import abandon
from edge_sdk.vocabulary import HIGH_AT, item_id, kind_id
from tests.support import kill_plan as plan


@dataclass(frozen=True, order=True)
class Event:
    """A recorded event."""

    place: int  # in the order of all events
    thread: int
    count: int
    is_of_many: bool = False

    @property
    def content(self) -> tuple[int, int, int, float, int]:
        """Returns time, kind, item, value and decision as they are in the log."""
        kind, item = plan.event(self.thread, self.count)
        if self.is_of_many:
            return plan.many_time_ms(self.count), kind_id(kind), item_id(item), float(self.count), plan.OF_MANY
        time_ms = plan.START_MS + plan.STEP_MS * self.place
        return time_ms, kind_id(kind), item_id(item), float(self.count), self.thread + 1

    @property
    def is_chosen(self) -> bool:
        """Whether the selective erase matches the event."""
        return plan.event(self.thread, self.count)[1] == plan.ERASED_ITEM


class Ledger:
    """The events that a folder must have counted, oldest first. `check` runs after each kill."""

    def __init__(self, state: Path, layout: MemoryLayout, mode: str, log_bytes: int) -> None:
        self.state, self.mode, self.log_bytes = state, mode, log_bytes
        self.counts = [0] * plan.THREADS
        self.place = self.key = 0
        self.events: list[Event] = []
        self.unfinished = 0  # changes that a kill has cut short
        self.unacknowledged = 0  # events that were recorded when a kill came before the acknowledgement
        self._layout = layout
        self._acknowledged: dict[Event, int] = {}  # sequence numbers
        self._begun: int | None = None  # the place of a change that is under way
        self._never: set[Event] = set()  # what a kill has left out of many at once
        self._reference = Memory(layout)
        self._fed: list[Event] = []  # what it was fed with

    @property
    def has_met_all(self) -> bool:
        """Returns whether kills came between recording and acknowledging, and within a change."""
        return self.unacknowledged > 0 and (self.unfinished > 0 or self.mode in ("record", "many", "renumber"))

    def check(self, messages: bytes) -> None:
        """Reads the messages, opens the folder and compares."""
        last = self._read(messages)
        folder = self._opened()
        try:
            found = self._found(folder, last)
            self._settle_last(folder, found, last)
            self._settle_erase(folder, found)
            assert folder.memory.dump() == self._memory(self.events)
            self._check_log(folder, found)
            self._check_counts()
        finally:
            abandon(folder)

    def _read(self, messages: bytes) -> list[Event]:
        """Ingests the messages; returns the events that may not have been written when the kill came."""
        self._begun = None
        recording: dict[int, list[Event]] = {}
        erases: list[int] = []
        for at in range(0, len(messages), plan.MESSAGE.size):
            act, thread, count, seq, place = plan.MESSAGE.unpack_from(messages, at)
            self.place = max(self.place, place + 1)
            if act == plan.RECORDING:
                recording[thread] = [Event(place, thread, count)]
            elif act == plan.RECORDING_MANY:
                recording[thread] = [Event(place, 0, number, True) for number in range(self.counts[0] + 1, count + 1)]
            elif act in (plan.RECORDED, plan.RECORDED_MANY):
                events = recording.pop(thread)
                self._acknowledged |= {event: seq - count + event.count for event in events}
                self._add(events)
            elif act == plan.BEGUN:
                self._begun, self._new_key = place, seq
            else:
                self._begun, self.key = None, seq
                erases.append(place)
        last: list[Event] = []
        for events in recording.values():
            if events[0].place + 1 == self.place:
                last = events
            else:  # the lock was taken again: it was written, and not yet acknowledged
                self._add(events)
                self.unacknowledged += 1
        self.events.sort()
        for place in erases:
            self._forget(place)
        self.unfinished += self._begun is not None
        return last

    def _add(self, events: list[Event]) -> None:
        self.events += events
        self.counts[events[0].thread] = events[-1].count

    def _forget(self, place: int) -> None:
        """Applies an erase at this place in the order."""
        if self.mode == "erase":
            self.events = [event for event in self.events if event.place > place]
        elif self.mode == "erase some":
            self.events = [event for event in self.events if event.place > place or not event.is_chosen]

    def _opened(self) -> StateFolder:
        """Opens the folder. If a change of the key was cut short, exactly one of both keys must fit."""
        keys = [self.key] if self._begun is None else sorted({self.key, self._new_key})
        fitting = []
        for key in keys:
            try:
                abandon(self._opened_with(key))
                fitting.append(key)
            except WrongKeyError:
                assert len(keys) == 2
        assert len(fitting) == 1
        self.key = fitting[0]
        return self._opened_with(self.key)

    def _opened_with(self, key: int) -> StateFolder:
        return StateFolder(
            HeldFolder(self.state), self._layout, self.log_bytes, now_ms=plan.START_MS, storage_key=plan.KEYS[key]
        )

    def _found(self, folder: StateFolder, last: list[Event]) -> list[Event]:
        """Returns the log's events; each must be in the ledger, or was being recorded."""
        known = {event.content: event for event in (*self.events, *last)}
        found = []
        for seq, time_s, ms, kind, low, value, decision, _, high, _ in folder.log.read().tolist():
            content = (time_s * 1000 + ms, kind, low | high << HIGH_AT, value, decision)
            assert content in known, "invented, or there again"
            event = known[content]
            moved = self._acknowledged.get(event, seq) - seq
            assert moved == 0 or (self.mode == "renumber" and moved > 0 and moved % 126 == 0)
            found.append(event)
        assert found == sorted(set(found)), "twice, or out of order"
        return found

    def _settle_last(self, folder: StateFolder, found: list[Event], last: list[Event]) -> None:
        """Counts an event that was being recorded if the log has it; many at once may be there in part."""
        there = [event for event in last if event in found]
        if not there:
            return
        self.unacknowledged += 1
        if folder.memory.dump() == self._memory([*self.events, *last]):
            there = last
        self._add(there)
        self._never |= {event for event in last if event < there[-1]} - set(there)  # what comes after is recorded anew

    def _settle_erase(self, folder: StateFolder, found: list[Event]) -> None:
        """Settles an erase that was cut short: it happened, did not, or (some) did in memory and part of the log."""
        if self._begun is None or "erase" not in self.mode:
            return
        memory = folder.memory.dump()
        has_happened = memory != self._memory(self.events)
        if self.mode == "erase":
            if not any(event.place < self._begun for event in found):
                self._forget(self._begun)
            elif has_happened:  # to memory, which goes first
                self.events = list(found)
        elif has_happened or set(found) != set(self.events):
            self._forget(self._begun)
            assert set(self.events) <= set(found)
            assert memory == self._memory(self.events), "memory goes first"
            folder.erase_chosen(None, frozenset({item_id(plan.ERASED_ITEM)}), None)
            self.events = [event for event in self.events if not event.is_chosen]
            found[:] = [event for event in found if not event.is_chosen]

    def _check_log(self, folder: StateFolder, found: list[Event]) -> None:
        """Checks that the log is the newest part of what was recorded; one slot may be torn."""
        log = folder.log
        assert found == self.events[len(self.events) - len(found) :], "lost"
        if self.mode == "many":  # cut short, it leaves a gap between what was before and what it wrote
            oldest = log.last_seq - log.capacity + 1
            there = {self._acknowledged.get(event) for event in found}
            seqs = {self._acknowledged[event] for event in self.events if event in self._acknowledged}
            assert {seq for seq in seqs if seq >= oldest} - there <= {oldest}
        else:
            capacity = 126 if self.mode == "resize" else log.capacity
            assert log.damaged <= 1
            assert len(found) >= min(len(self.events), capacity) - log.damaged

    def _check_counts(self) -> None:
        """Checks that every event of each thread is there, once, in its order."""
        for thread in range(plan.THREADS):
            counts = [event.count for event in self.events if event.thread == thread]
            assert counts == sorted(set(counts))
            if "erase" not in self.mode:
                never = [event.count for event in self._never if event.thread == thread and event.count < counts[-1]]
                assert sorted([*counts, *never]) == list(range(1, counts[-1] + 1 if counts else 1))

    def _memory(self, events: list[Event]) -> bytes:
        """Returns memory after these events, one by one; continues from the last call where possible."""
        if events[: len(self._fed)] != self._fed:
            self._reference, self._fed = Memory(self._layout), []
        for event in events[len(self._fed) :]:
            self._reference.add(*event.content[:4])
        self._fed = list(events)
        return self._reference.dump()
