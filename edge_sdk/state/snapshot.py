"""Memory on disk: what the ring has dropped still counts after the next open, which replays the newest events only.

A file of two slots of fixed size, written in turn and in place: a write that is cut short costs the newer state only,
and erasing can overwrite every byte. A slot belongs to one log (its id) and, if the log is encrypted, to its key; any
other is passed over. It carries the tables that its cells are of, so that a bundle with other tables can take over what
still means the same (`memory/migration.py`); a file of other tables is then replaced as a whole. Byte layout:
docs/format.md.
"""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from edge_sdk.log import atomic_file as replacing
from edge_sdk.log.encryption import NONCE_BYTES, TAG_BYTES, Cipher
from edge_sdk.log.header import LOG_ID_BYTES
from edge_sdk.memory.layout import MemoryLayout
from edge_sdk.memory.memory import Memory
from edge_sdk.state.snapshot_tables import VERSION, fingerprint, pack_tables, read_tables

_MAGIC: Final = b"EDGEMEM"
_READABLE: Final = (3, VERSION)
_HEADER: Final = struct.Struct("<7sB32s8sIII")  # magic, version, fingerprint, log id, seq, newest decision, flags
_CRC: Final = struct.Struct("<I")
_SEAL_BYTES: Final = NONCE_BYTES + TAG_BYTES
_SLOTS: Final = 2


class Snapshot(NamedTuple):
    """Memory as of one event."""

    memory: Memory  # read from a file of other tables, it is of their layout
    seq: int  # the newest event in it
    decision: int  # the newest decision's id
    is_inherited: bool = False  # some of it was counted under a former bundle, whose items had other categories


class SnapshotFile:
    """The file. Not thread-safe: the engine serialises.

    Attributes:
        path: the file.
        is_foreign: it is of another bundle's tables, or useless; the next `write` replaces it.
        next_slot: where the next state goes: over the older of the two.
    """

    path: Path
    is_foreign: bool

    def __init__(self, path: Path, layout: MemoryLayout) -> None:
        """Open the file, or make it with all its blocks reserved.

        Raises:
            OSError: it cannot be made; the engine then works without it.
        """
        self.path, self._layout = path, layout
        self._fingerprint, self._table_bytes = fingerprint(layout), len(pack_tables(layout))
        content_bytes = _HEADER.size + self._table_bytes + len(Memory(layout).dump()) + _CRC.size
        self._slot_bytes = content_bytes + _SEAL_BYTES  # a plain slot leaves the room for a seal unused
        replacing.finish(path)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.next_slot = 0  # the one to write
        try:
            size = os.fstat(self._file).st_size
            if not size:
                os.posix_fallocate(self._file, 0, _SLOTS * self._slot_bytes)
                replacing.sync_folder(path)
            self.is_foreign = size not in (0, _SLOTS * self._slot_bytes)
        except OSError:
            os.close(self._file)
            raise

    def read(self, log_id: bytes | None, cipher: Cipher | None) -> Snapshot | None:
        """The newest state of this log, of whatever bundle. What belongs to no log that is left is overwritten.

        Args:
            log_id: of the log; None = damage took it, any will do.
            seal: of the log.

        Raises:
            OSError: the disk refuses.
        """
        found: Snapshot | None = None
        for slot in range(_SLOTS):
            kept = self._read_slot(slot, log_id, cipher)
            if kept is not None and (found is None or (kept.seq, kept.decision) > (found.seq, found.decision)):
                found, self.next_slot = kept, (slot + 1) % _SLOTS
        if found is None:
            self.erase()
        elif found.memory.layout is not self._layout:
            self.is_foreign = True
        return found

    def write(self, kept: Snapshot, log_id: bytes, cipher: Cipher | None) -> None:
        """Keep this state, over the older one; over all that there is if it is of other tables, and then on disk.

        Args:
            kept: of this file's layout.
            log_id: of the log.
            seal: of the log.

        Raises:
            OSError: the disk refuses.
        """
        counts = (kept.seq, kept.decision, kept.is_inherited)
        header = _HEADER.pack(_MAGIC, VERSION, self._fingerprint, log_id[:LOG_ID_BYTES], *counts)
        body = header + _masked(pack_tables(self._layout), log_id) + kept.memory.dump()
        content = body + _CRC.pack(zlib.crc32(body))
        raw = content.ljust(self._slot_bytes, b"\x00") if cipher is None else cipher.close(content)
        replacing.finish(self.path)
        if self.is_foreign:
            self._replace(raw)
            return
        replacing.write_all(self._file, raw, self.next_slot * self._slot_bytes)
        self.next_slot = (self.next_slot + 1) % _SLOTS

    def erase(self) -> None:
        """Overwrite all of it with zeros, on disk too.

        Raises:
            OSError: the disk refuses.
        """
        replacing.finish(self.path)
        replacing.overwrite(self._file)
        self.next_slot = 0

    def sync(self) -> None:
        """Returns when the file is on disk.

        Raises:
            OSError: the disk refuses.
        """
        os.fdatasync(self._file)

    def close(self) -> None:
        """Let the file go."""
        os.close(self._file)

    def _read_slot(self, slot: int, log_id: bytes | None, cipher: Cipher | None) -> Snapshot | None:
        slot_bytes = os.fstat(self._file).st_size // _SLOTS  # as whoever wrote the file had it
        raw = os.pread(self._file, slot_bytes, slot * slot_bytes)
        content = raw[:-_SEAL_BYTES] if cipher is None else cipher.open(raw)
        if content is None or len(content) < _HEADER.size + _CRC.size:
            return None
        body, crc = content[: -_CRC.size], content[-_CRC.size :]
        if _CRC.pack(zlib.crc32(body)) != crc:
            return None
        magic, version, of_layout, of_log, seq, decision, flags = _HEADER.unpack_from(body)
        if magic != _MAGIC or version not in _READABLE or of_log != (log_id or of_log):
            return None
        try:
            memory = self._memory(body[_HEADER.size :], of_layout, of_log, version)
            return Snapshot(memory, seq, decision, bool(flags))
        except ValueError:  # written by another implementation: its tables and its dump do not fit
            return None

    def _memory(self, raw: bytes, of_layout: bytes, of_log: bytes, version: int) -> Memory:
        if of_layout == self._fingerprint:
            return Memory.load(self._layout, raw[self._table_bytes :])
        layout, at = read_tables(_masked(raw, of_log), version=version)
        return Memory.load(layout, raw[at:])

    def _replace(self, raw: bytes) -> None:
        """By a file of this bundle's tables with one slot in it. Killed at any point, one of both files is whole."""
        replacing.create(self.path, _SLOTS * self._slot_bytes, raw)
        file = os.open(self.path.with_suffix(".new"), os.O_RDWR | os.O_CLOEXEC)
        try:
            replacing.give_way(self.path)
        except OSError:
            os.close(file)
            raise
        os.close(self._file)
        self._file, self.next_slot, self.is_foreign = file, 1, False
        replacing.finish(self.path)


def _masked(tables: bytes, log_id: bytes) -> bytes:
    """Tables xored with the log's id; masked ones in clear.

    The ids of the bundle's offers are no secret, but so whoever looks for an erased item's id in the file finds it only
    where there is a trace of the user.
    """
    given = np.frombuffer(tables, np.uint8)
    return np.bitwise_xor(given, np.resize(np.frombuffer(log_id, np.uint8), len(given))).tobytes()
