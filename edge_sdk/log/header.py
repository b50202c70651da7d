"""The header of the event log's file, and how the file is staged and opened."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Final, NamedTuple

from edge_sdk.errors import InvalidValueError, LogVersionError
from edge_sdk.limits import LOG_BYTES_MAX, LOG_BYTES_MIN, LOG_VERSION
from edge_sdk.log import atomic_file
from edge_sdk.log.directory import Entry
from edge_sdk.log.encrypted_record import ENCRYPTED_SLOT_BYTES
from edge_sdk.log.encryption import NONCE_BYTES, TAG_BYTES, Cipher
from edge_sdk.log.file_access import FileAccess, LogAccess, disk_error, open_access
from edge_sdk.log.record import PLAIN_SLOT_BYTES

HEADER_BYTES: Final = 64
LOG_ID_BYTES: Final = 8
ERASING: Final = slice(24, 28)  # contains `ERASE_MARK` while an erase is under way
ERASE_MARK: Final = b"WIPE"  # four bytes: no damage to one of them can look like an erase
UNKNOWN_ID: Final = bytes(LOG_ID_BYTES)
NO_TAG: Final = bytes(TAG_BYTES)

_MAGIC: Final = b"EDGELOG\x00"
_READABLE: Final = (1, LOG_VERSION)  # a record of version 1 has no UTC offset, and only the low word of its item's id
_SHAPE: Final = struct.Struct("<8sIII")  # magic, version, bytes a slot, capacity
_IDENTITY: Final = struct.Struct("<I8s16s4x")  # first sequence number, log id, key tag
_IDENTITY_AT: Final = 28
_CRC: Final = struct.Struct("<I")


class LogHeader(NamedTuple):
    """The content of the first 64 bytes."""

    slot_bytes: int  # 32 plain, 64 encrypted
    capacity: int  # slots
    first_seq: int = 1  # the first number in this file; 0 = the header was damaged there
    log_id: bytes = UNKNOWN_ID  # random; a snapshot with another id belongs to another log
    key_tag: bytes = NO_TAG  # the key's tag of the id; zeros in a plain log, or where the header was damaged

    @property
    def file_bytes(self) -> int:
        """Size of the whole file."""
        return HEADER_BYTES + self.capacity * self.slot_bytes

    def pack(self) -> bytes:
        """Returns the 64 bytes, of the present version."""
        shape = _SHAPE.pack(_MAGIC, LOG_VERSION, self.slot_bytes, self.capacity)
        identity = _IDENTITY.pack(self.first_seq, self.log_id, self.key_tag)
        return shape + _crc(shape) + bytes(4) + identity + _crc(identity)


def read_header(path: Path, raw: bytes, size: int, *, with_key: bool) -> LogHeader:
    """Reads the header of a file of `size` bytes that begins with `raw`.

    Args:
        path: for the error.
        raw: the first 64 bytes, or fewer.
        size: of the file.
        with_key: the caller has a key; where the header is damaged throughout, the log then counts as encrypted.

    Raises:
        LogVersionError: the file has another version, or is no event log.
    """
    shape, identity = raw[: _SHAPE.size], raw[_IDENTITY_AT : _IDENTITY_AT + _IDENTITY.size]
    first_seq, log_id, key_tag = 0, UNKNOWN_ID, NO_TAG
    if raw[_IDENTITY_AT + _IDENTITY.size :] == _crc(identity) and len(raw) == HEADER_BYTES:
        first_seq, log_id, key_tag = _IDENTITY.unpack(identity)
        with_key = key_tag != NO_TAG
    if raw[_SHAPE.size : _SHAPE.size + _CRC.size] == _crc(shape):
        magic, version, slot_bytes, capacity = _SHAPE.unpack(shape)
        if magic != _MAGIC or version not in _READABLE or slot_bytes not in (PLAIN_SLOT_BYTES, ENCRYPTED_SLOT_BYTES):
            raise LogVersionError(path, f"it is version {version} of {magic!r}", LOG_VERSION)
        header = LogHeader(slot_bytes, capacity, first_seq, log_id, key_tag)
        if not capacity or header.file_bytes > LOG_BYTES_MAX:
            raise LogVersionError(path, f"it claims {capacity} records", LOG_VERSION)
        return header
    # A log with a damaged header still has the right size and some of the right first bytes.
    slot_bytes = ENCRYPTED_SLOT_BYTES if with_key else PLAIN_SLOT_BYTES
    agreeing = sum(a == b for a, b in zip(raw[:8], _MAGIC, strict=False))
    if agreeing >= 4 and size >= LOG_BYTES_MIN - slot_bytes and (size - HEADER_BYTES) % slot_bytes == 0:
        return LogHeader(slot_bytes, (size - HEADER_BYTES) // slot_bytes, first_seq, log_id, key_tag)
    raise LogVersionError(path, "it is no event log", LOG_VERSION)


def is_cut_to_a_stub(entry: Entry) -> bool:
    """Returns whether the file is a log that was cut within the first fields of its header; False without a file.

    Raises:
        StateUnusableError: it is no ordinary file.
        OSError: the disk refuses.
    """
    try:
        raw, _ = _beginning(entry)
    except FileNotFoundError:
        return False
    return len(raw) < _SHAPE.size + _CRC.size and raw[:8] == _MAGIC[: len(raw)]


def is_sound(entry: Entry) -> bool:
    """Returns whether the file is a whole log: its header is intact, its size is right, and the disk gives all of it.

    Raises:
        StateUnusableError: it is no ordinary file.
        OSError: the disk does not open it.
    """
    raw, size = _beginning(entry)
    shape, identity = raw[: _SHAPE.size], raw[_IDENTITY_AT : _IDENTITY_AT + _IDENTITY.size]
    crcs = (raw[_SHAPE.size : _SHAPE.size + _CRC.size], raw[_IDENTITY_AT + _IDENTITY.size :])
    if crcs != (_crc(shape), _crc(identity)):
        return False
    _, _, slot_bytes, capacity = _SHAPE.unpack(shape)
    if size < HEADER_BYTES + slot_bytes * capacity:
        return False
    file = entry.open()
    try:
        return all(os.pread(file.number, atomic_file.PART_BYTES, at) for at in range(0, size, atomic_file.PART_BYTES))
    except OSError:
        return False
    finally:
        file.close()


def capacity_of(file_bytes: int, slot_bytes: int = PLAIN_SLOT_BYTES) -> int:
    """Returns how many slots a file of this size has.

    Raises:
        InvalidValueError: the size is out of range.
    """
    if type(file_bytes) is not int or not LOG_BYTES_MIN <= file_bytes <= LOG_BYTES_MAX:
        raise InvalidValueError("log_bytes", file_bytes)
    return (file_bytes - HEADER_BYTES) // slot_bytes


def with_new_id(header: LogHeader, cipher: Cipher | None) -> LogHeader:
    """Returns the header with a new random id, and the key's tag of that id."""
    log_id = os.urandom(LOG_ID_BYTES)
    return header._replace(log_id=log_id, key_tag=NO_TAG if cipher is None else key_tag(log_id, cipher))


def key_tag(log_id: bytes, cipher: Cipher) -> bytes:
    """Returns the 16 bytes by which a log recognises its key."""
    # No record has number 0, and the id is drawn like a salt: this nonce is used for nothing else.
    return cipher.tag(log_id + bytes(NONCE_BYTES - LOG_ID_BYTES), b"event log")


def stage(entry: Entry, header: LogHeader, slots: Iterable[bytes | memoryview] = ()) -> None:
    """Writes a log beside this one as .new, complete and synced. The file itself is unchanged.

    Args:
        entry: of the log.
        header: of the new one.
        slots: its first slots, in parts; all others are zeros.

    Raises:
        StateFullError: the disk has no room; nothing is left behind.
        StateUnusableError: the file cannot be written; nothing is left behind.
    """
    try:
        atomic_file.stage(entry, header.file_bytes, chain([header.pack()], slots))
    except OSError as problem:
        raise disk_error(entry.path, problem, header.file_bytes) from problem


def open_log_file(entry: Entry, staged: Entry, access: LogAccess, *, with_key: bool) -> tuple[LogHeader, FileAccess]:
    """Opens an existing log and reserves all of it. A file that was cut is lengthened with zeros; records are never
    repaired.

    Args:
        entry: of the log, for errors.
        staged: where the file is now.
        access: how it is to be written.
        with_key: the caller has a key.

    Returns:
        The header and the open file.

    Raises:
        StateFullError: the disk has no room for all of the file: it was cut, or has holes after a restore.
        LogVersionError: the file is no log of this version.
        StateUnusableError: it is no ordinary file.
        OSError: the file cannot be opened.
    """
    file = staged.open()
    try:
        size = os.fstat(file.number).st_size
        header = read_header(entry.path, os.pread(file.number, HEADER_BYTES, 0), size, with_key=with_key)
        try:
            is_reserved = atomic_file.reserve(file, header.file_bytes)
        except OSError as problem:
            raise disk_error(entry.path, problem, header.file_bytes) from problem
        return header, open_access(entry.path, file, header.file_bytes, access, is_reserved=is_reserved)
    except BaseException:
        file.close()
        raise


def _beginning(entry: Entry) -> tuple[bytes, int]:
    """Returns the first bytes of a file, a header's at most, and the size of the file."""
    file = entry.open()
    try:
        return os.pread(file.number, HEADER_BYTES, 0), os.fstat(file.number).st_size
    finally:
        file.close()


def _crc(content: bytes) -> bytes:
    return _CRC.pack(zlib.crc32(content))
