"""The event log: a ring of 32-byte records in a memory-mapped file of fixed size.

A record that `append` returned from is in the kernel's page cache: it survives the death of the process. Each record
carries its own checksum and sequence number, so opening needs no journal: it reads what is intact and counts the rest.
Byte layout: docs/format.md. The record is `struct Event` of format/edge.fbs.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import struct
import zlib
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from edge_sdk.config import LOG_BYTES_MAX, LOG_BYTES_MIN, LOG_VERSION
from edge_sdk.errors import LogVersionError, StateFullError, StateOwnedError, StateUnusableError

RECORD: Final = np.dtype(
    [
        ("seq", "<u4"),
        ("time_s", "<u4"),
        ("time_ms", "<u2"),
        ("kind", "<u2"),
        ("item", "<u4"),
        ("value", "<f4"),
        ("decision", "<u4"),
        ("flags", "<u2"),
        ("reserved", "<u2"),
        ("crc", "<u4"),
    ]
)
Records = npt.NDArray[np.void]  # of dtype RECORD

_RECORD_BYTES: Final = 32
_HEADER_BYTES: Final = 64
_MAGIC: Final = b"EDGELOG\x00"
_HEADER: Final = struct.Struct("<8sIII")  # magic, version, bytes a record, capacity in records
_ERASING: Final = slice(24, 28)  # holds `_MARK` while an erase is under way
_MARK: Final = b"WIPE"  # four bytes: no damage to one of them can look like an erase
_BODY: Final = struct.Struct("<IIHHIfIHH")  # a record without its crc
_CRC: Final = struct.Struct("<I")


class FolderLock:
    """Holds a state folder for one engine. The kernel frees it when its process dies, however that happens."""

    def __init__(self, folder: Path) -> None:
        """Take the folder, making it if need be.

        Raises:
            StateOwnedError: another engine has it.
            StateUnusableError: it cannot be made or written.
        """
        path = folder / "owner.lock"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as problem:
            raise StateUnusableError(path, problem.strerror or str(problem)) from problem
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as problem:
            owner = os.read(self._file, 64).decode("ascii", "replace") or "another process"
            os.close(self._file)
            raise StateOwnedError(folder, owner) from problem
        try:
            os.ftruncate(self._file, 0)
            os.write(self._file, f"process {os.getpid()}".encode())
        except OSError:
            pass  # a full disk: the lock holds all the same, only the owner's name is missing

    def release(self) -> None:
        """Let the folder go."""
        os.close(self._file)


class EventLog:
    """The ring. Not thread-safe by itself: the engine serialises its calls."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        """Open the log at `path`, or make one of `size_bytes`; an existing log keeps its size.

        Raises:
            StateFullError: no room to reserve the whole file.
            LogVersionError: the file is not an event log of this version. It is not touched.
            StateUnusableError: it cannot be read or written, or `size_bytes` is out of range.
        """
        if not LOG_BYTES_MIN <= size_bytes <= LOG_BYTES_MAX:
            raise StateUnusableError(path, f"log_bytes={size_bytes} is not within {LOG_BYTES_MIN}..{LOG_BYTES_MAX}")
        self.path = path
        try:
            if not path.exists():
                _create(path, (size_bytes - _HEADER_BYTES) // _RECORD_BYTES)
            self._map, self.capacity = _map(path)
        except OSError as problem:
            raise StateUnusableError(path, problem.strerror or str(problem)) from problem
        if self._map[_ERASING] == _MARK:  # killed while erasing: what was to be forgotten stays forgotten
            self._wipe()
        self._recovered, self.damaged = self._scan()
        self.count = len(self._recovered)  # intact records
        self.last_seq = int(self._recovered["seq"][-1]) if self.count else 0

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
        body = _BODY.pack(seq, time_ms // 1000, time_ms % 1000, kind, item, value, decision, 0, 0)
        at = _HEADER_BYTES + (seq - 1) % self.capacity * _RECORD_BYTES
        self._map[at : at + _RECORD_BYTES] = body + _CRC.pack(zlib.crc32(body))
        self.last_seq = seq
        if self.count < self.capacity:
            self.count += 1
        return seq

    def recovered(self) -> Records:
        """What was intact at opening, oldest first; handed out once, so that opening reads the file once."""
        records, self._recovered = self._recovered, np.zeros(0, RECORD)
        return records

    def read(self) -> Records:
        """All intact records, oldest first (a copy)."""
        return self._scan()[0]

    def erase(self) -> None:
        """Overwrite every record with zeros, on disk too. Sequence numbers start at 1 again."""
        self._wipe()
        self._recovered = np.zeros(0, RECORD)
        self.last_seq = self.count = self.damaged = 0

    def sync(self) -> None:
        """Ask the kernel to write the log to the disk; returns when it has."""
        self._map.flush()

    def close(self) -> None:
        """Write out and unmap."""
        self._map.flush()
        self._map.close()

    def _wipe(self) -> None:
        self._map[_ERASING] = _MARK
        self._map.flush()
        self._map[_HEADER_BYTES:] = bytes(len(self._map) - _HEADER_BYTES)
        self._map.flush()
        self._map[_ERASING] = bytes(len(_MARK))
        self._map.flush()

    def _scan(self) -> tuple[Records, int]:
        """Intact records in order, and how many are damaged."""
        raw = self._map[_HEADER_BYTES : _HEADER_BYTES + self.capacity * _RECORD_BYTES]
        records = np.frombuffer(raw, RECORD)
        written = np.flatnonzero(np.frombuffer(raw, "<u8").reshape(-1, 4).any(axis=1))
        crcs = [zlib.crc32(raw[i * _RECORD_BYTES : i * _RECORD_BYTES + _RECORD_BYTES - 4]) for i in written.tolist()]
        seq = records["seq"][written].astype(np.int64)
        in_place = (seq > 0) & ((seq - 1) % self.capacity == written)
        intact = written[in_place & (np.array(crcs, np.uint32) == records["crc"][written])]
        intact = intact[np.argsort(records["seq"][intact], kind="stable")]
        last = int(records["seq"][intact[-1]]) if len(intact) else 0
        # After power loss a page may still hold the lap before: those events had left the ring already.
        intact = intact[records["seq"][intact] > last - self.capacity]
        lost = min(last, self.capacity) - len(intact)  # holes before the newest
        torn = int(np.count_nonzero(written >= last)) if last < self.capacity else 0  # garbage after it
        return records[intact], lost + torn


def _create(path: Path, capacity: int) -> None:
    """Make the file under another name with all its blocks reserved, then rename: it is whole or absent."""
    fresh = path.with_suffix(".new")
    size = _HEADER_BYTES + capacity * _RECORD_BYTES
    header = _HEADER.pack(_MAGIC, LOG_VERSION, _RECORD_BYTES, capacity)
    file = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        # Reserved now, so that no later write into the map can meet a full disk (it would be a SIGBUS).
        os.posix_fallocate(file, 0, size)
        os.pwrite(file, header + _CRC.pack(zlib.crc32(header)), 0)
        os.fsync(file)
    except OSError as problem:
        os.unlink(fresh)
        if problem.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
            raise StateFullError(path, size) from problem
        raise
    finally:
        os.close(file)
    os.replace(fresh, path)


def _map(path: Path) -> tuple[mmap.mmap, int]:
    """Map an existing log; mends a damaged header or a cut end, never the records."""
    file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        size = os.fstat(file).st_size
        capacity = _capacity(path, os.pread(file, _HEADER_BYTES, 0), size)
        whole = _HEADER_BYTES + capacity * _RECORD_BYTES
        if size < whole:
            os.posix_fallocate(file, 0, whole)  # a cut end reads as records never written
        header = _HEADER.pack(_MAGIC, LOG_VERSION, _RECORD_BYTES, capacity)
        os.pwrite(file, header + _CRC.pack(zlib.crc32(header)), 0)
        return mmap.mmap(file, whole), capacity
    except OSError as problem:
        if problem.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
            raise StateFullError(path, size) from problem
        raise
    finally:
        os.close(file)


def _capacity(path: Path, header: bytes, size: int) -> int:
    """Records that the file holds: from the header, or from the file's size when the header is damaged."""
    fields = header[: _HEADER.size]
    crc = header[_HEADER.size : _HEADER.size + 4]
    if len(crc) == 4 and zlib.crc32(fields) == _CRC.unpack(crc)[0]:
        magic, version, record_bytes, capacity = _HEADER.unpack(fields)
        if magic == _MAGIC and version == LOG_VERSION and record_bytes == _RECORD_BYTES:
            if _HEADER_BYTES + capacity * _RECORD_BYTES <= LOG_BYTES_MAX and capacity > 0:
                return int(capacity)
            raise LogVersionError(path, f"it claims {capacity} records", LOG_VERSION)
        raise LogVersionError(path, f"it is version {version} of {magic!r}", LOG_VERSION)
    # A log whose header took the damage still has the right size and some of the right first bytes.
    agreeing = sum(a == b for a, b in zip(fields[:8], _MAGIC, strict=False))
    if agreeing >= 4 and size >= LOG_BYTES_MIN - _RECORD_BYTES and (size - _HEADER_BYTES) % _RECORD_BYTES == 0:
        return (size - _HEADER_BYTES) // _RECORD_BYTES
    raise LogVersionError(path, "it is no event log", LOG_VERSION)
