"""One event as bytes: the record of the log, and how a slot of the file tells an intact record from damage.

The record is `struct Event` of format/edge.fbs; docs/format.md has it byte by byte.
"""

from __future__ import annotations

import mmap
import struct
import zlib
from collections.abc import Sequence
from functools import cache
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

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
Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

# What stands in the place of a record that was taken out: kind 0 and one of these flags, everything else 0 but the seq.
ERASED: Final = 1  # as if it had never been
EXPIRED: Final = 2  # its time was up; counters and caps hold what it added

BODY: Final = struct.Struct("<IIHHIfIHH")  # a record without its crc
BODY_BYTES: Final = BODY.size  # 28
PLAIN_SLOT_BYTES: Final = RECORD.itemsize  # 32
_BODY_FIELDS: Final = np.dtype([(name, RECORD[name]) for name in RECORD.names or () if name != "crc"])
_write_plain: Final = struct.Struct("<28sI").pack_into
_crc32: Final = zlib.crc32


class RecordCodec(Protocol):
    """Bodies of records to slots of the file and back."""

    slot_bytes: int

    def write(self, target: mmap.mmap, at: int, body: bytes) -> None:
        """Write one record into its slot, which begins at byte `at`; `body` is packed as `BODY`."""

    def encode_many(self, records: Records) -> Bytes:
        """The slots (E, slot_bytes) of these records; their crc is not read."""

    def decode(self, slots: Bytes, chosen: Mask) -> tuple[Records, Mask]:
        """Records (S,) of slots (S, slot_bytes), and which of the `chosen` (S,) are intact."""

    def renew(self) -> None:
        """Sequence numbers are about to be used again."""


class PlainRecords:
    """A slot is the record itself: 28 bytes and their crc32."""

    slot_bytes = PLAIN_SLOT_BYTES

    def write(self, target: mmap.mmap, at: int, body: bytes) -> None:
        """Write one record into its slot."""
        _write_plain(target, at, body, _crc32(body))

    def encode_many(self, records: Records) -> Bytes:
        """The slots (E, 32) of these records."""
        slots = np.ascontiguousarray(records).view(np.uint8).reshape(-1, PLAIN_SLOT_BYTES).copy()
        slots[:, BODY_BYTES:] = crc32_rows(slots[:, :BODY_BYTES]).astype("<u4").view(np.uint8).reshape(-1, 4)
        return slots

    def decode(self, slots: Bytes, chosen: Mask) -> tuple[Records, Mask]:
        """Records (S,) and which of the chosen are intact."""
        records = slots.reshape(-1).view(RECORD)
        return records, chosen & (crc32_rows(slots[:, :BODY_BYTES]) == records["crc"])

    def renew(self) -> None:
        """A crc32 may be used again."""


def from_bodies(bodies: Sequence[bytes]) -> Records:
    """Packed bodies as records, without a crc."""
    return np.frombuffer(b"".join(bodies), _BODY_FIELDS)


def crc32_rows(rows: Bytes) -> npt.NDArray[np.uint32]:
    """zlib's crc32 of each row (E, 28), all rows at once: 2 ms for 32,766 of them, against 6.5 ms one by one.

    A crc is linear over the bits of its message: that of a row is the xor of what each byte contributes at its place.
    """
    tables, constant = _contributions()
    crcs = np.full(len(rows), constant, np.uint32)
    for place, table in enumerate(tables):
        crcs ^= table[rows[:, place]]
    return crcs


@cache
def _contributions() -> tuple[npt.NDArray[np.uint32], np.uint32]:
    """(28, 256): what each value of each byte changes in the crc of 28 zero bytes; and that crc."""
    zero = zlib.crc32(bytes(BODY_BYTES))
    # The last byte's table is the textbook one; a byte further from the end passes one more zero byte.
    last = np.array([zlib.crc32(bytes([value])) ^ zlib.crc32(b"\x00") for value in range(256)], np.uint32)
    tables = np.empty((BODY_BYTES, 256), np.uint32)
    tables[-1] = last
    for place in range(BODY_BYTES - 2, -1, -1):
        tables[place] = (tables[place + 1] >> np.uint32(8)) ^ last[tables[place + 1] & np.uint32(255)]
    return tables, np.uint32(zero)
