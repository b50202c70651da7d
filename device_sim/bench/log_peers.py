"""The event log's peers: SQLite and LMDB, set to the durability that `Engine.record` has by default.

An acknowledged event survives `kill -9` of the process; nothing waits for the disk, so a power loss may cost the newest
events. The peers do less than `record`: they are given ids instead of names, check nothing and derive no counters.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from importlib import import_module
from itertools import count, cycle, islice
from pathlib import Path
from types import ModuleType
from typing import Final, Literal, NamedTuple, TypeAlias

from device_sim.bench.event_workload import Workload
from device_sim.bench.first_calls import Contestant
from device_sim.bench.latencies import HISTORY
from edge_sdk import Engine
from edge_sdk.clock import system_clock

# Writes one event: ids of kind and item, value, id of the decision.
Write: TypeAlias = Callable[[int, int, float, int], object]

SQLITE_INSERT: Final = "INSERT INTO events VALUES (?, ?, ?, ?, ?)"
LMDB_MAP_BYTES: Final = 64 << 20
_SQLITE_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS events (time_ms INTEGER, kind INTEGER, item INTEGER, value REAL, decision INTEGER)"
)
_KEY: Final = struct.Struct(">Q")
_EVENT: Final = struct.Struct("<QIQfI")
RECORD: Final = "record"


class PeerMissingError(Exception):
    """A peer cannot be measured on this machine; the message has the reason and the fix."""


class LogPeer(NamedTuple):
    """A library that an app may use in place of the event log."""

    key: str
    label: str
    open: Callable[[Path], AbstractContextManager[Write]]


def open_sqlite(path: Path, synchronous: Literal["OFF", "NORMAL"]) -> sqlite3.Connection:
    """Opens a database in WAL mode in which each insert is a transaction of its own.

    Args:
        path: the database file; made if absent.
        synchronous: "OFF" never waits for the disk, "NORMAL" only at a checkpoint; both survive `kill -9`.
    """
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute(f"PRAGMA synchronous={synchronous}")
    database.execute(_SQLITE_TABLE)
    return database


@contextmanager
def sqlite_log(folder: Path) -> Iterator[Write]:
    """Writes a row a transaction, on a prepared statement."""
    with closing(open_sqlite(folder / "events.db", "OFF")) as database:
        execute = database.execute  # keeps the statement prepared: its text is the same each time

        def write(kind: int, item: int, value: float, decision: int) -> object:
            return execute(SQLITE_INSERT, (system_clock(), kind, item, value, decision))

        yield write


@contextmanager
def lmdb_log(folder: Path) -> Iterator[Write]:
    """Writes an entry a transaction into LMDB's memory map, without a sync.

    Raises:
        PeerMissingError: `lmdb` is not installed.
    """
    lmdb = _needed("lmdb")
    environment = lmdb.open(str(folder / "events.lmdb"), map_size=LMDB_MAP_BYTES, writemap=True, sync=False)
    with closing(environment):
        begin, numbers = environment.begin, count(environment.stat()["entries"])

        def write(kind: int, item: int, value: float, decision: int) -> object:
            entry = _EVENT.pack(system_clock(), kind, item, value, decision)
            with begin(write=True) as transaction:
                return transaction.put(_KEY.pack(next(numbers)), entry, append=True)

        yield write


LOG_PEERS: Final = (
    LogPeer("sqlite", "SQLite, WAL, synchronous=OFF", sqlite_log),
    LogPeer("lmdb", "LMDB, writemap, sync=False", lmdb_log),
)


def log_contestants(work: Workload, engine: Engine, folder: Path, stack: ExitStack) -> list[Contestant]:
    """Returns `Engine.record` and its peers, each with HISTORY events behind it.

    Args:
        work: the events.
        engine: the engine whose `record` is timed; it has its history already.
        folder: where the peers keep their files.
        stack: closes the peers.
    """
    return [_ours(work, engine), *(_peer(peer, work, folder, stack) for peer in LOG_PEERS)]


def _ours(work: Workload, engine: Engine) -> Contestant:
    calls = cycle(work.calls)
    given = next(calls)

    def before() -> None:
        nonlocal given
        given = next(calls)

    def call() -> None:
        kind, item, value, decision = given
        engine.record(kind, item=item, value=value, decision=decision)

    return Contestant(RECORD, "edge_sdk", "Engine.record", call, before)


def _peer(peer: LogPeer, work: Workload, folder: Path, stack: ExitStack) -> Contestant:
    try:
        write = stack.enter_context(peer.open(folder))
    except PeerMissingError as missing:
        return Contestant(RECORD, peer.key, peer.label, missing=str(missing))
    rows = cycle(work.rows)
    for row in islice(rows, HISTORY):
        write(*row)
    given = next(rows)

    def before() -> None:
        nonlocal given
        given = next(rows)

    def call() -> None:
        kind, item, value, decision = given
        write(kind, item, value, decision)

    return Contestant(RECORD, peer.key, peer.label, call, before)


def _needed(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ImportError as problem:
        fix = "install it: pip install 'edge-sdk[bench]'"
        raise PeerMissingError(f"{name} cannot be imported ({problem}); {fix}") from None
