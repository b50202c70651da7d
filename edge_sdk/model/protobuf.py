"""A reader for the part of Protocol Buffers that ONNX files use. Every length is checked, and nothing is read twice.

It is stricter than protobuf's own: two of a field that a message has once are refused, where protobuf would merge them.
So what is checked here is what ONNX Runtime reads.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, Final, NoReturn

VARINT: Final = 0
BYTES: Final = 2
FIXED32: Final = 5
_LAST: Final = 0x7F  # the largest number of one byte
_SIGN: Final = 1 << 63
_WORD: Final = (1 << 64) - 1

# Of each field that a message may have: its name, its wire type, and whether there may be several.
Fields = Mapping[int, tuple[str, int, bool]]


class GraphError(ValueError):
    """A graph that this runtime does not run."""

    def __init__(self, where: str, found: str) -> None:
        super().__init__(f"{where}: {found}")


def message(raw: memoryview, fields: Fields, where: str) -> dict[str, Any]:
    """Returns the fields of a message by name: integers (signed, 64 bits), 4 bytes of a float, or views of bytes.

    A field of which there may be several is a list, empty where there is none; of one that may come once and is absent
    there is no entry. A packed list of integers is a list too.

    Args:
        raw: the message.
        fields: the fields that it may have, by number.
        where: its name, for errors.

    Raises:
        GraphError: the message is truncated, has another field, or a field of another type or too often.
    """
    found: dict[str, Any] = {name: [] for name, _, several in fields.values() if several}
    at, end = 0, len(raw)
    while at < end:
        tag = raw[at]
        at += 1
        if tag > _LAST:
            tag, at = _varint(raw, at - 1, where)
        known = fields.get(tag >> 3)
        if known is None:
            raise GraphError(where, f"field {tag >> 3}, which this runtime does not allow")
        name, wire, several = known
        kind = tag & 7
        if kind == BYTES:
            size, at = (raw[at], at + 1) if at < end and raw[at] <= _LAST else _varint(raw, at, where)
            start, at = at, at + size
            if at > end:
                _truncated(where)
            value: Any = raw[start:at]
        elif kind == VARINT:
            number, at = _varint(raw, at, where)
            value = number - (1 << 64) if number & _SIGN else number
        elif kind == wire == FIXED32 and at + 4 <= end:
            value, at = raw[at : at + 4], at + 4
        else:
            raise GraphError(f"{where}.{name}", f"wire type {kind}, or truncated")
        if kind != wire:
            if not several or wire != VARINT or kind != BYTES:
                raise GraphError(f"{where}.{name}", f"wire type {kind}, not {wire}")
            found[name] += _packed(value, where)
        elif several:
            found[name].append(value)
        elif name in found:
            raise GraphError(f"{where}.{name}", "given twice")
        else:
            found[name] = value
    return found


def text(raw: memoryview | None, where: str) -> str:
    """Returns a text; absent = empty.

    Raises:
        GraphError: it is not UTF-8.
    """
    if raw is None:
        return ""
    try:
        return str(raw, "utf-8")
    except UnicodeDecodeError as problem:
        raise GraphError(where, "no UTF-8") from problem


def single(raw: memoryview) -> float:
    """Returns the float32 of 4 bytes."""
    number: float = struct.unpack("<f", raw)[0]
    return number


def _varint(raw: memoryview, at: int, where: str) -> tuple[int, int]:
    """Returns an unsigned integer, and where it ends."""
    value = shift = 0
    while shift < 64 and at < len(raw):
        byte = raw[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            break
    else:
        _truncated(where)
    return value & _WORD, at


def _packed(raw: memoryview, where: str) -> list[int]:
    values: list[int] = []
    at = 0
    while at < len(raw):
        value, at = _varint(raw, at, where)
        values.append(value - (1 << 64) if value & _SIGN else value)
    return values


def _truncated(where: str) -> NoReturn:
    raise GraphError(where, "truncated, or a number of more than 10 bytes")
