"""What `benchmarks.event_log.__main__` times: ways to write a slice of the workload down, each a call an event.

All but `pack` keep the promise of `Engine.record`: what was acknowledged survives the death of the process. The peers
do less: SQLite gets ids instead of names, and none of them derives counters or caps.
"""

from __future__ import annotations

import json
import mmap
import sqlite3
import struct
from collections.abc import Callable
from pathlib import Path

from device_sim.bench.event_workload import Workload
from edge_sdk import Engine
from edge_sdk.clock import system_clock

_RECORD = struct.Struct("<IIHHIfIHHI")  # 32 bytes, as the event log's
_TABLE = "CREATE TABLE events (time_ms INTEGER, kind INTEGER, item INTEGER, value REAL, decision INTEGER)"
_INSERT = "INSERT INTO events VALUES (?, ?, ?, ?, ?)"


def record(engine: Engine, work: Workload, part: slice) -> None:
    """Names in, as an app gives them; counters and caps follow."""
    for kind, item, value, decision in work.calls[part]:
        engine.record(kind, item=item, value=value, decision=decision)


def insert(database: sqlite3.Connection, work: Workload, part: slice) -> None:
    """A row a transaction, on a prepared statement."""
    execute = database.execute  # keeps the statement prepared: the text is the same
    for kind, item, value, decision in work.rows[part]:
        execute(_INSERT, (system_clock(), kind, item, value, decision))


def write_lines(write: Callable[[str], int], flush: Callable[[], None], work: Workload, part: slice) -> None:
    """A JSON line each, flushed to the kernel."""
    for kind, item, value, decision in work.calls[part]:
        fields = {"time_ms": system_clock(), "kind": kind, "item": item, "value": value, "decision": decision}
        write(json.dumps(fields) + "\n")
        flush()


def pack(target: mmap.mmap, work: Workload, part: slice) -> None:
    """Bare bytes: no clock, no checksum, no lock. The floor."""
    pack_into, at, end = _RECORD.pack_into, 0, len(target) - _RECORD.size
    for kind, item, value, decision in work.rows[part]:
        pack_into(target, at, 1, 2, 3, kind, item, value, decision, 0, 0, 4)
        at = at + 32 if at < end else 0


def open_database(path: Path) -> sqlite3.Connection:
    """WAL and `synchronous=NORMAL`: loses nothing when the process dies."""
    database = sqlite3.connect(path, isolation_level=None)  # autocommit
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=NORMAL")
    database.execute(_TABLE)
    return database
