"""The snapshot file: memory on disk, so that events which the ring has dropped still count after the next opening.

The file has two slots of fixed size, written in turn and in place. A write that is cut short costs only the newer
snapshot, and erasing can overwrite every byte. A slot belongs to one log (the log's id) and, if the log is encrypted,
to the log's key; any other slot is ignored. A slot carries the tables that give its cells their meaning, so that a
bundle with other tables can inherit what still means the same (`memory/migration.py`); a file with other tables is then
replaced as a whole. Byte layout: docs/format.md.
"""

from __future__ import annotations

import os
import struct
import zlib
from contextlib import suppress
from typing import Final, NamedTuple

import numpy as np

from edge_sdk.limits import SNAPSHOT_BYTES_MAX
from edge_sdk.log import atomic_file
from edge_sdk.log.directory import FILE_MODE, Entry, restrict
from edge_sdk.log.encryption import NONCE_BYTES, TAG_BYTES, Cipher
from edge_sdk.log.header import LOG_ID_BYTES
from edge_sdk.log.open_file import OpenFile
from edge_sdk.memory.layout import MemoryLayout
from edge_sdk.memory.memory import Memory
from edge_sdk.state.snapshot_tables import READABLE, VERSION, fingerprint, least_bytes, pack_tables, read_tables

_MAGIC: Final = b"EDGEMEM"
_HEADER: Final = struct.Struct("<7sB32s8sIII")  # magic, version, fingerprint, log id, seq, newest decision, flags
_CRC: Final = struct.Struct("<I")
_CIPHER_BYTES: Final = NONCE_BYTES + TAG_BYTES
_SLOTS: Final = 2


class Snapshot(NamedTuple):
    """Memory as of one event."""

    memory: Memory  # of the layout of its file: read from a file with other tables, of those tables
    seq: int  # the newest event in memory
    decision: int  # the newest decision's id
    is_inherited: bool = False  # a former bundle, whose items had other categories, counted a part of it


class SnapshotFile:
    """The open file. Not thread-safe: the engine serialises.

    Attributes:
        is_new: there was no file before.
        is_foreign: the file has the tables of another bundle, or is useless; the next `write` replaces the file.
        next_slot: the slot that the next `write` overwrites: the older of the two.
    """

    is_new: bool
    is_foreign: bool

    def __init__(self, entry: Entry, layout: MemoryLayout) -> None:
        """Opens the file, or creates it with all its blocks reserved.

        Raises:
            StateUnusableError: it is no ordinary file.
            OSError: the file cannot be created; the engine then works without it.
        """
        self._entry, self._layout = entry, layout
        self._fingerprint, self._table_bytes = fingerprint(layout), len(pack_tables(layout))
        self._dump_bytes = len(Memory(layout).dump())
        content_bytes = _HEADER.size + self._table_bytes + self._dump_bytes + _CRC.size
        self._slot_bytes = content_bytes + _CIPHER_BYTES  # a plain slot leaves this room unused
        self._bytes_max = max(SNAPSHOT_BYTES_MAX, _SLOTS * self._slot_bytes)  # a larger file is nobody's snapshot
        atomic_file.recover(entry)
        self.next_slot = 0
        self._file, self.is_new = _opened(entry)
        try:
            size = os.fstat(self._file.number).st_size
            if not size:
                atomic_file.reserve(self._file, _SLOTS * self._slot_bytes)
                entry.directory.sync()
            self.is_foreign = size not in (0, _SLOTS * self._slot_bytes)
        except BaseException:
            self._file.close()
            if self.is_new:
                with suppress(OSError):
                    entry.unlink()
            raise

    def read(self, log_id: bytes | None, cipher: Cipher | None) -> Snapshot | None:
        """Returns the newest snapshot of this log, of any bundle; overwrites the file if it has none.

        Args:
            log_id: of the log; None = damage took the id, and any id will do.
            cipher: of the log.

        Raises:
            OSError: the disk refuses.
        """
        newest: Snapshot | None = None
        for slot in range(_SLOTS):
            found = self._read_slot(slot, log_id, cipher)
            if found is not None and (newest is None or (found.seq, found.decision) > (newest.seq, newest.decision)):
                newest, self.next_slot = found, (slot + 1) % _SLOTS
        if newest is None:
            self.erase()
        elif newest.memory.layout is not self._layout:
            self.is_foreign = True
        return newest

    def write(self, snapshot: Snapshot, log_id: bytes, cipher: Cipher | None) -> None:
        """Writes a snapshot over the older one; a foreign file is replaced as a whole, on disk.

        Args:
            snapshot: of the layout of this file.
            log_id: of the log.
            cipher: of the log.

        Raises:
            OSError: the disk refuses.
        """
        numbers = (snapshot.seq, snapshot.decision, snapshot.is_inherited)
        header = _HEADER.pack(_MAGIC, VERSION, self._fingerprint, log_id[:LOG_ID_BYTES], *numbers)
        body = header + _masked(pack_tables(self._layout), log_id) + snapshot.memory.dump()
        content = body + _CRC.pack(zlib.crc32(body))
        raw = content.ljust(self._slot_bytes, b"\x00") if cipher is None else cipher.encrypt(content)
        atomic_file.recover(self._entry)
        if self.is_foreign:
            self._replace(raw)
            return
        atomic_file.write_all(self._file, raw, self.next_slot * self._slot_bytes)
        self.next_slot = (self.next_slot + 1) % _SLOTS

    def erase(self) -> None:
        """Overwrites the whole file with zeros, on disk too.

        Raises:
            OSError: the disk refuses.
        """
        atomic_file.recover(self._entry)
        if os.fstat(self._file.number).st_size > self._bytes_max:  # perhaps terabytes of holes, and not of this engine
            os.ftruncate(self._file.number, 0)
            atomic_file.reserve(self._file, _SLOTS * self._slot_bytes)
            self.is_foreign = False
        atomic_file.overwrite(self._file)
        self.next_slot = 0

    def sync(self) -> None:
        """Returns when the file is on disk.

        Raises:
            OSError: the disk refuses.
        """
        os.fdatasync(self._file.number)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def restrict(self) -> None:
        """Lets only the user of the file in."""
        restrict(self._file, FILE_MODE)

    def _read_slot(self, slot: int, log_id: bytes | None, cipher: Cipher | None) -> Snapshot | None:
        size = os.fstat(self._file.number).st_size
        if size > self._bytes_max:
            return None
        slot_bytes = size // _SLOTS  # of the bundle that wrote the file
        raw = os.pread(self._file.number, slot_bytes, slot * slot_bytes)
        content = raw[:-_CIPHER_BYTES] if cipher is None else cipher.decrypt(raw)
        if content is None or len(content) < _HEADER.size + _CRC.size:
            return None
        body, crc = content[: -_CRC.size], content[-_CRC.size :]
        if _CRC.pack(zlib.crc32(body)) != crc:
            return None
        magic, version, of_layout, of_log, seq, decision, flags = _HEADER.unpack_from(body)
        if magic != _MAGIC or version not in READABLE or of_log != (log_id or of_log):
            return None
        try:
            memory = self._memory(body[_HEADER.size :], of_layout, of_log, version)
            return Snapshot(memory, seq, decision, bool(flags))
        except (ValueError, IndexError):  # by another implementation, or by somebody else: tables and dump do not fit
            return None

    def _memory(self, raw: bytes, of_layout: bytes, of_log: bytes, version: int) -> Memory:
        is_former = version < VERSION
        if of_layout == self._fingerprint:
            memory = Memory.load(self._layout, raw[self._table_bytes :], is_former=is_former)
            items, kinds, _ = memory.window.rows
            if items.max() > len(self._layout.items) or kinds.max() > len(self._layout.kinds):
                raise ValueError("rows beyond the vocabulary")
            return memory
        layout, at = read_tables(_masked(raw, of_log), version=version)
        if least_bytes(layout) > len(raw) - at:  # before anything of this size is made
            raise ValueError("the tables of a larger memory")
        return Memory.load(layout, raw[at:], is_former=is_former)

    def _replace(self, raw: bytes) -> None:
        """Replaces the file by one with this bundle's tables and one slot in use. A crash leaves one of both whole."""
        atomic_file.stage(self._entry, _SLOTS * self._slot_bytes, [raw])
        file = self._entry.with_suffix(".new").open()
        try:
            atomic_file.swap(self._entry)
        except BaseException:
            file.close()
            raise
        self._file.close()
        self._file, self.next_slot, self.is_foreign = file, 1, False
        atomic_file.recover(self._entry)


def _opened(entry: Entry) -> tuple[OpenFile, bool]:
    """Returns the open file, and whether it is new."""
    try:
        return entry.open(), False
    except FileNotFoundError:
        return entry.create(), True


def _masked(tables: bytes, log_id: bytes) -> bytes:
    """Returns tables xored with the log's id; of masked tables, the plain ones.

    The ids of the bundle's offers are no secret. But whoever searches the file for the id of an erased item must find
    that id only where there is a trace of the user.
    """
    given = np.frombuffer(tables, np.uint8)
    return np.bitwise_xor(given, np.resize(np.frombuffer(log_id, np.uint8), len(given))).tobytes()
