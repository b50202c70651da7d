"""The event log as a file: its header, and how it is made and mapped."""

from __future__ import annotations

import errno
import mmap
import os
import struct
import zlib
from pathlib import Path
from typing import Final, NamedTuple

from edge_sdk.errors import InvalidValueError, LogVersionError, StateFullError
from edge_sdk.limits import LOG_BYTES_MAX, LOG_BYTES_MIN, LOG_VERSION
from edge_sdk.log import atomic_file as replacing
from edge_sdk.log.encrypted_record import ENCRYPTED_SLOT_BYTES
from edge_sdk.log.encryption import TAG_BYTES
from edge_sdk.log.record import PLAIN_SLOT_BYTES

HEADER_BYTES: Final = 64
LOG_ID_BYTES: Final = 8
ERASING: Final = slice(24, 28)  # holds `ERASE_MARK` while an erase is under way
ERASE_MARK: Final = b"WIPE"  # four bytes: no damage to one of them can look like an erase
UNKNOWN_ID: Final = bytes(LOG_ID_BYTES)
NO_TAG: Final = bytes(TAG_BYTES)

_MAGIC: Final = b"EDGELOG\x00"
_SHAPE: Final = struct.Struct("<8sIII")  # magic, version, bytes a slot, capacity
_IDENTITY: Final = struct.Struct("<I8s16s4x")  # first sequence number, log id, key tag
_IDENTITY_AT: Final = 28
_CRC: Final = struct.Struct("<I")
_FULL: Final = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)


class LogHeader(NamedTuple):
    """What the first 64 bytes say."""

    slot_bytes: int  # 32 plain, 64 encrypted
    capacity: int  # slots
    first_seq: int = 1  # numbers before it were never in this file; 0 = the header was damaged there
    log_id: bytes = UNKNOWN_ID  # random; kept memory of another id is not of this log
    key_tag: bytes = NO_TAG  # what the log's key makes of its id; zeros in a plain log, or where it was damaged

    @property
    def is_sealed(self) -> bool:
        """Whether records are encrypted."""
        return self.slot_bytes == ENCRYPTED_SLOT_BYTES

    @property
    def file_bytes(self) -> int:
        """Size of the whole file."""
        return HEADER_BYTES + self.capacity * self.slot_bytes

    def pack(self) -> bytes:
        """The 64 bytes."""
        shape = _SHAPE.pack(_MAGIC, LOG_VERSION, self.slot_bytes, self.capacity)
        identity = _IDENTITY.pack(self.first_seq, self.log_id, self.key_tag)
        return shape + _crc(shape) + bytes(4) + identity + _crc(identity)


def read_header(path: Path, raw: bytes, size: int, *, with_key: bool) -> LogHeader:
    """The header of a file of `size` bytes that begins with `raw`.

    Args:
        path: for the error.
        raw: the first 64 bytes, or fewer.
        size: of the file.
        with_key: the caller has a key: taken for a sign of an encrypted log where the header is damaged throughout.

    Raises:
        LogVersionError: another version, or no event log.
    """
    shape, identity = raw[: _SHAPE.size], raw[_IDENTITY_AT : _IDENTITY_AT + _IDENTITY.size]
    first_seq, log_id, key_tag = 0, UNKNOWN_ID, NO_TAG
    if raw[_IDENTITY_AT + _IDENTITY.size :] == _crc(identity) and len(raw) == HEADER_BYTES:
        first_seq, log_id, key_tag = _IDENTITY.unpack(identity)
        with_key = key_tag != NO_TAG
    if raw[_SHAPE.size : _SHAPE.size + _CRC.size] == _crc(shape):
        magic, version, slot_bytes, capacity = _SHAPE.unpack(shape)
        if magic != _MAGIC or version != LOG_VERSION or slot_bytes not in (PLAIN_SLOT_BYTES, ENCRYPTED_SLOT_BYTES):
            raise LogVersionError(path, f"it is version {version} of {magic!r}", LOG_VERSION)
        header = LogHeader(slot_bytes, capacity, first_seq, log_id, key_tag)
        if not capacity or header.file_bytes > LOG_BYTES_MAX:
            raise LogVersionError(path, f"it claims {capacity} records", LOG_VERSION)
        return header
    # A log whose header took the damage still has the right size and some of the right first bytes.
    slot_bytes = ENCRYPTED_SLOT_BYTES if with_key else PLAIN_SLOT_BYTES
    agreeing = sum(a == b for a, b in zip(raw[:8], _MAGIC, strict=False))
    if agreeing >= 4 and size >= LOG_BYTES_MIN - slot_bytes and (size - HEADER_BYTES) % slot_bytes == 0:
        return LogHeader(slot_bytes, (size - HEADER_BYTES) // slot_bytes, first_seq, log_id, key_tag)
    raise LogVersionError(path, "it is no event log", LOG_VERSION)


def is_cut_to_a_stub(path: Path) -> bool:
    """Whether the file is the beginning of a log, cut before it says anything."""
    with path.open("rb") as file:
        raw = file.read(_SHAPE.size + _CRC.size)
    return len(raw) < _SHAPE.size + _CRC.size and raw[:8] == _MAGIC[: len(raw)]


def capacity_of(file_bytes: int, slot_bytes: int = PLAIN_SLOT_BYTES) -> int:
    """How many slots a file of this size has.

    Raises:
        InvalidValueError: the size is out of range.
    """
    if type(file_bytes) is not int or not LOG_BYTES_MIN <= file_bytes <= LOG_BYTES_MAX:
        raise InvalidValueError("log_bytes", file_bytes)
    return (file_bytes - HEADER_BYTES) // slot_bytes


def create(path: Path, header: LogHeader, slots: bytes = b"") -> None:
    """Make the log beside `path` as .new, whole and on disk; nothing else changes.

    Raises:
        StateFullError: no room; nothing is left behind.
        OSError: it cannot be written.
    """
    try:
        replacing.create(path, header.file_bytes, header.pack() + slots)
    except OSError as problem:
        if problem.errno in _FULL:
            raise StateFullError(path, header.file_bytes) from problem
        raise


def open_map(path: Path, file_path: Path, *, with_key: bool) -> tuple[LogHeader, int, mmap.mmap]:
    """Map an existing log; a cut end is lengthened with zeros, records are never fixed.

    Args:
        path: of the log, for errors.
        file_path: where its file is now.
        with_key: the caller has a key.

    Returns:
        The header, the open file, the whole file as a map.

    Raises:
        StateFullError: no room to lengthen it.
        LogVersionError: it is no log of this version.
        OSError: it cannot be opened.
    """
    file = os.open(file_path, os.O_RDWR | os.O_CLOEXEC)
    try:
        size = os.fstat(file).st_size
        header = read_header(path, os.pread(file, HEADER_BYTES, 0), size, with_key=with_key)
        if size < header.file_bytes:
            os.posix_fallocate(file, 0, header.file_bytes)
        return header, file, mmap.mmap(file, header.file_bytes)
    except BaseException as problem:
        os.close(file)
        if isinstance(problem, OSError) and problem.errno in _FULL:
            raise StateFullError(path, size) from problem
        raise


def _crc(content: bytes) -> bytes:
    return _CRC.pack(zlib.crc32(content))
