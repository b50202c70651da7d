"""Reads a plain event log as docs/format.md describes it, without the SDK: an oracle must not share its code."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Final, NamedTuple

_RECORD: Final = struct.Struct("<IIHHIfIHHI")
_HEADER_BYTES: Final = 64


class Found(NamedTuple):
    """An intact record that was not blanked."""

    seq: int
    time_ms: int
    value: float
    decision: int


def read_events(path: Path) -> list[Found]:
    """Returns the intact events of a plain log, by their number."""
    content = path.read_bytes()[_HEADER_BYTES:]
    found = []
    for at in range(0, len(content) - _RECORD.size + 1, _RECORD.size):
        slot = content[at : at + _RECORD.size]
        seq, time_s, time_ms, kind, _, value, decision, _, _, crc = _RECORD.unpack(slot)
        if seq and kind and crc == zlib.crc32(slot[:-4]):
            found.append(Found(seq, time_s * 1000 + time_ms, value, decision))
    return sorted(found)


def trace_of(value: float, decision: int) -> bytes:
    """Returns the bytes by which an event is recognised in a file: its value beside its decision's id."""
    return struct.pack("<fI", value, decision)
