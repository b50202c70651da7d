"""Makes small logs of every kind as bytes, with the record in each slot, and finds what remains of a damaged log."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_sdk.log.event_log import EventLog
from tests.support.event_log_rows import HEADER, SMALL, Row, row, rows
from tests.support.places import entry
from tests.support.ram_folder import ram_folder

KEY = b"0123456789abcdef"


@dataclass(frozen=True)
class Image:
    """The file of one log."""

    name: str
    content: bytes
    slot_bytes: int
    first_seq: int
    key: bytes | None
    written: dict[int, int]  # slot: the number of the record in it
    blanked: frozenset[int]  # numbers

    def __str__(self) -> str:
        return self.name

    @property
    def capacity(self) -> int:
        return (len(self.content) - HEADER) // self.slot_bytes

    def slot(self, content: bytes, slot: int) -> bytes:
        return content[HEADER + slot * self.slot_bytes : HEADER + (slot + 1) * self.slot_bytes]

    def left(self, content: bytes) -> tuple[list[Row], int]:
        """Returns the records and the count of damage of a changed copy, by the rules of docs/format.md."""
        intact = {s: seq for s, seq in self.written.items() if self.slot(content, s) == self.slot(self.content, s)}
        last = max(intact.values(), default=0)
        known = content[28:HEADER] == self.content[28:HEADER]
        first = self.first_seq if known else min(intact.values(), default=1)
        numbers = range(max(first, last - self.capacity + 1), last + 1)
        used = {s: seq for s, seq in intact.items() if seq in numbers}
        lost = len(numbers) - len(used)
        places = {(seq - 1) % self.capacity for seq in numbers}
        astray = sum(any(self.slot(content, s)) for s in range(self.capacity) if s not in places)
        return [row(seq) for seq in sorted(used.values()) if seq not in self.blanked], lost + astray


def _plain(log: EventLog) -> EventLog:
    return _filled(log, 40)


def _wrapped(log: EventLog) -> EventLog:
    return _filled(log, 200)


def _grown(log: EventLog) -> EventLog:
    larger = _filled(log, 300).replacement(size_bytes=SMALL + 20 * 32, cipher=None)
    larger.activate()
    log.discard()
    return _filled(larger, 305)


def _thinned(log: EventLog) -> EventLog:
    _filled(log, 150)
    log.blank(np.arange(60, 72), expired=False)
    log.blank(np.array([30, 31, 149]), expired=True)
    return log


def _filled(log: EventLog, last: int) -> EventLog:
    for seq in range(log.last_seq + 1, last + 1):
        assert log.append(*row(seq)[1:]) == seq
    return log


_MADE: dict[str, tuple[Callable[[EventLog], EventLog], bytes | None]] = {
    "plain": (_plain, None),
    "wrapped": (_wrapped, None),
    "grown": (_grown, None),
    "thinned": (_thinned, None),
    "encrypted": (_plain, KEY),
    "encrypted and wrapped": (_wrapped, KEY),
}
NAMES = tuple(_MADE)


def image(folder: Path, name: str) -> Image:
    """Returns the log of this name."""
    make, key = _MADE[name]
    path = folder / "events.log"
    log = make(EventLog.open(entry(path), SMALL, key=key))
    numbers = range(log.oldest_seq, log.last_seq + 1)
    blanked = frozenset(set(numbers) - set(log.read()["seq"].tolist()))
    written = {(seq - 1) % log.capacity: seq for seq in numbers}
    slot_bytes = 32 if key is None else 64
    first_seq = 175 if name == "grown" else 1
    log.close()
    content = path.read_bytes()
    path.unlink()
    return Image(name, content, slot_bytes, first_seq, key, written, blanked)


class ScratchLog:
    """A file that gets one content after another."""

    def __init__(self, key: bytes | None) -> None:
        self._folder = ram_folder()
        self.path, self._key = Path(self._folder.name) / "events.log", key
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT)

    def opened(self, content: bytes) -> tuple[list[Row], int]:
        """Opens a log of this content; returns its records and its count of damage."""
        os.ftruncate(self._file, len(content))
        os.pwrite(self._file, content, 0)
        log = EventLog.open(entry(self.path), SMALL, key=self._key)
        found = rows(log)
        damaged = log.damaged
        assert log.count == len(found)
        log.ring.close()
        return found, damaged

    def content(self) -> bytes:
        return self.path.read_bytes()

    def close(self) -> None:
        os.close(self._file)
        self._folder.cleanup()
