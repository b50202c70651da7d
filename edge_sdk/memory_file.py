"""Memory on disk: what the ring has dropped still counts after the next open, which replays the newest events only.

A file of two slots of fixed size, written in turn and in place: a write that is cut short costs the newer state only,
and erasing can overwrite every byte. A slot belongs to one log (its id), one bundle's tables (their fingerprint) and,
if the log is encrypted, its key; any other is passed over. Byte layout: docs/format.md.
"""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge_sdk.log_file import LOG_ID_BYTES, sync_folder, write_all
from edge_sdk.memory import Memory, MemoryLayout
from edge_sdk.sealing import NONCE_BYTES, TAG_BYTES, Seal

_MAGIC: Final = b"EDGEMEM\x02"
_HEADER: Final = struct.Struct("<8s32s8sII")  # magic and version, fingerprint, log id, seq, newest decision
_CRC: Final = struct.Struct("<I")
_SEAL_BYTES: Final = NONCE_BYTES + TAG_BYTES
_SLOTS: Final = 2


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """Memory as of one event."""

    memory: Memory
    seq: int  # the newest event in it
    decision: int  # the newest decision's id


class MemoryFile:
    """The file. Not thread-safe: the engine serialises.

    Attributes:
        next_slot: where the next state goes: over the older of the two.
    """

    def __init__(self, path: Path, layout: MemoryLayout) -> None:
        """Open the file, or make it with all its blocks reserved.

        Raises:
            OSError: it cannot be made; the engine then works without it.
        """
        self.path, self._layout = path, layout
        self._fingerprint = layout.fingerprint()
        self._content_bytes = _HEADER.size + len(Memory(layout).dump()) + _CRC.size
        self._slot_bytes = self._content_bytes + _SEAL_BYTES  # a plain slot leaves the room for a seal unused
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.next_slot = 0  # the one to write
        try:
            size = os.fstat(self._file).st_size
            if size != _SLOTS * self._slot_bytes:  # new, or of a bundle with other tables
                self._overwrite(size)
                os.ftruncate(self._file, 0)  # a file of the right size has all its blocks
                os.posix_fallocate(self._file, 0, _SLOTS * self._slot_bytes)
                sync_folder(path)
        except OSError:
            os.close(self._file)
            raise

    def read(self, log_id: bytes | None, seal: Seal | None) -> Kept | None:
        """The newest state of this log. What belongs to no log that is left is overwritten.

        Args:
            log_id: of the log; None = damage took it, any will do.
            seal: of the log.
        """
        found: Kept | None = None
        for slot in range(_SLOTS):
            kept = self._read_slot(slot, log_id, seal)
            if kept is not None and (found is None or kept.seq > found.seq):
                found, self.next_slot = kept, (slot + 1) % _SLOTS
        if found is None:
            self.erase()
        return found

    def write(self, kept: Kept, log_id: bytes, seal: Seal | None) -> None:
        """Keep this state, over the older one.

        Raises:
            OSError: the disk refuses.
        """
        header = _HEADER.pack(_MAGIC, self._fingerprint, log_id[:LOG_ID_BYTES], kept.seq, kept.decision)
        body = header + kept.memory.dump()
        content = body + _CRC.pack(zlib.crc32(body))
        raw = content.ljust(self._slot_bytes, b"\x00") if seal is None else seal.close(content)
        write_all(self._file, raw, self.next_slot * self._slot_bytes)
        self.next_slot = (self.next_slot + 1) % _SLOTS

    def erase(self) -> None:
        """Overwrite both slots with zeros, on disk too.

        Raises:
            OSError: the disk refuses.
        """
        self._overwrite(_SLOTS * self._slot_bytes)
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

    def _read_slot(self, slot: int, log_id: bytes | None, seal: Seal | None) -> Kept | None:
        raw = os.pread(self._file, self._slot_bytes, slot * self._slot_bytes)
        content = raw[: self._content_bytes] if seal is None else seal.open(raw)
        if content is None or len(content) != self._content_bytes:
            return None
        body, crc = content[: -_CRC.size], content[-_CRC.size :]
        if _CRC.pack(zlib.crc32(body)) != crc:
            return None
        magic, fingerprint, of_log, seq, decision = _HEADER.unpack_from(body)
        if magic != _MAGIC or fingerprint != self._fingerprint or of_log != (log_id or of_log):
            return None
        return Kept(Memory.load(self._layout, body[_HEADER.size :]), seq, decision)

    def _overwrite(self, size: int) -> None:
        if size:
            write_all(self._file, bytes(size), 0)
            os.fsync(self._file)
