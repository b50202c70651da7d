"""Mutates the payload of a bundle or policy file in every way that a faulty exporter, or somebody with its key, could.

Each mutation is sealed again: digest and signature are right, so nothing but the readers' own checks stands in its way.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from typing import Any, Final

import flatbuffers
import numpy as np

from edge_sdk.bundle.checked_tables import CheckedTexts
from edge_sdk.bundle.format.generated import edge_generated as fb
from edge_sdk.bundle.format.generated.edge_fields import FIELDS

_WORDS: Final = (0, 1, 2, 3, 4, 0x7F, 0xFF, 0xFFFF, 0x10000, 0xFFFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF0, 0xFFFFFFFF)
_FLOATS: Final = (float("nan"), float("inf"), -float("inf"), -1.0, -0.0, 0.0, 1e-45, 1e-38, 3e38, -3e38, 1e12, 0.5)
_TEXTS: Final = (
    b"",
    b"\xff\xfe",
    b"caf\xe9",
    b"\xed\xa0\x80",
    b"x" * 70_000,
    b"a\nb",
    b"{item}",
    b"\x00",
    "名".encode(),
)


def mutated(chance: random.Random, payload: bytes, root: str) -> bytes:
    """Returns a payload with one mutation, or several.

    Args:
        chance: decides all; the same state gives the same mutation.
        payload: a sound payload.
        root: name of its root table.
    """
    way = chance.randrange(10)
    if way > 7 and root == "Bundle":
        return _changed_graph(chance, payload)
    if way < 4:
        return _changed_fields(chance, payload, root)
    if way < 6:
        return _changed_words(chance, payload)
    return _changed_bytes(chance, payload) if way < 7 else _shared(chance, payload)


# ---- bytes ----


def _changed_bytes(chance: random.Random, payload: bytes) -> bytes:
    raw = bytearray(payload)
    for _ in range(chance.choice((1, 1, 2, 8, 64))):
        raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
    return bytes(raw)


def _changed_words(chance: random.Random, payload: bytes) -> bytes:
    """Sets whole words, mostly where the tables and offsets are: at both ends."""
    raw = bytearray(payload)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        size = len(raw)
        near = int(chance.random() ** 3 * size / 2)
        place = (chance.choice((near, size - 4 - near, chance.randrange(size - 4))) // 4) * 4
        word = chance.choice((*_WORDS, chance.getrandbits(32), chance.randrange(size), size - place, place))
        raw[place : place + 4] = struct.pack("<I", word & 0xFFFFFFFF)
    return bytes(raw)


def _shared(chance: random.Random, payload: bytes) -> bytes:
    """Writes the offsets of vectors anew, so that many entries lead to few places, and raises the vectors' lengths."""
    raw = bytearray(payload)
    start = chance.randrange(0, len(raw) // 4 - 64) * 4
    target = chance.randrange(start, len(raw) - 4)
    for place in range(start, min(start + 4 * chance.choice((8, 200, 5000)), len(raw) - 4), 4):
        raw[place : place + 4] = struct.pack("<I", max(0, target - place))
    raw[start : start + 4] = struct.pack("<I", chance.choice((2, 100, 5000, 1 << 20)))
    return bytes(raw)


def _changed_graph(chance: random.Random, payload: bytes) -> bytes:
    """Changes bytes of one of the graphs; without golden vectors, so that no self-test stands in the way."""
    tree = fb.BundleT.InitFromPackedBuf(payload)
    field = chance.choice(("model", "explainer"))
    graph = bytearray(getattr(tree, field).tobytes())
    for _ in range(chance.choice((1, 1, 2, 4))):
        place = chance.randrange(len(graph))
        way = chance.randrange(4)
        if way < 2:
            graph[place] ^= 1 << chance.randrange(8)
        elif way == 2:
            graph[place : place + chance.choice((0, 1, 2))] = chance.randbytes(chance.choice((0, 1, 3)))
        else:
            graph[place] = chance.choice((0, 1, 7, 10, 18, 34, 0x7F, 0x80, 0xFF))
    setattr(tree, field, np.frombuffer(bytes(graph), np.uint8))
    tree.golden = None
    builder = flatbuffers.Builder(len(payload))
    builder.Finish(tree.Pack(builder))
    return bytes(builder.Output())


# ---- fields ----


def _changed_fields(chance: random.Random, payload: bytes, root: str) -> bytes:
    tree = getattr(fb, f"{root}T").InitFromPackedBuf(payload)
    places = list(_places(tree, root))
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        owner, attribute, kind = chance.choice(places)
        if hasattr(owner, attribute):
            setattr(owner, attribute, _other(chance, getattr(owner, attribute), kind))
    builder = flatbuffers.Builder(len(payload))
    try:
        builder.Finish(tree.Pack(builder))
    except Exception:  # a value that flatbuffers cannot pack is no file
        return _changed_words(chance, payload)
    return bytes(builder.Output())


def _places(tree: Any, name: str) -> Iterator[tuple[Any, str, str]]:
    """Yields each field of each table: its owner, its name and its type."""
    for attribute, kind, _ in FIELDS[name]:
        value = getattr(tree, attribute)
        yield tree, attribute, kind
        inner = kind.strip("[]")
        if inner in FIELDS and value is not None:
            for table in value if isinstance(value, list) else [value]:
                yield from _places(table, inner)


def _other(chance: random.Random, value: Any, kind: str) -> Any:
    inner = kind.strip("[]")
    if kind == "bool":
        return not value
    if kind.startswith(("uint", "int")):
        most = (1 << int(kind.strip("uint"))) - 1
        return chance.choice((0, 1, 2, most, most - 1, most // 2, chance.randrange(most), value))
    if kind.startswith("float"):
        return chance.choice(_FLOATS)
    if kind == "string":
        return chance.choice((None, *_TEXTS))
    if not kind.startswith("["):
        return chance.choice((None, value))
    if value is None or isinstance(value, CheckedTexts) or chance.random() < 0.15:
        return None
    return _other_list(chance, value, inner)


def _other_list(chance: random.Random, value: Any, inner: str) -> Any:
    numeric = isinstance(value, np.ndarray)
    way = chance.randrange(6)
    count = len(value)
    if not count:
        return value
    if way == 0:
        return value[: chance.randrange(count)]
    if way == 1:
        times = chance.choice((2, 50, 2000))
        times = max(1, min(times, 200_000 // count))
        return np.tile(value, times) if numeric else list(value) * times
    if way == 2:
        return value[::-1].copy() if numeric else value[::-1]
    if numeric:
        other = value.copy()
        for _ in range(chance.choice((1, 1, 5))):
            with np.errstate(all="ignore"):
                drawn = chance.choice(_FLOATS) if other.dtype.kind == "f" else chance.getrandbits(32)
                other[chance.randrange(count)] = np.array(drawn).astype(other.dtype)
        return other
    entries = list(value)
    if inner == "string":
        entries[chance.randrange(count)] = chance.choice(_TEXTS)
    else:
        entries[chance.randrange(count)] = entries[chance.randrange(count)]
    return entries
