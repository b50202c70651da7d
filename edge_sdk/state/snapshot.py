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
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from edge_sdk.log import atomic_file
from edge_sdk.log.encryption import NONCE_BYTES, TAG_BYTES, Cipher
from edge_sdk.log.header import LOG_ID_BYTES
from edge_sdk.memory.layout import MemoryLayout
from edge_sdk.memory.memory import Memory
from edge_sdk.state.snapshot_tables import READABLE, VERSION, fingerprint, pack_tables, read_tables

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
        path: of the file.
        is_foreign: the file has the tables of another bundle, or is useless; the next `write` replaces the file.
        next_slot: the slot that the next `write` overwrites: the older of the two.
    """

    path: Path
    is_foreign: bool

    def __init__(self, path: Path, layout: MemoryLayout) -> None:
        """Opens the file, or creates it with all its blocks reserved.

        Raises:
            OSError: the file cannot be created; the engine then works without it.
        """
        self.path, self._layout = path, layout
        self._fingerprint, self._table_bytes = fingerprint(layout), len(pack_tables(layout))
        content_bytes = _HEADER.size + self._table_bytes + len(Memory(layout).dump()) + _CRC.size
        self._slot_bytes = content_bytes + _CIPHER_BYTES  # a plain slot leaves this room unused
        atomic_file.recover(path)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.next_slot = 0
        try:
            size = os.fstat(self._file).st_size
            if not size:
                os.posix_fallocate(self._file, 0, _SLOTS * self._slot_bytes)
                atomic_file.sync_folder(path)
            self.is_foreign = size not in (0, _SLOTS * self._slot_bytes)
        except OSError:
            os.close(self._file)
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
        atomic_file.recover(self.path)
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
        atomic_file.recover(self.path)
        atomic_file.overwrite(self._file)
        self.next_slot = 0

    def sync(self) -> None:
        """Returns when the file is on disk.

        Raises:
            OSError: the disk refuses.
        """
        os.fdatasync(self._file)

    def close(self) -> None:
        """Closes the file."""
        os.close(self._file)

    def _read_slot(self, slot: int, log_id: bytes | None, cipher: Cipher | None) -> Snapshot | None:
        slot_bytes = os.fstat(self._file).st_size // _SLOTS  # of the bundle that wrote the file
        raw = os.pread(self._file, slot_bytes, slot * slot_bytes)
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
        except ValueError:  # written by another implementation: tables and dump do not fit
            return None

    def _memory(self, raw: bytes, of_layout: bytes, of_log: bytes, version: int) -> Memory:
        is_former = version < VERSION
        if of_layout == self._fingerprint:
            return Memory.load(self._layout, raw[self._table_bytes :], is_former=is_former)
        layout, at = read_tables(_masked(raw, of_log), version=version)
        return Memory.load(layout, raw[at:], is_former=is_former)

    def _replace(self, raw: bytes) -> None:
        """Replaces the file by one with this bundle's tables and one slot in use. A crash leaves one of both whole."""
        atomic_file.stage(self.path, _SLOTS * self._slot_bytes, raw)
        file = os.open(self.path.with_suffix(".new"), os.O_RDWR | os.O_CLOEXEC)
        try:
            atomic_file.swap(self.path)
        except OSError:
            os.close(file)
            raise
        os.close(self._file)
        self._file, self.next_slot, self.is_foreign = file, 1, False
        atomic_file.recover(self.path)


def _masked(tables: bytes, log_id: bytes) -> bytes:
    """Returns tables xored with the log's id; of masked tables, the plain ones.

    The ids of the bundle's offers are no secret. But whoever searches the file for the id of an erased item must find
    that id only where there is a trace of the user.
    """
    given = np.frombuffer(tables, np.uint8)
    return np.bitwise_xor(given, np.resize(np.frombuffer(log_id, np.uint8), len(given))).tobytes()
