"""One user's state folder: keeps the event log, the memory made from it, and the snapshots of memory in step.

| file | content |
|---|---|
| owner.lock | which process has the folder open |
| events.log | the ring of events |
| memory.bin | snapshots of memory, so that events which the ring has dropped still count |

New events go into the log alone. Memory ingests them when memory is read, or when `PENDING_MAX` of them are pending. On
disk, a snapshot is never ahead of the log except for events that a power loss took from the log.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, Final

import numpy as np

from edge_sdk.clock import NEVER_MS
from edge_sdk.errors import StateFullError, StateUnusableError
from edge_sdk.limits import PENDING_MAX
from edge_sdk.log.directory import as_state_error
from edge_sdk.log.encryption import Cipher
from edge_sdk.log.event_input import EventColumns
from edge_sdk.log.event_log import SEQ_MAX, EventLog
from edge_sdk.log.file_access import LogAccess
from edge_sdk.log.header import capacity_of
from edge_sdk.log.record import Records, wipe
from edge_sdk.memory.bulk import ingest_columns
from edge_sdk.memory.layout import MemoryLayout
from edge_sdk.memory.memory import Memory
from edge_sdk.state.durability import Flusher, weakly
from edge_sdk.state.lock import HeldFolder
from edge_sdk.state.memory_of_log import MemoryOfLog
from edge_sdk.state.recovery import migrate, without
from edge_sdk.state.retention import RetentionSchedule, matching
from edge_sdk.state.snapshot import Snapshot
from edge_sdk.state.snapshot_store import SnapshotStore

RENUMBER_AT: Final = SEQ_MAX - (1 << 31)  # leaves room for the largest `record_many`


class StateFolder(MemoryOfLog):
    """The folder, owned by this object until `close`. Not thread-safe: the engine serialises all calls but `sync`.

    Attributes:
        append: `log.append` itself, so that recording costs no call more: writes an event, then runs `maintain` if
            the event's number is due. After a replacement of the log that was cut short, the next call settles that.
        require_sound: raises a `StateUnusableError` if another process has cut the log's file: a write into the file's
            map would end the process. Nothing can be recorded then; `close` writes memory, with every event.
    """

    append: Callable[[int, int, int, float, int, int], int]
    require_sound: Callable[[], None]
    _is_open = False
    _replacement: EventLog | None = None  # a log that takes the place of `log`, and may have it already

    def __init__(
        self,
        held: HeldFolder,
        layout: MemoryLayout,
        log_bytes: int,
        *,
        now_ms: int,
        storage_key: bytes | None = None,
        sync_interval_s: float | None = None,
        log_access: LogAccess = "auto",
    ) -> None:
        """Opens the files of a folder, and brings memory up to the newest event.

        Args:
            held: the folder and its lock; this object releases both at its end, and undoes them if it raises.
            layout: of the bundle.
            log_bytes: size of a new log.
            now_ms: the current time, to expire what was kept long enough.
            storage_key: encrypts the files of the folder; None = plain.
            sync_interval_s: seconds between two writes of the log to the disk, 0 = at each event; None = the kernel
                decides.
            log_access: how the log is written, as `EventLog.open` takes it.

        Raises:
            StateFullError, StateUnusableError, LogVersionError, WrongKeyError: the folder has the same events as before
                and no new file, and is not locked.
        """
        self.layout, self._held = layout, held
        # Keeps the files open while they are being written to the disk. A signal handler may call the engine meanwhile.
        self._sync_lock = threading.RLock()
        self._synced_seq = self.disk_failures = self.last_decision = 0
        self.last_ms = lambda: NEVER_MS  # the engine has not told yet
        self._interval_s = sync_interval_s
        self._retention = RetentionSchedule()
        with as_state_error(held.directory.path), ExitStack() as undo:
            undo.callback(held.undo)
            entry = held.directory.entry("events.log")
            log = EventLog.open(entry, log_bytes, key=storage_key, access=log_access)
            undo.callback(log.undo)
            self._use(log)
            self.snapshots = SnapshotStore(held.directory.entry("memory.bin"), layout)
            undo.callback(self.snapshots.undo)
            self._recover()
            self._expire(now_ms)
            self._renumber()
            for part in (held, log, self.snapshots):
                part.restrict()
            self._flusher = Flusher(self.sync, sync_interval_s) if sync_interval_s else None
            undo.pop_all()
        self._is_open, self._pid = True, os.getpid()

    def __del__(self) -> None:
        """Lets the folder go when nobody holds the engine any more. The log has every event; a snapshot is missing.

        The files close with the objects that hold them (`log/open_file.py`).
        """
        if self._is_open and self._pid == os.getpid():
            if self._flusher is not None:
                self._flusher.abandon()
            self._held.warn()

    # ---- reading ----

    # ---- ingesting ----

    def maintain(self, now_ms: int) -> None:
        """Runs due maintenance: ingests pending events, expires old ones, writes a snapshot, renumbers, syncs.

        The log calls this method when the number of an event is due.
        """
        self.ingest_pending()
        if self._retention.is_due(now_ms):
            try:
                self._expire(now_ms)
            except StateUnusableError:  # the event is recorded all the same; the next try is an hour later
                self.disk_failures += 1
        if self.log.last_seq >= self._snapshot_due():
            self.write_snapshot()
        self._renumber()
        if self._interval_s == 0:
            self.sync()
        self._schedule_maintenance()

    def add_many(self, events: EventColumns, now_ms: int) -> int:
        """Records and ingests many events, at most 2^31; returns the number of the newest.

        Raises:
            StateFullError, StateUnusableError: numbers run out, and the disk has no room to let them start low again.
        """
        count, capacity, memory = len(events.times_ms), self.log.capacity, self.memory
        if self.log.last_seq + count > SEQ_MAX:  # `maintain` tried before, and the disk refused
            self._replace_log(cipher=self.log.cipher, renumber=True)
        is_large = count > capacity // 2
        if is_large:  # if the process is killed below, the snapshot must contain what was acknowledged before
            self.write_snapshot()
        with self._changing():
            self.log.extend(events.newest(capacity), skipped=max(0, count - capacity))
            ingest_columns(
                memory,
                events.times_ms,
                events.kinds,
                events.kind_ids,
                events.items,
                events.item_ids,
                events.values,
                local=events.local,
            )
        if is_large:
            self.write_snapshot()
        self.maintain(now_ms)
        return self._ingested_seq

    # ---- erasing ----

    def erase(self) -> None:
        """Overwrites log and snapshots with zeros, on disk too; memory is empty.

        Raises:
            StateUnusableError: the disk refuses. If a part is erased already, nothing is recorded until all is: by
                another call, or by whatever next reads memory.
        """
        with self._changing(), self._sync_lock, self._typed():
            self.snapshots.erase()
            self.log.erase()
            self._synced_seq = self.last_decision = 0
            self._memory, self._is_inherited = Memory(self.layout), False
        self._schedule_maintenance(snapshot_seq=0)

    def has_to_erase(self, before_ms: int | None, items: frozenset[int] | None, kinds: frozenset[int] | None) -> bool:
        """Returns whether an erasure of this selection would change anything.

        Where the log has dropped events, some of those may have matched. Then there is something to erase if one of
        them may have changed a counter or cap. A damaged slot may hold one of them too.
        """
        former, records = self.memory, self.log.read()
        is_there = matching(records, before_ms, items, kinds).any() or self.log.damaged > 0
        if is_there or self.log.is_whole:
            wipe(records)
            return bool(is_there)
        nothing = frozenset[int]()
        left = self._without(former, records, kinds, items)
        return left.dump() != self._without(former, records, nothing, nothing).dump()

    def erase_chosen(self, before_ms: int | None, items: frozenset[int] | None, kinds: frozenset[int] | None) -> int:
        """Overwrites the events that match all conditions: before a time, about one of the items, of one of the kinds.

        Memory becomes what it would be without these events. Where the log has dropped events, some of those may have
        matched: every counter and cap that such an event may have changed starts anew from the events in the log.

        Args:
            before_ms: milliseconds since 1970; None = at any time.
            items: ids; None = any.
            kinds: ids; None = any.

        Returns:
            How many events were overwritten.

        Raises:
            StateUnusableError: the disk refuses.
        """
        if items == frozenset() or kinds == frozenset():
            return 0
        with self._typed():
            return self._erase_chosen(before_ms, items, kinds)

    def _erase_chosen(self, before_ms: int | None, items: frozenset[int] | None, kinds: frozenset[int] | None) -> int:
        former = self.memory  # before the log is read: what completes an erase changes it
        records = self.log.read()
        chosen = matching(records, before_ms, items, kinds)
        memory = self._without(former, records[~chosen], kinds, items)
        numbers = records["seq"][chosen].astype(np.int64)
        wipe(records)
        snapshot = self._snapshot()._replace(memory=memory)
        with self._changing():
            self._memory = memory
            self.snapshots.overwrite(snapshot, self.log)
            self.log.blank(numbers, expired=False)
        self._schedule_maintenance(snapshot_seq=self._ingested_seq)
        return int(np.count_nonzero(chosen))

    def _without(
        self, former: Memory, left: Records, kinds: frozenset[int] | None, items: frozenset[int] | None
    ) -> Memory:
        """Returns the memory of the records that are left, and of what events of other kinds and items have changed."""
        is_whole, moved = self.log.is_whole, self._is_inherited
        return self._as_of_now(without(former, left, kinds, items, is_whole=is_whole, moved=moved))

    # ---- changing the files ----

    def resize(self, log_bytes: int) -> None:
        """Gives the log another size. The newest events that fit stay in the log; the others still count.

        Raises:
            InvalidValueError: the size is out of range.
            StateFullError, StateUnusableError: the log is as it was.
        """
        capacity_of(log_bytes)
        with self._typed():
            self._replace_log(size_bytes=log_bytes, cipher=self.log.cipher)

    def change_key(self, storage_key: bytes | None) -> None:
        """Encrypts the folder with another key; None = no longer. After a crash, one of both keys opens the folder.

        Raises:
            WrongKeyError: the key is no AES key.
            StateFullError, StateUnusableError: the log is as it was.
        """
        cipher = None if storage_key is None else Cipher(self.log.path, storage_key)
        with self._typed():
            self._replace_log(cipher=cipher)

    def adopt(self, layout: MemoryLayout) -> None:
        """Continues with another layout, such as of a newly installed policy, as if opened under a new bundle.

        The policy is installed before: what its layout does not count leaves the snapshot here. After a crash, the
        snapshot file has the former layout, which the next opening migrates, or the new one. If the disk refuses the
        new snapshot, `disk_failures` counts that, and memory goes on without it.
        """
        from edge_sdk.state.replacement import replaced_snapshots  # rarely needed

        memory, is_inherited = migrate(self.memory, layout, self.log.parts(), is_whole=self.log.is_whole)
        self._as_of_now(memory)
        is_inherited &= self._is_inherited or not layout.has_categories_of(self.layout)
        if self._interval_s is not None:
            self.sync()
        snapshot = Snapshot(memory, self._ingested_seq, self.last_decision, is_inherited)
        former = self.snapshots
        with self._sync_lock:
            try:
                store, is_replaced = replaced_snapshots(former, layout, snapshot, self.log)
            except BaseException:  # the file may be another by now: the next write replaces it
                self.snapshots = SnapshotStore(former.entry, self.layout)
                raise
            # At once, as an interrupt can only come between two statements.
            self.snapshots, self.layout, self._memory, self._is_inherited = store, layout, memory, is_inherited
        self.disk_failures += not is_replaced
        self._retention.reset()  # the new layout may keep events for another time
        former.close()
        self._schedule_maintenance(snapshot_seq=self._ingested_seq, is_kept=is_replaced)

    def close(self) -> None:
        """Writes a snapshot, writes the log to the disk, and releases the folder.

        Raises:
            StateUnusableError: the disk refuses the log, or the snapshot of events that the log has dropped, or the log
                was cut. The folder is released all the same.
        """
        self._is_open = False
        try:
            if self._flusher is not None:
                self._flusher.stop()
            try:
                self.write_snapshot()
                is_kept = self._kept_seq + 1 >= self.log.oldest_seq
            finally:
                self._close_files()
        finally:
            self._held.release()
        if not is_kept:
            raise StateUnusableError(
                self.snapshots.path, "the disk refused the counts of events that have left the log"
            )

    # ---- helpers ----

    def _close_files(self) -> None:
        with self._sync_lock, as_state_error(self.log.path):
            self._synced_seq = self.log.last_seq  # a `sync` that waits for the lock has nothing to do
            try:
                self.snapshots.close()
            finally:
                self.log.close()

    def _use(self, log: EventLog) -> None:
        log.on_due = weakly(self.maintain)  # the log does not hold the folder that holds it
        # At once, as an interrupt can only come between two statements.
        self.log, self.append, self.require_sound = log, log.append, log.ring.file.require_whole

    def _use_what_is_in_place(self) -> None:
        """Goes on with the log that has the file's name: the replacement once it is active, else the former one."""
        log = self._replacement
        if log is not None:
            is_replaced = log.is_active
            self._use(log if is_replaced else self.log)
            self._synced_seq = 0 if is_replaced else self._synced_seq
            self._replacement = None

    def _append_after_cut(self, *event: Any) -> int:
        """Stands in for `append` while the log is replaced: if that was cut short, it is first settled which one is."""
        self.ingest_pending()
        return self.append(*event)

    def _expire(self, now_ms: int) -> None:
        """Blanks those of the log's records that were kept as long as the scene says; they still count.

        Raises:
            StateUnusableError: the disk refuses.
        """
        expired = self._retention.search(self.log.parts(), self.layout, now_ms)
        if expired is not None and (self.memory.forget_expired(now_ms) or len(expired)):
            snapshot = self._snapshot()
            with self._changing(), as_state_error(self.log.path):
                self.snapshots.overwrite(snapshot, self.log)
                self.log.blank(expired, expired=True)

    def _replace_log(self, *, size_bytes: int | None = None, cipher: Cipher | None, renumber: bool = False) -> None:
        from edge_sdk.state.replacement import staged_log  # rarely needed

        if self.snapshots.is_foreign:  # a write would replace both slots, and below each log needs one
            self.snapshots.overwrite(self._snapshot(), self.log)
        former, snapshot = self.log, self._snapshot()
        staged = staged_log(former, self.snapshots, snapshot, size_bytes=size_bytes, cipher=cipher, renumber=renumber)
        with self._changing(), staged as log, self._sync_lock:
            log.local = former.local
            self._replacement, self.append = log, self._append_after_cut
            try:
                log.activate()
            finally:  # also when an interrupt came just after it
                self._use_what_is_in_place()
        self._schedule_maintenance(snapshot_seq=self._ingested_seq)
        try:
            former.discard()
            self.snapshots.overwrite(self._snapshot(), self.log)
        except (OSError, StateUnusableError):  # the log is replaced all the same; a later change removes the rest
            self.disk_failures += 1

    def _renumber(self) -> None:
        """Lets numbers start low again when half of them are used.

        Raises:
            StateFullError, StateUnusableError: the disk refuses, and there are no numbers left until the next try.
        """
        if self.log.last_seq < RENUMBER_AT:
            return
        try:
            self._replace_log(cipher=self.log.cipher, renumber=True)
        except (StateFullError, StateUnusableError):
            if self.log.last_seq + PENDING_MAX > SEQ_MAX:
                raise
            self.disk_failures += 1  # there are numbers left for a very long time
