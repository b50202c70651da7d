"""Searches every byte of a state folder, and every object of an engine, for traces of recorded events."""

from __future__ import annotations

import gc
import mmap
import struct
import types
from pathlib import Path

import numpy as np

from edge_sdk import Engine
from edge_sdk.bundle.bundle import Bundle
from edge_sdk.explain.contributions import WindowTables
from edge_sdk.memory.layout import MemoryLayout
from edge_sdk.memory.lookup import LookupTables
from edge_sdk.vocabulary import Vocabulary, item_id, item_words

UNKNOWN, KNOWN, VALUE, DECISION, SECRET_MS = "a secret page", "fund_c", 31415.53125, 0x0BADCAFE, 1_768_471_234_567

# What would give the secret events away, as it would lie in a file.
TRACES = {
    "unknown item's id": struct.pack("<I", item_words(UNKNOWN)[0]),
    "known item's id": struct.pack("<I", item_words(KNOWN)[0]),
    "value": struct.pack("<f", VALUE),
    "decision": struct.pack("<I", DECISION),
    "time in seconds": struct.pack("<I", SECRET_MS // 1000),
    "time in milliseconds": struct.pack("<q", SECRET_MS),
    "unknown item's name": UNKNOWN.encode(),
    "known item's name": KNOWN.encode(),
}
OF_THE_BUNDLE = Bundle | MemoryLayout | Vocabulary | LookupTables | WindowTables
OF_PYTHON = type | types.ModuleType | types.FunctionType
IN_LOG = {"unknown item's id", "known item's id", "value", "decision", "time in seconds"}


def record_secrets(engine: Engine, kind: str) -> None:
    """Records two events; the clock is at `SECRET_MS`."""
    engine.record(kind, item=UNKNOWN, value=VALUE, decision=DECISION)
    engine.record(kind, item=KNOWN, value=VALUE, decision=DECISION)


def on_disk(folder: Path, *, name: str = "*") -> set[str]:
    """Returns which traces any file of the folder contains, at any offset."""
    content = [path.read_bytes() for path in sorted(folder.rglob(name)) if path.is_file()]
    return {trace for trace, raw in TRACES.items() if any(raw in file for file in content)}


def in_process(engine: object) -> set[str]:
    """Returns the traces in every object of an engine or a client, except the bundle's own, which knows its items."""
    found: set[str] = set()
    seen: set[int] = set()
    todo: list[object] = [engine]
    while todo:
        thing = todo.pop()
        if id(thing) in seen or isinstance(thing, OF_THE_BUNDLE | OF_PYTHON):
            continue
        seen.add(id(thing))
        found |= _in(thing)
        todo += gc.get_referents(thing)
        if isinstance(thing, dict):  # the collector does not look at keys that are all words
            todo += thing
    return found


def _in(thing: object) -> set[str]:
    if isinstance(thing, str):
        return {f"{which} item's name" for which, name in (("unknown", UNKNOWN), ("known", KNOWN)) if name in thing}
    if isinstance(thing, int | float):
        ids = {"unknown item's id": UNKNOWN, "known item's id": KNOWN}
        numbers = {
            "value": VALUE, "decision": DECISION,
            "time in milliseconds": SECRET_MS, "time in seconds": SECRET_MS // 1000,
        }  # fmt: skip
        found = {trace for trace, number in numbers.items() if thing == number}
        return found | {trace for trace, name in ids.items() if thing in (item_id(name), item_words(name)[0])}
    raw = thing.tobytes() if isinstance(thing, np.ndarray | memoryview) else thing
    raw = thing[:] if isinstance(thing, mmap.mmap) else raw
    return {trace for trace, part in TRACES.items() if isinstance(raw, bytes | bytearray) and part in raw}
