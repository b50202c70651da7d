"""One user's folder: the event log, the memory made from it, and the memory's own file, kept in step.

| file | what |
|---|---|
| owner.lock | who has the folder open |
| events.log | the ring of events |
| memory.bin | memory as of some event, so that what the ring has dropped still counts |

Events go into the log alone; memory takes them in when it is asked for, or when `PENDING_MAX` of them wait. On disk,
memory is never ahead of the log but by what a power loss took from the log.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

import numpy as np

from edge_sdk.errors import StateFullError, StateUnusableError
from edge_sdk.limits import PENDING_MAX, TIME_MS_MAX
from edge_sdk.log.encryption import Cipher
from edge_sdk.log.event_input import EventColumns
from edge_sdk.log.event_log import SEQ_MAX, EventLog
from edge_sdk.log.header import capacity_of
from edge_sdk.log.record import Records
from edge_sdk.memory.bulk import ingest, ingest_bodies, ingest_columns, memory_from
from edge_sdk.memory.layout import MemoryLayout
from edge_sdk.memory.memory import Memory
from edge_sdk.state.durability import Flusher
from edge_sdk.state.lock import FolderLock
from edge_sdk.state.retention import expired_records, meant
from edge_sdk.state.snapshot import Snapshot, SnapshotFile

_RENUMBER_AT: Final = SEQ_MAX - (1 << 31)  # leaves room for the largest `record_many`
_EXPIRE_EVERY_MS: Final = 3_600_000  # at most so often


class StateFolder:
    """The folder, owned by this object until `close`. Not thread-safe: the engine serialises, but for `sync`.

    Attributes:
        log: the event log; append to it, then call `tend` from number `due` on.
        due: the event from which on something waits to be done.
        era: one time between two erasures; numbers of events mean nothing in another.
        last_decision: the newest decision's id.
        disk_failures: how often the disk refused what nobody waited for.
    """

    log: EventLog
    maintenance_due: int
    generation: object
    last_decision: int
    disk_failures: int
    _memory: Memory
    _is_inherited: bool  # some of it was counted under a former bundle, whose items had other categories
    _seen: int  # the newest event in `_memory`
    _keep_at: int  # the event from which on the memory file is to be written
    _is_kept_on_disk: bool  # whether the disk has what was last written to it

    def __init__(
        self,
        folder: Path,
        layout: MemoryLayout,
        log_bytes: int,
        *,
        now_ms: int,
        storage_key: bytes | None = None,
        sync_interval_s: float | None = None,
    ) -> None:
        """Take the folder and bring memory up to the newest event.

        Args:
            folder: made if absent.
            layout: of the bundle.
            log_bytes: size of the log when it is made.
            now_ms: the clock, to let go what has been kept long enough.
            storage_key: encrypts what lies in the folder; None = plain.
            sync_interval_s: how often the log is written out, 0 = at each event; None = when the kernel does.

        Raises:
            StateOwnedError, StateFullError, StateUnusableError, LogVersionError, WrongKeyError: nothing in the folder
                has changed.
        """
        self._layout = layout
        self._sync_lock = threading.Lock()  # the log's file is not closed while it is being written out
        self._synced_seq = self.disk_failures = 0
        self._is_kept_on_disk = True
        self._interval_s = sync_interval_s
        self.generation = object()
        capacity_of(log_bytes)  # refused before a folder is made
        with ExitStack() as undo:
            self._lock = FolderLock(folder)
            undo.callback(self._lock.release)
            self.log = EventLog(folder / "events.log", log_bytes, key=storage_key)
            undo.callback(self.log.close)
            self._file = _memory_file(folder / "memory.bin", layout)
            if self._file is not None:
                undo.callback(self._file.close)
            self._expire(now_ms, self._restore())
            undo.pop_all()
        self._flusher = Flusher(self.sync, sync_interval_s) if sync_interval_s else None

    # ---- what is in it ----

    @property
    def memory(self) -> Memory:
        """Memory up to the newest event."""
        if self._seen < self.log.last_seq:
            ingest_bodies(self._memory, self.log.fresh())
            self._seen = self.log.last_seq
        return self._memory

    def memory_at(self, seq: int) -> Memory | None:
        """Memory as it was after event `seq`; None when the log no longer holds all that made it."""
        if seq == self.log.last_seq:
            return self.memory
        if seq > self.log.last_seq or not self.log.is_whole:
            return None
        records = self.log.read()
        return memory_from(self._layout, records[records["seq"] <= seq])

    # ---- taking in ----

    def maintain(self, now_ms: int) -> None:
        """Do what waits: to be called after event number `due`."""
        _ = self.memory
        if now_ms >= self._expire_at_ms or now_ms < self._looked_ms:  # the clock may have come back from far ahead
            try:
                self._expire(now_ms, self.log.read())
            except StateUnusableError:  # the event is recorded all the same; an hour later it is tried again
                self.disk_failures += 1
        if self.log.last_seq >= self._keep_at:
            self.keep()
        if self.log.last_seq >= _RENUMBER_AT:
            try:
                self._replace_log(cipher=self.log.cipher, renumber=True)
            except (StateFullError, StateUnusableError):  # there are numbers left for a very long time
                self.disk_failures += 1
        if self._interval_s == 0:
            self.sync()
        self._schedule_maintenance()

    def add_many(self, events: EventColumns, now_ms: int) -> int:
        """Take in many events, at most 2^31; the number of the newest.

        Raises:
            StateFullError, StateUnusableError: numbers run out, and the disk has no room to let them start low again.
        """
        count, capacity, memory = len(events.times_ms), self.log.capacity, self.memory
        if self.log.last_seq + count > SEQ_MAX:  # `tend` tried before, and the disk refused
            self._replace_log(cipher=self.log.cipher, renumber=True)
        is_large = count > capacity // 2
        if is_large:  # killed below, what was acknowledged before must be found in the memory file
            self.keep()
        self._seen = self.log.extend(events.newest(capacity), skipped=max(0, count - capacity))
        ingest_columns(
            memory, events.times_ms, events.kinds, events.kind_ids, events.items, events.item_ids, events.values
        )
        if is_large:
            self.keep()
        self.maintain(now_ms)
        return self._seen

    # ---- letting go ----

    def erase(self) -> None:
        """Overwrite both files; memory is as new."""
        with self._sync_lock, _unless_refused(self.log.path.parent):
            if self._file is not None:
                self._file.erase()
            self.log.erase()
            self._synced_seq = 0
        self._memory, self._seen, self.last_decision, self.generation = Memory(self._layout), 0, 0, object()
        self._is_inherited = False
        self._schedule_maintenance(kept_seq=0)

    def erase_chosen(self, before_ms: int | None, items: frozenset[int] | None, kinds: frozenset[int] | None) -> int:
        """Overwrite the events that are all of these: before a time, about one of the items, of one of the kinds.

        Memory becomes what it would be without them. Where the log has dropped events, these may have been among them:
        every counter and cap that such an event may have touched starts anew from the events that are left.

        Args:
            before_ms: milliseconds since 1970; None = at any time.
            items: ids; None = any.
            kinds: ids; None = any.

        Returns:
            How many events were overwritten.
        """
        if items == frozenset() or kinds == frozenset():
            return 0
        former, records = self.memory, self.log.read()
        chosen = meant(records, before_ms, items, kinds)
        self._memory, self.generation = memory_from(self._layout, records[~chosen]), object()
        if not self.log.is_whole:
            from edge_sdk.memory.erasure import inherit_unaffected  # rare: 0.6 ms of every import

            inherit_unaffected(self._memory, former, kinds, items, categories_differed=self._is_inherited)
        self._keep_everywhere()
        with _unless_refused(self.log.path):
            self.log.take_out(records["seq"][chosen].astype(np.int64), expired=False)
        self._schedule_maintenance(kept_seq=self._seen)
        return int(np.count_nonzero(chosen))

    # ---- the files ----

    def resize(self, log_bytes: int) -> None:
        """Give the log another size; of more events than fit, the newest stay in it and the others still count.

        Raises:
            InvalidValueError: the size is out of range.
            StateFullError, StateUnusableError: the log is as it was.
        """
        capacity_of(log_bytes)
        self._replace_log(size_bytes=log_bytes, cipher=self.log.cipher)

    def change_key(self, storage_key: bytes | None) -> None:
        """Encrypt with another key, or not at all. Killed in between, one of both keys opens the folder.

        Raises:
            WrongKeyError: it is no key.
            StateFullError, StateUnusableError: the log is as it was.
        """
        self._replace_log(cipher=None if storage_key is None else Cipher(self.log.path, storage_key))

    def adopt(self, layout: MemoryLayout) -> None:
        """Go on with another layout, such as of a person's new policy, as when the folder is opened under a new bundle.

        Killed in between, the memory file is the former layout's or the new one's; either one finds all that counted.

        Raises:
            StateUnusableError: the disk refuses; nothing has changed.
        """
        memory, is_inherited = self._as_of(layout, self.memory, self.log.read())
        is_inherited &= self._is_inherited or not layout.has_categories_of(self._layout)
        file = self._file_of(layout, Snapshot(memory, self._seen, self.last_decision, is_inherited))
        with self._sync_lock:
            former, self._file, self._is_kept_on_disk = self._file, file, True
        self._layout, self._memory, self._is_inherited, self.generation = layout, memory, is_inherited, object()
        self._expire_at_ms = 0  # the new layout may keep events for another time: looked at with the next ones
        if former is not None:
            former.close()
        self._schedule_maintenance(kept_seq=self._seen)

    def keep(self) -> None:
        """Write memory to its file; due long before the ring drops what no file holds."""
        kept = self._kept()
        if self._interval_s is not None:
            self.sync()
        if self._file is not None:
            try:
                self._file.write(kept, self.log.log_id, self.log.cipher)
                self._is_kept_on_disk = False
                if self._interval_s is not None:
                    self._sync_file()
            except OSError:  # the log has the events all the same
                self.disk_failures += 1
        self._schedule_maintenance(kept_seq=self._seen)

    def sync(self) -> bool:
        """Write out to the disk what came since the last time. Safe from any thread.

        Returns:
            Whether the disk took it.
        """
        with self._sync_lock:
            seq = self.log.last_seq
            try:
                if seq != self._synced_seq:
                    self.log.sync()
                    self._synced_seq = seq
                self._sync_file()
            except OSError:
                self.disk_failures += 1
                return False
            return True

    def close(self) -> None:
        """Keep memory, write out, let the folder go.

        Raises:
            StateUnusableError: the disk refuses. It is closed all the same.
        """
        if self._flusher is not None:
            self._flusher.stop()
        self.keep()
        try:
            with self._sync_lock, _unless_refused(self.log.path):
                self._synced_seq, self._is_kept_on_disk = self.log.last_seq, True  # nothing left for a waiting sync
                if self._file is not None:
                    self._file.close()
                self.log.close()
        finally:
            self._lock.release()

    # ---- below: helpers ----

    def _restore(self) -> Records:
        """Memory and the newest decision's id: from the memory file and the events since, or from the log alone.

        Returns:
            What the log holds.
        """
        log, records = self.log, self.log.recovered()
        self.last_decision = int(records["decision"].max(initial=0))
        kept, self._is_inherited = None, False
        if self._file is not None:
            with _unless_refused(self._file.path):
                kept = self._file.read(None if log.id_lost else log.log_id, log.cipher)
        if kept is None:
            self._memory = memory_from(self._layout, records)
        else:
            if kept.seq > log.last_seq:
                log.skip_to(kept.seq)
            self._is_inherited = kept.is_inherited
            is_since = records["seq"] > kept.seq
            if kept.memory.layout is self._layout:
                self._memory = kept.memory
            else:
                of_slot = records[~is_since]
                self._memory, self._is_inherited = self._as_of(self._layout, kept.memory, of_slot)
            ingest(self._memory, records[is_since])
            self.last_decision = max(self.last_decision, kept.decision)
        self._seen = log.last_seq
        self._schedule_maintenance(kept_seq=kept.seq if kept else log.oldest_seq)
        is_foreign = self._file is not None and self._file.is_foreign
        if log.id_lost or is_foreign or log.last_seq >= self._keep_at:  # the next event may push out what no file holds
            self.keep()
        return records

    def _expire(self, now_ms: int, records: Records) -> None:
        """Let go those of the log's records that it has held as long as the scene says; they still count.

        Raises:
            StateUnusableError: the disk refuses.
        """
        expired, next_ms = expired_records(records, self._layout, now_ms)
        self._looked_ms, self._expire_at_ms = now_ms, TIME_MS_MAX
        if next_ms is None:
            return
        self._expire_at_ms = max(next_ms, now_ms + _EXPIRE_EVERY_MS)
        if self.memory.forget_expired(now_ms) or expired.any():
            self._keep_everywhere()
            with _unless_refused(self.log.path):
                self.log.take_out(records["seq"][expired].astype(np.int64), expired=True)

    def _as_of(self, layout: MemoryLayout, memory: Memory, records: Records) -> tuple[Memory, bool]:
        """A memory as another layout has it, and whether anything of it was taken over.

        `records`: what the log holds of the events in it.
        """
        made = memory_from(layout, records)
        if self.log.is_whole:  # a whole log knows better: it has events that the former bundle did not count
            return made, False
        from edge_sdk.memory.migration import inherit  # under another bundle only: 0.8 ms of every import

        inherit(made, memory)
        return made, True

    def _file_of(self, layout: MemoryLayout, kept: Snapshot) -> SnapshotFile | None:
        """The memory file, written anew for a layout; None where the disk has had no room for one.

        Raises:
            StateUnusableError: the disk refuses; nothing has changed.
        """
        if self._interval_s is not None:
            self.sync()
        file = _memory_file(self.log.path.with_name("memory.bin"), layout)
        if file is None:
            if self._file is not None:
                raise StateUnusableError(self._file.path, "the memory file cannot be opened again")
            return None
        file.is_foreign = True  # even where it has the size: it is replaced as a whole
        try:
            file.write(kept, self.log.log_id, self.log.cipher)
        except OSError as problem:
            if file.is_foreign:  # it has not happened
                file.close()
                if self._file is None:  # as before
                    return None
                raise StateUnusableError(file.path, problem.strerror or str(problem)) from problem
            self.disk_failures += 1  # the new file is in place; what is left of the former one goes with the next write
        return file

    def _replace_log(self, *, size_bytes: int | None = None, cipher: Cipher | None, renumber: bool = False) -> None:
        if self._file is not None and self._file.is_foreign:
            self._keep_everywhere()  # a write replaces such a file with both its slots, and below each log needs one
        kept, former = self._kept(), self.log
        log = former.replacement(size_bytes=size_bytes, cipher=cipher, renumber=renumber)
        seq = log.last_seq if renumber else former.last_seq
        log.skip_to(max(seq, log.last_seq))
        slot = 0 if self._file is None else self._file.next_slot
        try:
            if self._file is not None:
                # A slot each: whichever log a crash leaves in place finds the memory that belongs to it.
                self._file.write(kept._replace(seq=log.last_seq), log.log_id, cipher)
                self._file.sync()
            with self._sync_lock:
                log.take_place()
                self.log, self._seen, self._synced_seq = log, log.last_seq, 0
        except OSError as problem:
            if self._file is not None:
                self._file.next_slot = slot  # the other one is all that there is of the former log
            with suppress(OSError):
                log.discard()
            raise StateUnusableError(former.path, problem.strerror or str(problem)) from problem
        if renumber:
            self.generation = object()
        self._schedule_maintenance(kept_seq=self._seen)
        try:
            former.discard()
            self._keep_everywhere()
        except (OSError, StateUnusableError):  # it has happened all the same, and a later change tidies up
            self.disk_failures += 1

    def _sync_file(self) -> None:
        if self._file is not None and not self._is_kept_on_disk:
            self._is_kept_on_disk = True  # said before, so that what is written meanwhile is not taken for synced
            try:
                self._file.sync()
            except OSError:
                self._is_kept_on_disk = False
                raise

    def _kept(self) -> Snapshot:
        return Snapshot(self.memory, self._seen, self.last_decision, self._is_inherited)

    def _keep_everywhere(self) -> None:
        """Write memory over all that its file held before, on disk too.

        Raises:
            StateUnusableError: the disk refuses.
        """
        kept = self._kept()
        if self._file is not None:
            with _unless_refused(self._file.path):
                for _slot in range(2):  # one after the other: a power loss may tear what is being written
                    self._file.write(kept, self.log.log_id, self.log.cipher)
                    self._file.sync()

    def _schedule_maintenance(self, *, kept_seq: int | None = None) -> None:
        if kept_seq is not None:
            self._keep_at = kept_seq + self.log.capacity // 2
        wait = 1 if self._interval_s == 0 else PENDING_MAX
        self.maintenance_due = self.log.last_seq + min(wait, max(1, self._keep_at - self.log.last_seq))


def _memory_file(path: Path, layout: MemoryLayout) -> SnapshotFile | None:
    """The file is a cache: where the disk has no room for it, the log alone must do."""
    try:
        return SnapshotFile(path, layout)
    except OSError:
        return None


@contextmanager
def _unless_refused(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        raise StateUnusableError(path, problem.strerror or str(problem)) from problem
