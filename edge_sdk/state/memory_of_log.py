"""Memory kept in step with its log and its snapshots: events go in once, and whatever is cut short is made anew."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from edge_sdk.errors import StateFullError, StateUnusableError
from edge_sdk.limits import PENDING_MAX
from edge_sdk.log.directory import as_state_error
from edge_sdk.log.event_log import EventLog
from edge_sdk.memory.bulk import ingest_bodies
from edge_sdk.memory.layout import MemoryLayout
from edge_sdk.memory.memory import Memory
from edge_sdk.state.lock import HeldFolder
from edge_sdk.state.recovery import recover
from edge_sdk.state.snapshot import Snapshot
from edge_sdk.state.snapshot_store import SnapshotStore

_STALE: Final = -1  # as the newest event in memory: memory has to be made anew


class MemoryOfLog:
    """The memory that a log's events make, and its snapshots. The folder that holds the files sets all of these.

    Attributes:
        layout: of memory.
        log: the event log.
        snapshots: the snapshot file.
        last_decision: the newest decision's id.
        snapshot_seq: the newest event in the snapshot, the oldest one in the log while there is no snapshot, less after
            a try that the disk refused. The next snapshot is due half a ring later.
        disk_failures: how often the disk refused something that no caller waited for.
        last_ms: returns the last time of the engine's clock. Whenever memory is made from events, also in the middle of
            a call, no event in it counts later than that.
    """

    layout: MemoryLayout
    log: EventLog
    snapshots: SnapshotStore
    last_decision: int
    snapshot_seq: int
    disk_failures: int
    last_ms: Callable[[], int]
    _held: HeldFolder
    _sync_lock: threading.RLock
    _synced_seq: int
    _interval_s: float | None
    _memory: Memory
    _is_inherited: bool  # a former bundle, whose items had other categories, counted a part of memory
    _kept_seq: int  # the newest event in a snapshot on the disk; the oldest one in the log while there is none
    _ingested_seq: int  # the newest event in `_memory`; `_STALE` while something changes, and when that was cut short

    @property
    def memory(self) -> Memory:
        """Memory as of the newest event: pending events are ingested first.

        Raises:
            StateUnusableError: memory has to be made anew, and the disk refuses to read.
        """
        if self._ingested_seq < self.log.last_seq or self.log.is_cut_short:
            self.ingest_pending()
        return self._memory

    def ingest_pending(self) -> None:
        """Ingests into memory the events that were appended since the last time.

        If an exception cuts this short, or has cut anything short before, memory is made anew from the files.
        """
        log = self.log
        ingested, self._ingested_seq = self._ingested_seq, _STALE
        if ingested == _STALE or log.is_cut_short or len(log.pending) != log.last_seq - ingested:
            self._make_anew()
            return
        ingest_bodies(self._memory, list(log.pending))
        log.pending.clear()
        self._ingested_seq = log.last_seq

    def set_back(self) -> None:
        """Lets nothing in memory count later than the clock's last time: the clock was set back.

        Raises:
            StateUnusableError: as of `memory`.
        """
        memory = self.memory
        with self._changing():
            self._as_of_now(memory)

    def write_snapshot(self) -> None:
        """Writes memory to the snapshot file; due long before the ring drops events that no snapshot contains."""
        snapshot = self._snapshot()
        if self._interval_s is not None:
            self.sync()
        is_kept = False
        try:
            is_kept = self.snapshots.write(snapshot, self.log)
            if self._interval_s is not None:
                self.snapshots.sync_if_written()
        except (OSError, StateUnusableError):
            is_kept = False
        self.disk_failures += not is_kept  # the log has the events all the same
        self._schedule_maintenance(snapshot_seq=self._ingested_seq, is_kept=is_kept)

    def sync(self) -> bool:
        """Writes to the disk what is new since the last time. Safe from any thread.

        Returns:
            Whether the disk took it.
        """
        with self._sync_lock:
            log, seq = self.log, self.log.last_seq
            try:
                self.log.require_whole()
                if seq != self._synced_seq:
                    log.sync()
                    self._synced_seq = seq if log is self.log and seq <= log.last_seq else 0
                self.snapshots.sync_if_written()
            except (OSError, StateUnusableError):
                self.disk_failures += 1
                return False
            return True

    # ---- below: for the folder ----

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Marks memory as stale during the body: if an exception cuts the body short, memory is made anew.

        A disk that refuses cuts nothing short. Then memory may have counts that neither the log nor a snapshot has.
        """
        self._ingested_seq = _STALE
        try:
            yield
        except (OSError, StateFullError, StateUnusableError):
            self._ingested_seq = self.log.last_seq
            raise
        self._ingested_seq = self.log.last_seq

    def _make_anew(self) -> None:
        """Makes memory from the files, as an opening does: from the newest snapshot and the log.

        Raises:
            StateUnusableError: the disk refuses.
        """
        with self._sync_lock, self._typed():
            self._use_what_is_in_place()
            self.log.rescan()
            self._synced_seq = 0  # numbers start anew if this completed an erase
            former, self.snapshots = self.snapshots, SnapshotStore(self.snapshots.entry, self.layout)
            former.close()
        self._recover()

    def _use_what_is_in_place(self) -> None:
        """Settles which log is in place, where a replacement was cut short: for the folder, which replaces logs."""

    def _recover(self) -> None:
        """Recovers memory from the files."""
        log = self.log
        found = recover(log, self.snapshots, self.layout)
        self._memory, self._is_inherited = self._as_of_now(found.memory), found.is_inherited
        self.last_decision = max(self.last_decision, found.last_decision)
        self._ingested_seq = log.last_seq
        self._schedule_maintenance(snapshot_seq=log.oldest_seq if found.snapshot_seq is None else found.snapshot_seq)
        # The next event may push out one that no snapshot contains.
        if log.id_lost or self.snapshots.is_foreign or log.last_seq >= self._snapshot_due():
            self.write_snapshot()

    def _as_of_now(self, memory: Memory) -> Memory:
        memory.set_back(self.last_ms(), self.log.local)
        return memory

    def _snapshot(self) -> Snapshot:
        return Snapshot(self.memory, self._ingested_seq, self.last_decision, self._is_inherited)

    def _snapshot_due(self) -> int:
        """Returns the event at which a snapshot is due."""
        return self.snapshot_seq + self.log.capacity // 2

    def _schedule_maintenance(self, *, snapshot_seq: int | None = None, is_kept: bool = True) -> None:
        """Sets when maintenance is due next; `is_kept`: whether the disk has the snapshot up to `snapshot_seq`."""
        if snapshot_seq is not None and is_kept:
            self.snapshot_seq = self._kept_seq = snapshot_seq
        elif snapshot_seq is not None:  # tried again before the ring drops an event that no snapshot has
            self.snapshot_seq = snapshot_seq - self.log.capacity // 4
        wait = 1 if self._interval_s == 0 else PENDING_MAX
        self.log.due_seq = self.log.last_seq + min(wait, max(1, self._snapshot_due() - self.log.last_seq))

    def _typed(self) -> AbstractContextManager[None]:
        """Gives whatever the system refuses within a change a type, also the loading of a module that it needs."""
        return as_state_error(self._held.directory.path)
