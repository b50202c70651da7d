"""Whatever an exception cuts short, memory is then what an opening would make of the files, and no event is lost.

An exception is raised before a line of the runtime: before each in turn, in a sample of the longer calls.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import FrameType

import numpy as np
import pytest

import edge_sdk
from edge_sdk.errors import StateUnusableError
from edge_sdk.log.event_input import EventColumns
from edge_sdk.log.event_log import EventLog
from edge_sdk.state.folder import StateFolder
from tests.support.interrupts import Cut
from tests.support.small_state import KEY, LAYOUT, TINY_LAYOUT, copied, event, memory_of, opened, record, recorded

ROOMS = tuple(str(Path(edge_sdk.__file__).parent / room) for room in ("state", "log", "memory"))
EVENTS = 150  # more than the ring's 126
PLACES = 60  # at most so many of one call


class CutShortError(Exception):
    """Comes from outside, as KeyboardInterrupt and MemoryError do."""


def cut(at: int) -> Cut:
    """Raises `CutShortError` before the n-th line that the runtime runs."""
    return Cut(at, is_line, CutShortError)


def is_line(frame: FrameType, what: str) -> bool | None:
    code = frame.f_code
    if not code.co_filename.startswith(ROOMS) or code.co_name == "__del__":  # Python swallows what a finalizer raises
        return None
    return what == "line"


def columns(numbers: range) -> EventColumns:
    times, kinds, items, values, decisions = zip(*map(event, numbers), strict=True)
    return EventColumns(
        np.array(times, np.int64), np.array(kinds) - 11, (11, 12, 13), np.array(items) - 101,
        tuple(range(101, 108)), np.array(values, np.float32), np.array(decisions, np.uint32),
        np.zeros(len(numbers), np.uint16),
    )  # fmt: skip


ACTS: dict[str, tuple[int, Callable[[StateFolder], object]]] = {
    # how many events are pending, and the call
    "take in a few": (10, lambda folder: folder.memory),
    "take in many": (50, lambda folder: folder.memory),
    "record": (3, lambda folder: folder.append(*event(EVENTS + 1), 0)),
    "record and maintain": (50, lambda folder: record(folder, range(EVENTS + 1, EVENTS + 20))),
    "record many": (3, lambda folder: folder.add_many(columns(range(EVENTS + 1, EVENTS + 51)), 1)),
    "erase": (3, lambda folder: folder.erase()),
    "erase an item": (3, lambda folder: folder.erase_chosen(None, frozenset({102}), None)),
    "resize": (3, lambda folder: folder.resize(8192)),
    "encrypt": (3, lambda folder: folder.change_key(KEY)),
    "write a snapshot": (3, lambda folder: folder.write_snapshot()),
}
EVENTS_STAY = {*ACTS} - {"erase", "erase an item"}


def before(path: Path, pending: int) -> StateFolder:
    """A folder whose ring has dropped events, with so many of the newest pending."""
    folder = opened(path)
    record(folder, range(1, EVENTS - pending + 1))
    assert folder.memory
    record(folder, range(EVENTS - pending + 1, EVENTS + 1))
    return folder


@pytest.mark.parametrize("name", ACTS)
def test_memory_is_what_an_opening_makes_of_the_files(tmp_path: Path, name: str) -> None:
    pending, act = ACTS[name]
    cuts = 0

    for folder in each_cut(tmp_path / "state", pending, act):
        dump, events = folder.memory.dump(), recorded(folder)
        again = opened(copied(tmp_path / "state", tmp_path / "copy"), KEY if folder.log.cipher else None)

        assert dump == again.memory.dump()
        assert events == recorded(again)
        if name in EVENTS_STAY:
            assert dump == memory_of(range(1, max(EVENTS, events[-1]) + 1))
        record(folder, range(501, 601))  # it goes on as if nothing had been
        record(again, range(501, 601))
        assert folder.memory.dump() == again.memory.dump()
        again.close()
        shutil.rmtree(tmp_path / "copy")
        cuts += 1
    assert cuts > 5


@pytest.mark.parametrize("name", ["encrypt", "resize"])
def test_an_event_after_a_replacement_that_was_cut_short_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Before each line of the few between the new log's taking of its place and its use; memory is not read before."""
    places: list[int] = []
    activate = EventLog.activate

    def noted(log: EventLog) -> None:
        places.append(counting.seen)
        activate(log)

    counting, (pending, act) = cut(0), ACTS[name]
    with monkeypatch.context() as patch:
        patch.setattr(EventLog, "activate", noted)
        for _ in range(2):  # the first call also loads modules
            folder = before(tmp_path / "state", pending)
            counting.seen = 0
            counting.during(lambda: act(folder))  # noqa: B023 - called at once
            folder.close()
            shutil.rmtree(tmp_path / "state")
    for at in range(places[-1] - 5, places[-1] + 60):
        folder = before(tmp_path / "state", pending)
        with pytest.raises(CutShortError):
            cut(at).during(lambda: act(folder))  # noqa: B023 - called at once
        record(folder, [501])

        assert recorded(folder)[-1] == 501
        again = opened(copied(tmp_path / "state", tmp_path / "copy"), KEY if folder.log.cipher else None)
        assert recorded(again)[-1] == 501
        assert folder.memory.dump() == again.memory.dump() == memory_of([*range(1, EVENTS + 1), 501])
        again.close()
        shutil.rmtree(tmp_path / "copy")
        folder.close()
        shutil.rmtree(tmp_path / "state")


def test_more_events_than_fit_take_none_away(tmp_path: Path) -> None:
    """Until the call has returned, those of its events that get no slot are in memory alone."""
    more = columns(range(EVENTS + 1, EVENTS + 301))
    none, whole = memory_of(range(1, EVENTS + 1)), memory_of(range(1, EVENTS + 301))

    for folder in each_cut(tmp_path / "state", 3, lambda folder: folder.add_many(more, 1)):
        dump = folder.memory.dump()
        again = opened(copied(tmp_path / "state", tmp_path / "copy"))

        assert dump in (none, whole, again.memory.dump())
        again.close()
        shutil.rmtree(tmp_path / "copy")


def test_an_event_after_an_erase_that_was_cut_short_is_refused_or_stays(tmp_path: Path) -> None:
    refused = 0
    for folder in each_cut(tmp_path / "state", 3, lambda folder: folder.erase()):
        taken = []
        for n in (501, 502):  # the second one after what the engine asks before the next millisecond's event
            try:
                record(folder, [n])
                taken.append(n)
            except StateUnusableError as problem:
                refused += "call erase again" in str(problem)
            assert folder.memory
        assert taken[-1] == 502

        assert [n for n in recorded(folder) if n > EVENTS] == taken
        again = opened(copied(tmp_path / "state", tmp_path / "copy"))
        assert [n for n in recorded(again) if n > EVENTS] == taken
        assert again.memory.dump() == folder.memory.dump()
        again.close()
        shutil.rmtree(tmp_path / "copy")
    assert refused


def test_another_layout_is_adopted_or_not(tmp_path: Path) -> None:
    for folder in each_cut(tmp_path / "state", 3, lambda folder: folder.adopt(TINY_LAYOUT)):
        assert folder.layout in (LAYOUT, TINY_LAYOUT)
        if folder.layout is LAYOUT:
            assert folder.memory.dump() == memory_of(range(1, EVENTS + 1))
        dump = folder.memory.dump()
        record(folder, range(501, 601))
        folder.close()  # the snapshot has what left the ring, whatever the file was when the call was cut short
        again = opened(tmp_path / "state", layout=folder.layout)

        assert again.layout is not LAYOUT or again.memory.dump() == memory_of([*range(1, EVENTS + 1), *range(501, 601)])
        assert again.memory.dump() != dump
        again.close()


def each_cut(path: Path, pending: int, act: Callable[[StateFolder], object]) -> Iterator[StateFolder]:
    """Yields a folder after each of the cuts; it is closed and removed then."""
    lines = 0
    for _ in range(2):  # the first call also loads modules and makes tables
        folder = before(path, pending)
        counting = cut(0)
        counting.during(lambda: act(folder))  # noqa: B023 - called at once
        lines = counting.seen
        folder.close()
        shutil.rmtree(path)
    for at in sorted({1 + round(at) for at in np.linspace(0, lines - 1, min(PLACES, lines))}):
        folder = before(path, pending)
        with pytest.raises(CutShortError):
            cut(at).during(lambda: act(folder))  # noqa: B023 - called at once
        yield folder
        with suppress(Exception):
            folder.close()
        shutil.rmtree(path)
