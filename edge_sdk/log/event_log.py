"""The event log: a ring of fixed slots, one a record, in a memory-mapped file of fixed size.

A record that `append` returned from is in the kernel's page cache: it survives the death of the process. Each record
carries its own checksum (or seal) and sequence number, so opening needs no journal: it reads what is intact and counts
the rest. Byte layout: docs/format.md.
"""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path
from typing import Final, Self

import numpy as np

from edge_sdk.errors import StateUnusableError, WrongKeyError
from edge_sdk.limits import LOG_BYTES_MIN, PENDING_MAX
from edge_sdk.log import atomic_file as replacing
from edge_sdk.log import header as log_file
from edge_sdk.log.encrypted_record import EncryptedRecords
from edge_sdk.log.encryption import NONCE_BYTES, Cipher
from edge_sdk.log.header import ERASE_MARK, ERASING, HEADER_BYTES, LOG_ID_BYTES, NO_TAG, UNKNOWN_ID, LogHeader
from edge_sdk.log.record import BODY, ERASED, EXPIRED, RECORD, Bytes, Mask, PlainRecords, RecordCodec, Records
from edge_sdk.types import I64

SEQ_MAX: Final = 0xFFFFFFFF

_PACK: Final = BODY.pack
_NO_RECORDS: Final[Records] = np.zeros(0, RECORD)
_PART_SLOTS: Final = 4096  # read at once
_RECORD_BYTES: Final = np.dtype((np.void, RECORD.itemsize))


class EventLog:
    """The ring. Not thread-safe by itself: the engine serialises its calls.

    Attributes:
        path: the file.
        capacity: slots.
        last_seq: number of the newest record; 0 = none yet.
        damaged: records found damaged or missing when the log was opened.
        log_id: 8 random bytes, others after each erase and in each replacement.
        id_lost: damage took the id; `log_id` was drawn anew.
        seal: what encrypts it; None = it is plain.
    """

    path: Path
    capacity: int
    last_seq: int
    damaged: int
    log_id: bytes
    id_lost: bool
    cipher: Cipher | None
    _header: LogHeader
    _recovered: Records
    _written: Mask  # which slots are not all zero
    _erased: I64  # numbers of the records that were taken out
    _expired: I64
    _holes: I64  # numbers that no intact record has

    def __init__(self, path: Path, size_bytes: int, *, key: bytes | None = None) -> None:
        """Open the log at `path`, or make one of `size_bytes`; an existing log keeps its size.

        Raises:
            StateFullError: no room to reserve the whole file.
            LogVersionError: the file is not an event log of this version. It is not touched.
            WrongKeyError: the key does not fit the log. It is not touched.
            StateUnusableError: it cannot be read or written.
            InvalidValueError: `size_bytes` is out of range.
        """
        cipher = None if key is None else Cipher(path, key)
        capacity = log_file.capacity_of(size_bytes, _codec(cipher).slot_bytes)
        try:
            replacing.finish(path)
            is_stub = path.exists() and log_file.is_cut_to_a_stub(path)
            if is_stub or not path.exists():
                header = LogHeader(_codec(cipher).slot_bytes, capacity)
                log_file.create(path, header if is_stub else _identified(header, cipher))  # a stub's id is lost
                replacing.put_in_place(path)
            self._attach(path, path, cipher)
            self.damaged += is_stub
        except OSError as problem:
            raise _unusable(path, problem) from problem

    # ---- writing ----

    def append(self, time_ms: int, kind: int, item: int, value: float, decision: int) -> int:
        """Write one record over the oldest.

        Args:
            time_ms: milliseconds since the epoch, 0..`TIME_MS_MAX`.
            kind, item, decision: ids; kind is not 0.
            value: finite, within float32.

        Returns:
            Its sequence number.
        """
        seq = self.last_seq + 1
        body = _PACK(seq, time_ms // 1000, time_ms % 1000, kind, item, value, decision, 0, 0)
        self._write(self._map, HEADER_BYTES + (seq - 1) % self.capacity * self._slot_bytes, body)
        self._fresh.append(body)
        self.last_seq = seq
        return seq

    def extend(self, records: Records, *, skipped: int = 0) -> int:
        """Write many records, oldest first.

        Args:
            records: (E,) at most `capacity`; their numbers are written into them.
            skipped: events just before these that get numbers but no place; only if these fill the ring.

        Returns:
            The number of the newest.
        """
        numbers = self.last_seq + skipped + 1 + np.arange(len(records))
        records["seq"] = numbers
        self._put(numbers, self._codec.encode_many(records))
        self.last_seq += skipped + len(records)
        return self.last_seq

    def skip_to(self, seq: int) -> None:
        """Let the next record be `seq + 1`: a power loss took records that memory knows."""
        first = max(self.last_seq, seq - self.capacity) + 1  # holes before it have left the ring
        self._holes = np.concatenate([self._holes, np.arange(first, seq + 1)])
        self.damaged += seq - self.last_seq
        self.last_seq = seq

    # ---- reading ----

    def read(self) -> Records:
        """All intact records, oldest first (a copy)."""
        records = self._in_order()
        return records[records["kind"] > 0]

    def recovered(self) -> Records:
        """What was intact at opening, oldest first; handed out once, so that opening reads the file once."""
        records, self._recovered = self._recovered, _NO_RECORDS
        return records

    def fresh(self) -> list[bytes]:
        """Bodies of the newest records appended since the last call, oldest first, at most `PENDING_MAX`."""
        bodies = list(self._fresh)
        self._fresh.clear()
        return bodies

    @property
    def oldest_seq(self) -> int:
        """The oldest number that the ring has a place for."""
        return max(self._header.first_seq, self.last_seq - self.capacity + 1)

    @property
    def count(self) -> int:
        """Records that it holds: intact, not erased, not expired."""
        oldest = self.oldest_seq
        gone = sum(int(np.count_nonzero(numbers >= oldest)) for numbers in (self._holes, self._erased, self._expired))
        return self.last_seq - oldest + 1 - gone

    @property
    def is_whole(self) -> bool:
        """Whether it holds every event there ever was, but for those erased."""
        return self.oldest_seq == 1 and not len(self._holes) and not len(self._expired)

    @property
    def size_bytes(self) -> int:
        """Size of the file."""
        return self._header.file_bytes

    # ---- forgetting ----

    def erase(self) -> None:
        """Overwrite every record with zeros, on disk too. Sequence numbers start at 1 again.

        Raises:
            OSError: the disk refuses.
        """
        replacing.finish(self.path)
        self._wipe()
        self._fresh.clear()
        self._written[:] = False
        self._survey(_NO_RECORDS)

    def take_out(self, numbers: I64, *, expired: bool) -> None:
        """Overwrite these records, on disk too; their places stay empty until the ring comes round.

        What is damaged, or left from an earlier lap, is overwritten too: nobody can say that it is not one of them.

        Args:
            numbers: sequence numbers of records that it holds, ascending.
            expired: their time was up, and they still count; else they are erased.

        Raises:
            OSError: the disk refuses.
        """
        replacing.finish(self.path)
        self._clear_damage()
        self._codec.renew()
        empty = np.zeros(len(numbers), RECORD)
        empty["seq"], empty["flags"] = numbers, EXPIRED if expired else ERASED
        self._put(numbers, self._codec.encode_many(empty))
        if expired:
            self._expired = np.concatenate([self._expired, numbers])
        else:
            self._erased = np.concatenate([self._erased, numbers])
        self._recovered = _NO_RECORDS
        self._map.flush()

    # ---- another file in its place ----

    def replacement(self, *, size_bytes: int | None, cipher: Cipher | None, renumber: bool = False) -> Self:
        """The same records in a new file beside this one; `take_place` makes it the log.

        Args:
            size_bytes: of the new file; of more records than fit, the newest are taken. None = no fewer slots than now.
            seal: what encrypts it; None = plain.
            renumber: let numbers start low again; they end at `SEQ_MAX`.

        Raises:
            StateFullError: no room for both files.
            StateUnusableError: it cannot be written.
            InvalidValueError: `size_bytes` is out of range, or the slots do not fit into the largest log.
        """
        codec = _codec(cipher)
        if size_bytes is None:  # a smallest log in plain is of twice the slots of a smallest one encrypted
            size_bytes = max(LOG_BYTES_MIN, HEADER_BYTES + self.capacity * codec.slot_bytes)
        capacity = log_file.capacity_of(size_bytes, codec.slot_bytes)
        lower = max(0, self.last_seq // self.capacity - 2) * self.capacity if renumber else 0
        kept = self._in_order()[-capacity:]
        kept["seq"] -= np.uint32(lower)
        first = max(1, self.oldest_seq - lower, self.last_seq - lower - capacity + 1) if self.last_seq else 1
        slots = np.zeros((capacity, codec.slot_bytes), np.uint8)
        slots[(kept["seq"].astype(np.int64) - 1) % capacity] = codec.encode_many(kept)
        header = _identified(LogHeader(codec.slot_bytes, capacity, first), cipher)
        try:
            replacing.finish(self.path)  # what an earlier replacement left may not be lost sight of
            log_file.create(self.path, header, slots.tobytes())
            log = type(self).__new__(type(self))
            log._attach(self.path, self.path.with_suffix(".new"), cipher)
        except OSError as problem:
            raise _unusable(self.path, problem) from problem
        return log

    def take_place(self) -> None:
        """Make this replacement the log. Both logs stay open; `discard` the former one.

        Raises:
            OSError: the disk refuses. The former log is the log.
        """
        replacing.give_way(self.path)

    def discard(self) -> None:
        """Close a log that another has replaced, or a replacement that is not wanted; overwrite and remove its file.

        Raises:
            OSError: the disk refuses. The next erase, replacement or opening does it.
        """
        self._detach()
        replacing.finish(self.path)

    # ---- the file ----

    def sync(self) -> None:
        """Ask the kernel to write the log to the disk; returns when it has. Other threads run meanwhile.

        Raises:
            OSError: the disk refuses.
        """
        os.fdatasync(self._file)  # the map's pages too: Linux keeps one copy of a page

    def close(self) -> None:
        """Write out and unmap.

        Raises:
            OSError: the disk refuses. It is closed all the same.
        """
        try:
            self._map.flush()
        finally:
            self._detach()

    # ---- below: helpers ----

    def _attach(self, path: Path, file_path: Path, cipher: Cipher | None) -> None:
        """Map the file and find out what is in it."""
        self.path, self.cipher, self._codec = path, cipher, _codec(cipher)
        self._slot_bytes, self._write = self._codec.slot_bytes, self._codec.write
        self._fresh = deque[bytes](maxlen=PENDING_MAX)
        self._header, self._file, self._map = log_file.open_map(path, file_path, with_key=cipher is not None)
        try:
            self._refuse_wrong_key()
            self.capacity = self._header.capacity
            if self._map[ERASING] == ERASE_MARK:  # killed while erasing: what was to be forgotten stays forgotten
                self._wipe()
            self._survey(self._in_order())
        except BaseException:
            self._detach()
            raise

    def _detach(self) -> None:
        self._map.close()
        os.close(self._file)

    def _refuse_wrong_key(self) -> None:
        header, cipher = self._header, self.cipher
        if header.slot_bytes != self._slot_bytes:
            if cipher is None:
                raise WrongKeyError(self.path, "it is encrypted", "pass its key as storage_key")
            fix = "open it without a key, then call rotate_storage_key(key)"
            raise WrongKeyError(self.path, "it is not encrypted", fix)
        if cipher is not None and header.key_tag not in (NO_TAG, _key_tag(header.log_id, cipher)):
            raise WrongKeyError(self.path, "another key encrypted it", "pass that key as storage_key")

    def _slots(self, start: int, end: int) -> Bytes:
        """A copy of some slots, (end - start, slot_bytes)."""
        size = self._slot_bytes
        # Not from the map, whose pages would then count as this process's memory; Linux keeps one copy of a page.
        raw = os.pread(self._file, (end - start) * size, HEADER_BYTES + start * size)
        return np.frombuffer(raw, np.uint8).reshape(-1, size)

    def _put(self, numbers: I64, slots: Bytes) -> None:
        whole = np.frombuffer(self._map, np.uint8, offset=HEADER_BYTES, count=self.capacity * self._slot_bytes)
        whole.reshape(self.capacity, -1)[(numbers - 1) % self.capacity] = slots

    def _clear_damage(self) -> None:
        unreadable = self._written.copy()  # slots of no number that was expected when it was opened
        unreadable[np.arange(self.oldest_seq - 1, self.last_seq) % self.capacity] = False
        unreadable[(self._holes[self._holes >= self.oldest_seq] - 1) % self.capacity] = True
        places = np.flatnonzero(unreadable)
        self._put(places + 1, np.zeros((len(places), self._slot_bytes), np.uint8))

    def _in_order(self) -> Records:
        """Intact records by number, those taken out among them (kind 0)."""
        self._written = np.zeros(self.capacity, np.bool_)
        found, is_any_intact = [_NO_RECORDS], False
        # Part by part, and only what is written: opening an empty log of 1 MB takes 0.3 ms, not 3, and 3 MB less.
        for start in range(0, self.capacity, _PART_SLOTS):
            slots = self._slots(start, min(start + _PART_SLOTS, self.capacity))
            words = slots.view(np.uint64)
            if not words.any():
                continue
            written = self._written[start : start + len(slots)]
            np.not_equal(np.bitwise_or.reduce(words.T, axis=0), 0, out=written)
            places = np.flatnonzero(written)
            chosen = slots if len(places) == len(slots) else slots[places]
            records, intact = self._codec.decode(chosen, np.ones(len(places), np.bool_))
            is_any_intact = is_any_intact or bool(intact.any())
            seq = records["seq"].astype(np.int64)
            usable = intact & (seq > 0) & ((seq - 1) % self.capacity == places + start)  # else it was copied there
            found.append(records if usable.all() else records[usable])
        if self.cipher is not None and self._header.key_tag == NO_TAG and self._written.any() and not is_any_intact:
            raise WrongKeyError(self.path, "its header is damaged, and this key opens no record", "pass the right key")
        # As plain bytes: numpy joins records field by field, which took 2 of the 8 ms of a full log.
        held = np.concatenate([part.view(_RECORD_BYTES) for part in found]).view(RECORD)
        # After power loss a page may still hold the lap before: those events had left the ring already.
        is_of_this_lap = held["seq"] > int(held["seq"].max(initial=0)) - self.capacity
        held = held if is_of_this_lap.all() else held[is_of_this_lap]
        ordered: Records = held[held["seq"].argsort(kind="stable")]
        return ordered

    def _survey(self, records: Records) -> None:
        """Take stock of what the file holds, and fix its header."""
        numbers = records["seq"].astype(np.int64)
        first = self._header.first_seq or (int(numbers[0]) if len(numbers) else 1)
        self.id_lost = self._header.log_id == UNKNOWN_ID
        header = self._header._replace(first_seq=first)
        self._header = _identified(header, self.cipher) if self.id_lost else header
        self._write_header()
        self.log_id = self._header.log_id
        self.last_seq = int(numbers[-1]) if len(numbers) else first - 1
        oldest = self.oldest_seq
        is_missing = np.ones(self.last_seq - oldest + 1, np.bool_)
        is_missing[numbers - oldest] = False
        self._holes = np.flatnonzero(is_missing) + oldest
        self._written[np.arange(oldest - 1, self.last_seq) % self.capacity] = False
        self.damaged = len(self._holes) + int(np.count_nonzero(self._written))
        taken = records["kind"] == 0
        self._erased = numbers[taken & (records["flags"] == ERASED)]
        self._expired = numbers[taken & (records["flags"] == EXPIRED)]
        self._recovered = records[~taken] if taken.any() else records

    def _write_header(self) -> None:
        content = self._header.pack()
        for part in (slice(0, ERASING.start), slice(ERASING.stop, HEADER_BYTES)):
            if self._map[part] != content[part]:
                self._map[part] = content[part]

    def _wipe(self) -> None:
        self._map[ERASING] = ERASE_MARK
        self._map.flush()
        self._map[HEADER_BYTES:] = bytes(len(self._map) - HEADER_BYTES)
        self._map.flush()
        self._header = _identified(self._header._replace(first_seq=1), self.cipher)
        self._write_header()
        self._codec.renew()
        self._map[ERASING] = bytes(len(ERASE_MARK))
        self._map.flush()


def _codec(cipher: Cipher | None) -> RecordCodec:
    return PlainRecords() if cipher is None else EncryptedRecords(cipher)


def _key_tag(log_id: bytes, cipher: Cipher) -> bytes:
    # Number 0 is never a record's, and the id is drawn like a salt: this nonce is used for nothing else.
    return cipher.tag(log_id + bytes(NONCE_BYTES - LOG_ID_BYTES), b"event log")


def _identified(header: LogHeader, cipher: Cipher | None) -> LogHeader:
    """The header with a new id, and the key's tag on it."""
    log_id = os.urandom(LOG_ID_BYTES)
    return header._replace(log_id=log_id, key_tag=NO_TAG if cipher is None else _key_tag(log_id, cipher))


def _unusable(path: Path, problem: OSError) -> StateUnusableError:
    return StateUnusableError(path, problem.strerror or str(problem))
