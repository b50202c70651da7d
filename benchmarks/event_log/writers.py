"""Ways to write a slice of the workload down, one call an event; `benchmarks.event_log` times them.

All but `pack` keep the promise of `Engine.record`: an acknowledged event survives the death of the process. The peers
do less: SQLite gets ids instead of names, and none of them derives counters or caps.
"""

from __future__ import annotations

import json
import mmap
import sqlite3
import struct
from collections.abc import Callable

from device_sim.bench.event_workload import Workload
from device_sim.bench.log_peers import SQLITE_INSERT
from edge_sdk import Engine
from edge_sdk.clock import system_clock

_RECORD = struct.Struct("<IIHHQfII")  # 32 bytes, as the event log's


def record(engine: Engine, work: Workload, part: slice) -> None:
    """Records names as an app gives them; counters and caps follow from each event."""
    for kind, item, value, decision in work.calls[part]:
        engine.record(kind, item=item, value=value, decision=decision)


def insert(database: sqlite3.Connection, work: Workload, part: slice) -> None:
    """Inserts a row a transaction, on a prepared statement."""
    execute = database.execute  # keeps the statement prepared: the text is the same
    for kind, item, value, decision in work.rows[part]:
        execute(SQLITE_INSERT, (system_clock(), kind, item, value, decision))


def write_lines(write: Callable[[str], int], flush: Callable[[], None], work: Workload, part: slice) -> None:
    """Writes a JSON line for each event and flushes it to the kernel."""
    for kind, item, value, decision in work.calls[part]:
        fields = {"time_ms": system_clock(), "kind": kind, "item": item, "value": value, "decision": decision}
        write(json.dumps(fields) + "\n")
        flush()


def pack(target: mmap.mmap, work: Workload, part: slice) -> None:
    """Packs bare bytes without clock, checksum or lock: the floor."""
    pack_into, at, end = _RECORD.pack_into, 0, len(target) - _RECORD.size
    for kind, item, value, decision in work.rows[part]:
        # One argument a field: a starred tuple would double the time of the floor.
        pack_into(target, at, 1, 2, 3, kind, item, value, decision, 4)
        at = at + 32 if at < end else 0
