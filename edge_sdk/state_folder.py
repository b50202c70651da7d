"""One user's folder: the event log, the memory made from it, and the memory's own file, kept in step.

| file | what |
|---|---|
| owner.lock | who has the folder open |
| events.log | the ring of events |
| memory.bin | memory as of some event, so that what the ring has dropped still counts |
"""

from __future__ import annotations

from pathlib import Path

from edge_sdk.bulk import memory_from, take_in
from edge_sdk.event_log import EventLog, FolderLock
from edge_sdk.memory import Memory, MemoryLayout
from edge_sdk.memory_file import MemoryFile


class StateFolder:
    """The folder, owned by this object until `close`. Not thread-safe: the engine serialises."""

    def __init__(self, folder: Path, layout: MemoryLayout, log_bytes: int) -> None:
        """Take the folder and bring memory up to the newest event.

        Raises:
            StateOwnedError, StateFullError, StateUnusableError, LogVersionError: nothing in the folder has changed.
        """
        self._layout = layout
        self._lock = FolderLock(folder)
        try:
            self.log = EventLog(folder / "events.log", log_bytes)
        except BaseException:
            self._lock.release()
            raise
        self._file = _memory_file(folder / "memory.bin", layout)
        self.memory, self.last_decision = self._restored()
        self.keep_at = self.log.last_seq + self.log.capacity // 2

    def memory_at(self, seq: int) -> Memory | None:
        """Memory as it was after event `seq`; None when the log no longer holds all that made it."""
        if seq == self.log.last_seq:
            return self.memory
        if seq > self.log.last_seq or self.log.count < self.log.last_seq:
            return None
        records = self.log.read()
        return memory_from(self._layout, records[records["seq"] <= seq])

    def erase(self) -> None:
        """Overwrite both files; memory is as new."""
        if self._file is not None:
            self._file.erase()
        self.log.erase()
        self.memory, self.last_decision = Memory(self._layout), 0
        self.keep_at = self.log.capacity // 2

    def close(self) -> None:
        """Keep memory, write out, let the folder go."""
        self.keep()
        if self._file is not None:
            self._file.close()
        self.log.close()
        self._lock.release()

    def keep(self) -> None:
        """Write memory to its file; due from event `keep_at` on, long before the ring drops what no file holds."""
        if self._file is not None:
            self._file.write(self.memory, self.log.last_seq, self.last_decision)
        self.keep_at = self.log.last_seq + self.log.capacity // 2

    def _restored(self) -> tuple[Memory, int]:
        """Memory and the newest decision's id: from the memory file and the events since, or from the log alone."""
        records = self.log.recovered()
        newest = int(records["decision"].max(initial=0))
        kept = None
        if self._file is not None:
            kept = self._file.read(self.log.last_seq - self.log.capacity + 1, self.log.last_seq)
        if kept is None:
            return memory_from(self._layout, records), newest
        memory, seq, decision = kept
        take_in(memory, records[records["seq"] > seq])
        return memory, max(newest, decision)


def _memory_file(path: Path, layout: MemoryLayout) -> MemoryFile | None:
    """The file is a cache: where the disk has no room for it, the log alone must do."""
    try:
        return MemoryFile(path, layout)
    except OSError:
        return None
