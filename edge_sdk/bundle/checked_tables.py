"""Unpacks a FlatBuffer and checks it while unpacking; flatbuffers' Python reader has no verifier.

Every offset, length and text is checked before it is used. The work is bounded by the file's size: a part that several
places share is counted at each of them, and the sum may not exceed `READS_A_BYTE` times the file. The result has the
attributes of flatc's object API (the classes whose names end in T). flatc's code itself is not loaded on a device.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final, NoReturn

import numpy as np
import numpy.typing as npt

from edge_sdk.bundle.format.generated.edge_fields import FIELDS
from edge_sdk.limits import READS_A_BYTE, TABLES_MAX

_U16: Final = struct.Struct("<H")
_U32: Final = struct.Struct("<I")
_I32: Final = struct.Struct("<i")
_PAIR: Final = struct.Struct("<HH")
_SCALARS: Final = {
    "bool": struct.Struct("<?"),
    "uint8": struct.Struct("<B"),
    "uint16": _U16,
    "uint32": _U32,
    "int32": _I32,
    "float32": struct.Struct("<f"),
    "float64": struct.Struct("<d"),
}
_LAZY: Final = "Texts"  # the table whose texts stay in the file: opening checks them and does not decode them
_FEW: Final = 32  # texts that are checked one by one: below it a dozen calls of numpy cost more


class MalformedFileError(ValueError):
    """The bytes are no FlatBuffer of this schema."""


class CheckedTexts:
    """A vector of texts that was checked and stays in the file."""

    __slots__ = ("_at", "_payload", "count")

    def __init__(self, payload: memoryview, at: int, count: int) -> None:
        """Takes the place of the first of the vector's offsets, and their number."""
        self._payload, self._at, self.count = payload, at, count

    def read(self) -> list[str]:
        """Returns the texts."""
        if not self.count:
            return []
        starts, lengths = _places(self._payload, self._at, self.count)
        return [
            str(self._payload[start : start + length], "utf-8")
            for start, length in zip(starts.tolist(), lengths.tolist(), strict=True)
        ]


NO_TEXTS: Final = CheckedTexts(memoryview(b""), 0, 0)


# How one table is unpacked: its name, its class in the object API, and its fields by slot. A field is its name there,
# its bytes in the table itself, and how it is read. Plain tuples: a named tuple's class takes 100 µs of the import.
_Field = tuple[str, int, Callable[["_Unpacker", int, Any], object], Any]
_Plan = tuple[str, Callable[[], Any], tuple[_Field, ...]]


def unpacked(
    payload: memoryview, root: str, structs: Mapping[str, np.dtype[Any]], *, tables_max: int = TABLES_MAX
) -> Any:
    """Returns the object tree of a buffer, every part of it checked.

    Vectors of numbers are views of the buffer, vectors of bytes parts of it. Texts are bytes of right UTF-8; those of
    `Texts` are `CheckedTexts`.

    Args:
        payload: the buffer.
        root: name of its root table.
        structs: the type of the records of each `struct`.
        tables_max: how many tables there may be.

    Raises:
        MalformedFileError: an offset, a length or a text is wrong, or the file asks for more work than its size allows.
    """
    unpacker = _Unpacker(payload, structs, tables_max)
    return unpacker.table(unpacker.target(0, root), _plan(root))


class _Unpacker:
    """Walks one buffer, and counts what it has read."""

    def __init__(self, payload: memoryview, structs: Mapping[str, np.dtype[Any]], tables_max: int) -> None:
        self.payload, self.size, self._structs = payload, len(payload), structs
        self._bytes_left = READS_A_BYTE * self.size
        self._tables_left = self._tables_max = tables_max
        self._layouts: dict[int, tuple[int, tuple[int, ...]]] = {}  # by place of the vtable: tables share them

    # ---- bounds ----

    def _fail(self, what: str, found: str) -> NoReturn:
        raise MalformedFileError(f"{what}: {found}")

    def _take(self, start: int, count: int, what: str) -> None:
        """Counts a part of the file, which must lie within it."""
        if start + count > self.size:
            self._fail(what, f"{count} bytes at {start} of {self.size}")
        self._bytes_left -= count
        if self._bytes_left < 0:
            self._fail(
                what, f"its parts are shared so often that reading them takes over {READS_A_BYTE} times the file"
            )

    def target(self, at: int, what: str) -> int:
        """Returns where the offset at a place leads."""
        if at + 4 > self.size:
            self._fail(what, f"an offset at {at} of {self.size}")
        to: int = at + _U32.unpack_from(self.payload, at)[0]
        if to + 4 > self.size or to % 4:
            self._fail(what, f"an offset to {to} of {self.size}")
        return to

    # ---- parts ----

    def table(self, at: int, plan: _Plan) -> Any:
        """Returns the table at a place."""
        vtable = at - _I32.unpack_from(self.payload, at)[0]
        layout = self._layouts.get(vtable)
        if layout is None:
            layout = self._layouts[vtable] = self._layout(vtable, plan[0])
        name, make, fields = plan
        size, offsets = layout
        self._take(at, size, name)
        self._tables_left -= 1
        if self._tables_left < 0:
            self._fail(name, f"more than {self._tables_max} tables")
        made = make()
        # An older writer knows fewer fields, a newer one more.
        for (attribute, width, read, argument), offset in zip(fields, offsets, strict=False):
            if offset:
                if offset < 4 or offset + width > size:
                    self._fail(f"{name}.{attribute}", f"{offset} of {size} bytes")
                setattr(made, attribute, read(self, at + offset, argument))
        return made

    def _layout(self, at: int, what: str) -> tuple[int, tuple[int, ...]]:
        """Returns the size of a table and the offset of each field, 0 = absent, from its vtable."""
        if at < 0 or at % 2 or at + 4 > self.size:
            self._fail(what, f"a vtable at {at} of {self.size}")
        length, size = _PAIR.unpack_from(self.payload, at)
        if length < 4 or length % 2 or at + length > self.size or size < 4:
            self._fail(what, f"a vtable of {length} bytes at {at} of {self.size}")
        return size, struct.unpack_from(f"<{length // 2 - 2}H", self.payload, at + 4)

    def vector(self, at: int, width: int, what: str, *, aligned: int = 4) -> tuple[int, int]:
        """Returns the place and the number of the elements of the vector that an offset leads to."""
        start = self.target(at, what)
        count = _U32.unpack_from(self.payload, start)[0]
        self._take(start + 4, count * width, what)
        if (start + 4) % aligned:
            self._fail(what, f"numbers of {aligned} bytes at {start + 4}")
        return start + 4, count

    def text(self, at: int, what: str) -> bytes:
        """Returns the text that an offset leads to."""
        start, count = self.vector(at, 1, what, aligned=1)
        if start + count >= self.size or self.payload[start + count]:
            self._fail(what, f"no zero byte after the {count} bytes at {start}")
        text = bytes(self.payload[start : start + count])
        try:
            text.decode()
        except UnicodeDecodeError as problem:
            raise MalformedFileError(f"{what}: no UTF-8 ({problem.reason} at byte {problem.start})") from problem
        return text

    def texts(self, at: int, what: str) -> list[bytes]:
        """Returns the texts that a vector's offsets lead to."""
        start, count = self.vector(at, 4, what)
        return [self.text(start + 4 * index, what) for index in range(count)]

    def lazy_texts(self, at: int, what: str) -> CheckedTexts:
        """Checks texts without making an object of each: many thousands are a few milliseconds."""
        start, count = self.vector(at, 4, what)
        if count < _FEW or not self._are_apart_and_right(start, count, what):
            for index in range(count):
                self.text(start + 4 * index, what)
        return CheckedTexts(self.payload, start, count)

    def _are_apart_and_right(self, at: int, count: int, what: str) -> bool:
        """Returns whether the texts lie apart and are, with all that lies between them, right UTF-8.

        Only then do they need no check one by one: the lengths before them are overwritten in a copy, and the copy is
        decoded at once.
        """
        targets = np.frombuffer(self.payload, "<u4", count, at) + np.arange(at, at + 4 * count, 4)
        first, last = int(targets.min()), int(targets.max())
        if last + 4 > self.size or (targets % 4).any():
            return False
        starts, lengths = _places(self.payload, at, count)
        order = np.argsort(starts)
        ends = starts + lengths
        end = int(ends.max()) + 1  # with the zero byte, without which a text could seem to end in the next one's bytes
        if end > self.size or (starts[order][1:] < ends[order][:-1] + 4).any():
            return False
        span = np.frombuffer(self.payload, np.uint8, end - first, first).copy()
        if span[ends - first].any():
            return False
        self._take(first, int(lengths.sum()) + 4 * count, what)
        span[: len(span) // 4 * 4].view("<u4")[(targets - first) // 4] = 0
        try:
            str(span.data, "utf-8")
        except UnicodeDecodeError:
            return False
        return True

    def octets(self, at: int, what: str) -> memoryview:
        """Returns a vector of bytes, a part of the buffer itself."""
        start, count = self.vector(at, 1, what, aligned=1)
        return self.payload[start : start + count]

    def numbers(self, at: int, argument: tuple[str, np.dtype[Any]]) -> npt.NDArray[Any]:
        """Returns a vector of numbers, a view."""
        what, kind = argument
        start, count = self.vector(at, kind.itemsize, what, aligned=kind.itemsize)
        return np.frombuffer(self.payload, kind, count, start)

    def records(self, at: int, argument: tuple[str, str]) -> npt.NDArray[Any]:
        """Returns a vector of structs, a view."""
        what, name = argument
        kind = self._structs[name]
        start, count = self.vector(at, kind.itemsize, what)
        return np.frombuffer(self.payload, kind, count, start)

    def tables(self, at: int, plan: _Plan) -> list[Any]:
        """Returns the tables that a vector's offsets lead to."""
        name = plan[0]
        start, count = self.vector(at, 4, name)
        return [self.table(self.target(place, name), plan) for place in range(start, start + 4 * count, 4)]


def _places(payload: memoryview, at: int, count: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Returns the place of the first byte of each text of a vector, and its length in bytes, each (count,)."""
    targets = np.frombuffer(payload, "<u4", count, at) + np.arange(at, at + 4 * count, 4)
    lengths = np.frombuffer(payload, "<u4", len(payload) // 4).take(targets // 4).astype(np.int64)
    return targets + 4, lengths


@cache
def _plan(name: str) -> _Plan:
    fields = FIELDS[name]
    absent = {attribute: value for attribute, _, value in fields}
    made = type(f"{name}T", (), absent)  # what a table leaves out is read from its class
    return name, made, tuple(_field(name, attribute, kind) for attribute, kind, _ in fields)


def _field(table: str, attribute: str, kind: str) -> _Field:
    what, element = f"{table}.{attribute}", kind.strip("[]")
    if kind in _SCALARS:
        form = _SCALARS[kind]
        return attribute, form.size, _scalar, form
    if kind == "string":
        return attribute, 4, _Unpacker.text, what
    if kind == "[string]":
        return attribute, 4, _Unpacker.lazy_texts if table == _LAZY else _Unpacker.texts, what
    if element == "uint8":
        return attribute, 4, _Unpacker.octets, what
    if element in _SCALARS:
        return attribute, 4, _Unpacker.numbers, (what, np.dtype(element).newbyteorder("<"))
    if element not in FIELDS:
        return attribute, 4, _Unpacker.records, (what, element)
    plan = _plan(
        element
    )  # no table of the schema contains itself, so this ends, and a tree is no deeper than the schema
    return attribute, 4, _Unpacker.tables if kind.startswith("[") else _one_table, plan


def _scalar(unpacker: _Unpacker, at: int, form: struct.Struct) -> object:
    return form.unpack_from(unpacker.payload, at)[0]


def _one_table(unpacker: _Unpacker, at: int, plan: _Plan) -> object:
    return unpacker.table(unpacker.target(at, plan[0]), plan)
