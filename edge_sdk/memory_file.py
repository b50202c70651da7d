"""Memory on disk: what the ring has dropped still counts after the next open, which replays the newest events only.

A file of two slots of fixed size, written in turn and in place: a write that is cut short costs the newer state only,
and erasing can overwrite every byte. It is a cache of the log: when it is missing, damaged, of another bundle or ahead
of the log, memory is rebuilt from what the log holds. Byte layout: docs/format.md.
"""

from __future__ import annotations

import os
import struct
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Final

from edge_sdk.memory import Memory, MemoryLayout

_MAGIC: Final = b"EDGEMEM\x01"
_HEADER: Final = struct.Struct("<8s32sII")  # magic and version, fingerprint of the layout, seq, newest decision
_CRC: Final = struct.Struct("<I")
_SLOTS: Final = 2


class MemoryFile:
    """The file. Not thread-safe: the engine serialises."""

    def __init__(self, path: Path, layout: MemoryLayout) -> None:
        """Open the file, or make it with all its blocks reserved.

        Raises:
            OSError: it cannot be made; the engine then works without it.
        """
        self._layout = layout
        self._fingerprint = layout.fingerprint()
        self._slot_bytes = _HEADER.size + len(Memory(layout).dump()) + _CRC.size
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._seqs = [0] * _SLOTS
        try:
            size = os.fstat(self._file).st_size
            if size != _SLOTS * self._slot_bytes:  # new, or of a bundle with other tables
                self._overwrite(size)
                os.ftruncate(self._file, _SLOTS * self._slot_bytes)
                os.posix_fallocate(self._file, 0, _SLOTS * self._slot_bytes)
        except OSError:
            os.close(self._file)
            raise

    def read(self, oldest_seq: int, newest_seq: int) -> tuple[Memory, int, int] | None:
        """The newest state whose next event the log still holds.

        Args:
            oldest_seq: memory must hold everything before this event of the log.
            newest_seq: of the log. A state beyond it is of a log that is gone, and is overwritten.

        Returns:
            Memory, the newest event in it, and the newest decision's id; None = rebuild from the log.
        """
        found: tuple[Memory, int, int] | None = None
        for slot in range(_SLOTS):
            raw = os.pread(self._file, self._slot_bytes, slot * self._slot_bytes)
            body, crc = raw[: -_CRC.size], raw[-_CRC.size :]
            if len(raw) != self._slot_bytes or _CRC.pack(zlib.crc32(body)) != crc:
                continue
            magic, fingerprint, seq, decision = _HEADER.unpack_from(body)
            if magic != _MAGIC or fingerprint != self._fingerprint:
                continue
            if seq > newest_seq:
                self.erase()
                return None
            self._seqs[slot] = seq
            if seq + 1 >= oldest_seq and (found is None or seq > found[1]):
                found = (Memory.load(self._layout, body[_HEADER.size :]), seq, decision)
        return found

    def write(self, memory: Memory, seq: int, decision: int) -> None:
        """Keep this state, over the older one. A failure is passed over: the log has the events all the same."""
        slot = self._seqs.index(min(self._seqs))
        body = _HEADER.pack(_MAGIC, self._fingerprint, seq, decision) + memory.dump()
        with suppress(OSError):
            os.pwrite(self._file, body + _CRC.pack(zlib.crc32(body)), slot * self._slot_bytes)
            self._seqs[slot] = seq

    def erase(self) -> None:
        """Overwrite both slots with zeros, on disk too."""
        self._overwrite(_SLOTS * self._slot_bytes)
        self._seqs = [0] * _SLOTS

    def close(self) -> None:
        """Let the file go."""
        os.close(self._file)

    def _overwrite(self, size: int) -> None:
        if size:
            os.pwrite(self._file, bytes(size), 0)
            os.fsync(self._file)
