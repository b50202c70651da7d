"""The event log: appends events to a ring of fixed slots in a file of fixed size, and erases them.

A record is in the kernel's page cache when `append` returns: the record survives the death of the process. Each record
carries its own checksum (or tag) and sequence number, so opening needs no journal: the log uses the intact records and
counts the damaged ones. Byte layout: docs/format.md.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final, NoReturn

import numpy as np

from edge_sdk.errors import StateFullError, StateUnusableError
from edge_sdk.limits import LOG_BYTES_MIN, PENDING_MAX
from edge_sdk.log import atomic_file
from edge_sdk.log.directory import FILE_MODE, Entry, as_state_error, restrict
from edge_sdk.log.encrypted_record import codec_for
from edge_sdk.log.encryption import Cipher
from edge_sdk.log.file_access import LogAccess, SlotWriter, disk_error
from edge_sdk.log.header import HEADER_BYTES, LogHeader, capacity_of, is_cut_to_a_stub, is_sound, stage, with_new_id
from edge_sdk.log.record import BODY, ERASED, EXPIRED, RECORD, RecordCodec, Records, wipe
from edge_sdk.log.ring import Ring, Scan
from edge_sdk.types import I64

SEQ_MAX: Final = 0xFFFFFFFF

_PACK: Final = BODY.pack
_PART_SLOTS: Final = 4096  # written at once to a new file


class EventLog:
    """One user's events, newest last. Not thread-safe: the engine serialises its calls.

    Attributes:
        ring: the slots and the file.
        entry: of the file.
        path: of the file, for messages.
        capacity: slots.
        cipher: of the records; None = plain.
        last_seq: number of the newest record; 0 = none yet.
        damaged: records found damaged or missing when the log was opened.
        log_id: 8 random bytes; each erase and each replacement draws new ones.
        last_decision: the newest decision's id that a record had when the log was opened; 0 = none.
        id_lost: damage took the id, and `log_id` is a new one.
        pending: bodies of the newest records, at most `PENDING_MAX`. The owner of memory ingests and clears them.
        local: that field of the records that `append` writes.
        is_cut_short: an exception came into `append`: the slot after `last_seq` may be written, and its body pending.
            Or into `erase`: then no event is taken. `rescan` finds out which, and completes the erase.
        due_seq: the number from which on `append` calls `on_due`.
        on_due: called with the event's time, after the event is written.
    """

    log_id: bytes
    id_lost: bool
    last_seq: int
    damaged: int
    last_decision: int
    on_due: Callable[[int], object]
    _target: Any  # of `_write`, which writes one record, or refuses it while the log is being erased
    _write: SlotWriter
    _time_ms: int
    _time: tuple[int, int]
    _holes: I64  # numbers that no intact record has
    _erased: I64  # numbers of blanked records: erased
    _expired: I64  # and expired

    def __init__(self, ring: Ring) -> None:
        """Scans an open ring and takes it over. Use `EventLog.open`.

        Raises:
            WrongKeyError: the key decrypts no record; the ring is closed.
            StateUnusableError, OSError: the disk refuses; the ring is closed.
        """
        self.ring, self.entry, self.cipher, self.capacity = ring, ring.entry, ring.cipher, ring.capacity
        self.path = ring.entry.path
        self._slot_bytes = ring.codec.slot_bytes
        self.pending = deque[bytes](maxlen=PENDING_MAX)
        self.local = 0
        self._forget_time()
        self.due_seq = SEQ_MAX + 1  # never
        self._is_new = False  # there was no log before
        self._is_activated = False
        self._target = None
        self._accept()
        try:
            self._use(ring.scan())
        except BaseException:
            ring.close()
            raise

    @classmethod
    def open(cls, entry: Entry, size_bytes: int, *, key: bytes | None = None, access: LogAccess = "auto") -> EventLog:
        """Opens the log, or creates one of `size_bytes`; an existing log keeps its size.

        Args:
            entry: of the file.
            size_bytes: of a new log.
            key: encrypts the records; None = plain.
            access: "map" writes through a map of memory, "calls" by calls, "auto" through a map where that is safe.

        Raises:
            StateFullError: the disk has no room for the whole file.
            LogVersionError: the file is no event log of this version. The file is unchanged.
            WrongKeyError: the key does not fit the log. The file is unchanged.
            StateUnusableError: the file cannot be read or written.
            InvalidValueError: `size_bytes` is out of range.
        """
        cipher = None if key is None else Cipher(entry.path, key)
        slot_bytes = codec_for(cipher).slot_bytes
        capacity = capacity_of(size_bytes, slot_bytes)
        with as_state_error(entry.path), ExitStack() as undo:
            atomic_file.settle(entry, is_sound)
            is_new, is_stub = not entry.exists(), is_cut_to_a_stub(entry)
            if is_new or is_stub:
                header = LogHeader(slot_bytes, capacity)
                atomic_file.clean(entry)
                if is_new:
                    undo.callback(_remove, entry)
                stage(entry, header if is_stub else with_new_id(header, cipher))  # the id of a stub is lost
                atomic_file.install(entry)
            log = cls(Ring(entry, entry, cipher, access))
            undo.callback(log.ring.close)
            atomic_file.clean(entry)  # only now: what is left of a replacement goes when the log has been read
            log.damaged += is_stub
            log._is_new = is_new
            undo.pop_all()
            return log

    # ---- writing ----

    def append(self, time_ms: int, kind: int, item: int, value: float, decision: int, item_high: int = 0) -> int:
        """Writes one record over the oldest, and calls `on_due` if the record's number is due.

        Args:
            time_ms: milliseconds since the epoch, 0..`TIME_MS_MAX`.
            kind, decision: ids; kind is not 0.
            item: low 32 bits of the item's id.
            value: finite, within float32.
            item_high: high 16 bits of the item's id; 0 = not known, as in every record of version 1.

        Returns:
            The sequence number of the record.

        Raises:
            StateFullError, StateUnusableError: the log is written by calls, and the disk refuses the record.
            StateUnusableError: an erase is not complete.
        """
        seq = self.last_seq + 1
        if time_ms != self._time_ms:  # many events share a millisecond, and two divisions take 3% of a `record`
            self._time_ms, self._time = time_ms, divmod(time_ms, 1000)
        second, millisecond = self._time
        body = _PACK(seq, second, millisecond, kind, item, value, decision, self.local, item_high)
        write = self._write  # a name of its own: called as `self._write(…)`, the lookup misses Python's inline cache
        try:
            write(self._target, HEADER_BYTES + (seq - 1) % self.capacity * self._slot_bytes, body)
            self.pending.append(body)
            self.last_seq = seq
        except (StateFullError, StateUnusableError):  # nothing is cut short: the record is not there
            raise
        except BaseException:
            self.is_cut_short = True  # the first instruction here: no second interrupt comes before it
            raise
        if seq >= self.due_seq:
            self.on_due(time_ms)
        return seq

    def extend(self, records: Records, *, skipped: int = 0) -> int:
        """Writes many records, oldest first; calls nothing, and leaves `pending` as it is.

        Args:
            records: (E,) at most `capacity`; their numbers are written into them.
            skipped: events just before these that get numbers but no slot; only if the records fill the ring.

        Returns:
            The number of the newest record.

        Raises:
            StateFullError, StateUnusableError: the file was cut, or is written by calls and the disk refuses. None of
                the events counts; the next ones take their place.
        """
        numbers = self.last_seq + skipped + 1 + np.arange(len(records))
        records["seq"] = numbers
        try:
            self.ring.write(numbers, records)
        except (OSError, StateUnusableError) as problem:
            self._take_back(numbers)
            if isinstance(problem, OSError):
                raise disk_error(self.path, problem, self.size_bytes) from problem
            raise
        self.last_seq += skipped + len(records)
        return self.last_seq

    def skip_to(self, seq: int) -> None:
        """Gives the next record number `seq + 1`: a power loss took records that a snapshot contains."""
        first = max(self.last_seq, seq - self.capacity) + 1  # holes before it have left the ring
        self._holes = np.concatenate([self._holes, np.arange(first, seq + 1)])
        self.damaged += seq - self.last_seq
        self.last_seq = seq

    # ---- reading ----

    def read(self) -> Records:
        """Returns all intact records, oldest first (a copy).

        Raises:
            StateUnusableError: the disk refuses.
        """
        with as_state_error(self.path):
            records = self.ring.records(self.last_seq)
        is_event = records["kind"] > 0
        if is_event.all():
            return records
        found = records[is_event]
        wipe(records)
        return found

    def parts(self, after: int = 0, until: int | None = None) -> Iterator[Records]:
        """Yields the intact records with numbers above `after` and up to `until` (None = all), oldest first.

        Each part is a copy of at most 4,096 records, overwritten when the next one is asked for: a log of a gigabyte is
        read in little memory, and an erased record does not stay there.

        Raises:
            StateUnusableError: the disk refuses.
        """
        with as_state_error(self.path):
            last = self.last_seq if until is None else min(until, self.last_seq)
            for records in self.ring.parts(max(self.oldest_seq, after + 1), last):
                is_event = records["kind"] > 0
                part = records if is_event.all() else records[is_event]
                try:
                    yield part
                finally:
                    wipe(part)

    def require_whole(self) -> None:
        """Raises if another process has cut the file.

        Raises:
            StateUnusableError: nothing can be recorded until the log is opened again.
        """
        self.ring.file.require_whole()

    def rescan(self) -> None:
        """Reads the file as an opening does, and completes an erase that was cut short. Nothing is pending then.

        Raises:
            OSError: the disk refuses.
        """
        self.ring.complete_erase()
        self._use(self.ring.scan())
        self.pending.clear()
        self._accept()

    @property
    def oldest_seq(self) -> int:
        """The oldest number that has a slot in the ring."""
        return self.ring.oldest_seq(self.last_seq)

    @property
    def count(self) -> int:
        """How many intact records the ring contains, without erased and expired ones."""
        oldest = self.oldest_seq
        gone = sum(int(np.count_nonzero(numbers >= oldest)) for numbers in (self._holes, self._erased, self._expired))
        return self.last_seq - oldest + 1 - gone

    @property
    def is_whole(self) -> bool:
        """Whether the ring contains every event that was ever recorded, apart from erased ones."""
        return self.oldest_seq == 1 and not len(self._holes) and not len(self._expired)

    @property
    def size_bytes(self) -> int:
        """Size of the file."""
        return self.ring.header.file_bytes

    # ---- erasing ----

    def erase(self) -> None:
        """Overwrites every record with zeros, on disk too. Sequence numbers start at 1 again.

        Once this has begun, the log takes no event until it is complete: the next opening would erase that one too. If
        it is cut short, another call, `rescan` or an opening completes it.

        Raises:
            StateUnusableError, OSError: the file was cut, or the disk refuses.
        """
        atomic_file.recover(self.entry)
        self.require_whole()
        self._target, self._write, self.is_cut_short = self.path, _refuse, True
        self.ring.zero()
        self.pending.clear()
        self._forget_time()
        self._use(self.ring.scan())
        self._accept()

    def blank(self, numbers: I64, *, expired: bool) -> None:
        """Overwrites these records, on disk too; their slots stay blank until the ring reuses them.

        Damaged slots and slots of an earlier lap are overwritten too: each may have been one of these records.

        Args:
            numbers: sequence numbers of records in the ring, ascending.
            expired: the records were kept long enough and still count; else they are erased.

        Raises:
            OSError: the disk refuses.
        """
        atomic_file.recover(self.entry)
        self.ring.zero_damage(self.last_seq, self._holes)
        self.ring.codec.renew()
        blanks = np.zeros(len(numbers), RECORD)
        blanks["seq"], blanks["local"] = numbers, EXPIRED if expired else ERASED
        self.ring.write(numbers, blanks)
        if expired:
            self._expired = np.concatenate([self._expired, numbers])
        else:
            self._erased = np.concatenate([self._erased, numbers])
        self._forget_time()
        self.ring.file.flush()
        self._renew_writer()

    # ---- replacing the file ----

    def replacement(self, *, size_bytes: int | None, cipher: Cipher | None, renumber: bool = False) -> EventLog:
        """Returns a log with the same records in a new file beside this one; `activate` makes it the log.

        Args:
            size_bytes: of the new file, which gets the newest records that fit. None = at least as many slots as now.
            cipher: of the new file; None = plain.
            renumber: let numbers start low again; they end at `SEQ_MAX`.

        Raises:
            StateFullError: the disk has no room for both files.
            StateUnusableError: the new file cannot be written.
            InvalidValueError: `size_bytes` is out of range, or the slots do not fit into the largest log.
        """
        codec = codec_for(cipher)
        if size_bytes is None:  # the smallest plain log has twice the slots of the smallest encrypted log
            size_bytes = max(LOG_BYTES_MIN, HEADER_BYTES + self.capacity * codec.slot_bytes)
        capacity = capacity_of(size_bytes, codec.slot_bytes)
        lower = max(0, self.last_seq // self.capacity - 2) * self.capacity if renumber else 0
        first = max(1, self.oldest_seq - lower, self.last_seq - lower - capacity + 1) if self.last_seq else 1
        header = with_new_id(LogHeader(codec.slot_bytes, capacity, first), cipher)
        with as_state_error(self.path):
            atomic_file.recover(self.entry)  # else staging would meet the rest of an earlier replacement
            stage(self.entry, header, self._slots_of(capacity, codec, lower))
            return EventLog(Ring(self.entry, self.entry.with_suffix(".new"), cipher, self.ring.access))

    def _forget_time(self) -> None:
        self._time_ms, self._time = 0, (0, 0)  # of the newest record; the same in seconds and milliseconds

    def _slots_of(self, capacity: int, codec: RecordCodec, lower: int) -> Iterator[memoryview]:
        """Yields all slots of a ring with the newest records that fit, their numbers lowered; in parts."""
        newest = self.last_seq - lower
        lap = newest - (newest - 1) % capacity - 1  # the number before the one in the first slot
        for first, last in ((lap + 1, newest), (newest - capacity + 1, lap)):
            for start in range(first, last + 1, _PART_SLOTS):
                end = min(start + _PART_SLOTS - 1, last)
                slots = np.zeros((end - start + 1, codec.slot_bytes), np.uint8)
                for part in self.ring.parts(max(self.oldest_seq, start + lower), end + lower):
                    records = part.copy()
                    records["seq"] -= np.uint32(lower)
                    encoded = codec.encode_many(records)
                    slots[records["seq"].astype(np.int64) - start] = encoded
                    wipe(records, encoded)
                yield slots.reshape(-1).data
                wipe(slots)

    def activate(self) -> None:
        """Makes this replacement the log. Both logs stay open; `discard` the former one.

        Raises:
            OSError: the disk refuses. The former log stays the log.
        """
        atomic_file.swap(self.entry)
        self._is_activated = True

    @property
    def is_active(self) -> bool:
        """Whether this replacement is the log: `activate` has renamed the former file.

        Raises:
            OSError: the disk refuses.
        """
        return self._is_activated or not self.entry.exists()

    def discard(self) -> None:
        """Closes a replaced log, or a replacement that is not wanted, and overwrites and removes its file.

        Raises:
            OSError: the disk refuses. The next erase, replacement or opening removes the file.
        """
        self.ring.close()
        atomic_file.recover(self.entry)

    # ---- the file ----

    def sync(self) -> None:
        """Writes the log to the disk, and returns when it is there. Other threads run meanwhile.

        Raises:
            OSError: the disk refuses.
        """
        self.ring.file.sync()

    def close(self) -> None:
        """Writes the log to the disk and closes the file.

        Raises:
            StateUnusableError, OSError: the file was cut, or the disk refuses. The file is closed all the same.
        """
        try:
            self.ring.file.flush()
            self.require_whole()
        finally:
            self.ring.close()

    def restrict(self) -> None:
        """Lets only the user of the file in."""
        restrict(self.ring.file.file, FILE_MODE)

    def undo(self) -> None:
        """Closes the file, and removes a new one."""
        self.ring.close()
        if self._is_new:
            _remove(self.entry)

    def _take_back(self, numbers: I64) -> None:
        """Removes what is there of records whose writing was refused: an opening would take them for recorded ones.

        Where the disk refuses that too, `rescan` does take them for recorded ones, as an opening does. A file that was
        cut takes nothing more, and `rescan` could not read it: memory stays as it is, with every event.
        """
        try:
            self.ring.take_back(int(numbers[0]), int(numbers[-1]))
        except OSError:
            self.is_cut_short = True
        except StateUnusableError:  # the file was cut
            pass

    def _accept(self) -> None:
        """Lets `append` write. It is the hot path: it reads what it needs from the log itself."""
        self._renew_writer()
        self.is_cut_short = False

    def _renew_writer(self) -> None:
        """Takes a writer that knows of no record; the former one may have the newest."""
        former = self._target
        self._target, self._write = self.ring.file.slot_writer(self.ring.codec)
        if isinstance(former, bytearray):
            former[:] = bytes(len(former))

    def _use(self, scan: Scan) -> None:
        self.last_seq, self.damaged, self.id_lost = scan.last_seq, scan.damaged, scan.id_lost
        self.last_decision = scan.last_decision
        self._holes, self._erased, self._expired = scan.holes, scan.erased, scan.expired
        self.log_id = self.ring.header.log_id


def _refuse(path: Path, _at: int, _body: bytes) -> NoReturn:
    """Stands in for the writer of a log that is being erased."""
    raise StateUnusableError(
        path,
        "an erase of all events was cut short, and takes no event before it is complete",
        "call erase again; the next opening completes it too",
    )


def _remove(entry: Entry) -> None:
    """Removes a new log, whole or not yet, as far as the disk lets it."""
    for name in (entry, entry.with_suffix(".new")):
        with suppress(OSError):
            name.unlink()
