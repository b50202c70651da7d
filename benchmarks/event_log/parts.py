"""The parts of `benchmarks.event_log`: each sets its contestants up and yields the function that measures one round."""

from __future__ import annotations

import mmap
import os
import resource
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.event_log.writers import insert, pack, record, write_lines
from device_sim.bench.event_workload import STEP_MS, HistoryClock, Workload
from device_sim.bench.log_peers import open_sqlite
from edge_sdk import Engine
from edge_sdk.clock import system_clock
from edge_sdk.limits import LOG_BYTES, PENDING_MAX
from edge_sdk.log.directory import Directory
from edge_sdk.log.event_log import EventLog

DAY_EVENTS = 1_500_000_000 // 32  # a heavy day is 1.5 GB of records
DAY_MS = 86_400_000

_TAIL = 100  # newest events, the same for every length of history

Round = dict[str, float]
Measure = Callable[[], Round]


@dataclass(frozen=True, slots=True)
class Sizes:
    """The length of a measurement."""

    rounds: int = 7
    batches: int = 4  # a round
    batch: int = 8 * PENDING_MAX  # calls; enough for memory to ingest several times and for SQLite to make checkpoints
    singles: int = 3000  # calls timed one by one, a round
    histories: tuple[int, ...] = (100, 10_000, 1_000_000, 10_000_000)
    memory_from: int = 10_000  # events of the longest history after which memory should not grow
    ranks: int = 200  # a round and history
    fresh: tuple[int, ...] = (0, 12, 1000)  # events recorded since the decision before
    day_events: int = DAY_EVENTS
    day_call: int = 1_000_000  # events in one `record_many`
    opens: int = 5  # a round
    log_bytes: int = LOG_BYTES


@contextmanager
def recording(work: Workload, sizes: Sizes, folder: Path) -> Iterator[Measure]:
    """Compares `Engine.record`, plain, encrypted and with power durability, with SQLite, JSON lines and bare bytes."""
    with (
        work.open(folder / "record", sizes.log_bytes) as plain,
        work.open(folder / "encrypted", sizes.log_bytes, storage_key=os.urandom(32)) as encrypted,
        work.open(folder / "power", sizes.log_bytes, durability="power") as power,
        closing(open_sqlite(folder / "events.db", "NORMAL")) as database,
        (folder / "events.jsonl").open("w") as lines,
        (folder / "events.map").open("w+b") as file,
    ):
        file.truncate(sizes.log_bytes)
        with mmap.mmap(file.fileno(), sizes.log_bytes) as target:
            writers: dict[str, Callable[[slice], None]] = {
                "record_us": lambda part: record(plain, work, part),
                "record_encrypted_us": lambda part: record(encrypted, work, part),
                "record_power_us": lambda part: record(power, work, part),
                "sqlite_us": lambda part: insert(database, work, part),
                "json_us": lambda part: write_lines(lines.write, lines.flush, work, part),
                "pack_into_us": lambda part: pack(target, work, part),
            }
            yield lambda: _recording_round(writers, sizes)


def _recording_round(writers: dict[str, Callable[[slice], None]], sizes: Sizes) -> Round:
    """Returns medians over batches and percentiles over calls timed one by one.

    A batch's median has no timer in it, but SQLite's checkpoints; a single call's p50 has the timer, but no checkpoint.
    """
    spent: dict[str, list[float]] = {name: [] for name in writers}
    for index in range(sizes.batches):
        part = slice(index * sizes.batch, (index + 1) * sizes.batch)
        for name, write in writers.items():
            spent[name].append(_microseconds(write, part) / sizes.batch)
    figures = {name: statistics.median(values) for name, values in spent.items()}
    figures["ratio_sqlite"] = figures["sqlite_us"] / figures["record_us"]
    figures["ratio_pack_into"] = figures["record_us"] / figures["pack_into_us"]
    figures["ratio_encrypted"] = figures["record_encrypted_us"] / figures["record_us"]
    figures["day_one_by_one_s"] = figures["record_us"] * DAY_EVENTS / 1e6
    single: dict[str, list[float]] = {"record_us": [], "sqlite_us": []}
    for index in range(sizes.singles):
        for name, values in single.items():
            values.append(_microseconds(writers[name], slice(index, index + 1)))
    for percent in (50, 99):
        figures |= {f"{name}_p{percent}": float(np.percentile(values, percent)) for name, values in single.items()}
    figures["ratio_sqlite_p50"] = figures["sqlite_us_p50"] / figures["record_us_p50"]
    return figures


@contextmanager
def opening(work: Workload, sizes: Sizes, folder: Path) -> Iterator[Measure]:
    """Times opening to the first decision, from nothing and from a full ring that has wrapped; and the log alone."""
    keys = {"": None, "encrypted_": os.urandom(32)}
    for name, key in keys.items():
        events = sizes.log_bytes // 32 * 3 // 2
        clock = HistoryClock(system_clock() - events * STEP_MS)
        with work.open(folder / f"{name}full", sizes.log_bytes, clock, storage_key=key) as engine:
            work.fill(engine, events)
            if engine.status().events < engine.status().capacity:
                raise RuntimeError("the log is not full")

    def one_round() -> Round:
        spent: dict[str, list[float]] = defaultdict(list)
        for _ in range(sizes.opens):
            with TemporaryDirectory(dir=folder) as empty:
                spent["open_empty_ms"].append(_first_decision_ms(work, Path(empty), sizes, None))
            for name, key in keys.items():
                full = folder / f"{name}full"
                spent[f"open_{name}full_ms"].append(_first_decision_ms(work, full, sizes, key))
                spent[f"open_{name}full_log_ms"].append(_log_alone_ms(full / "events.log", sizes, key))
        return {name: statistics.median(values) for name, values in spent.items()}

    yield one_round


def _log_alone_ms(path: Path, sizes: Sizes, key: bytes | None) -> float:
    start = time.perf_counter_ns()
    log = EventLog.open(Directory(path.parent).entry(path.name), sizes.log_bytes, key=key)
    spent_ms = (time.perf_counter_ns() - start) / 1e6
    is_full = log.count == log.capacity
    log.close()
    if not is_full:
        raise RuntimeError("the log that was opened is not the full one")
    return spent_ms


def _first_decision_ms(work: Workload, state: Path, sizes: Sizes, key: bytes | None) -> float:
    start = time.perf_counter_ns()
    with work.open(state, sizes.log_bytes, storage_key=key) as engine:
        work.rank(engine)
        return (time.perf_counter_ns() - start) / 1e6


@contextmanager
def ranking(work: Workload, sizes: Sizes, folder: Path) -> Iterator[Measure]:
    """Times ranking after histories of different lengths; measures the memory that the longest one added.

    All histories end in the same events, after a rest in which every cap ran out, so decisions differ only in the
    number of events recorded before. No event comes between two measured decisions, so a history keeps its length.
    """
    with ExitStack() as stack:
        engines: dict[int, Engine] = {}
        growth_mb: list[float] = []
        for events in sorted(sizes.histories, reverse=True):  # the longest while the heap has no holes to fill
            clock = HistoryClock(system_clock() - work.rest_ms - events * STEP_MS)
            engine = stack.enter_context(work.open(folder / f"after_{events}", sizes.log_bytes, clock))
            first = min(sizes.memory_from, events - _TAIL)
            work.fill(engine, first)
            work.rank(engine)
            before = _resident_bytes()
            work.fill(engine, events - _TAIL - first, skip=first)
            clock.now_ms += work.rest_ms
            work.fill(engine, _TAIL)
            work.rank(engine)
            growth_mb.append((_resident_bytes() - before) / 1e6)
            clock.step_ms = 1
            engines[events] = engine
        once = {"memory_growth_mb": growth_mb[0]}

        def one_round() -> Round:
            figures = _ranking_round(work, sizes, engines) | once
            once.clear()
            return figures

        yield one_round


def _ranking_round(work: Workload, sizes: Sizes, engines: dict[int, Engine]) -> Round:
    spent: dict[int, list[float]] = {events: [] for events in sorted(engines)}
    for _ in range(sizes.ranks):
        for events, engine in engines.items():
            spent[events].append(work.rank(engine))
    medians = {f"rank_us_after_{events}": statistics.median(values) for events, values in spent.items()}
    return medians | {"rank_history_ratio": max(medians.values()) / min(medians.values())}


@contextmanager
def catching_up(work: Workload, sizes: Sizes, folder: Path) -> Iterator[Measure]:
    """Times ranking when events came since the decision before: memory ingests them in the ranking call."""
    with work.open(folder / "fresh", sizes.log_bytes) as engine:

        def one_round() -> Round:
            spent: dict[int, list[float]] = {events: [] for events in sizes.fresh}
            for index in range(sizes.ranks // 4 + 1):
                for events, values in spent.items():
                    work.rank(engine)
                    work.fill(engine, events, skip=index * 97)
                    values.append(work.rank(engine))
            return {f"rank_us_{events}_fresh": statistics.median(values) for events, values in spent.items()}

        yield one_round


@contextmanager
def ingesting(work: Workload, sizes: Sizes, folder: Path) -> Iterator[Measure]:
    """Times a day of events, spread evenly over the day, through `record_many`."""
    start_ms = system_clock() - DAY_MS
    columns = work.columns(sizes.day_call)
    offsets = np.arange(sizes.day_call)
    with work.open(folder / "day", sizes.log_bytes) as engine:

        def one_round() -> Round:
            spent_s = 0.0
            for first in range(0, sizes.day_events, sizes.day_call):
                times_ms = start_ms + (first + offsets) * DAY_MS // sizes.day_events
                start = time.perf_counter_ns()
                engine.record_many(times_ms, **columns)
                spent_s += (time.perf_counter_ns() - start) / 1e9
            calls = -(-sizes.day_events // sizes.day_call)
            return {"record_many_per_s": calls * sizes.day_call / spent_s, "day_bulk_s": spent_s}

        yield one_round


def _microseconds(write: Callable[[slice], None], part: slice) -> float:
    start = time.perf_counter_ns()
    write(part)
    return (time.perf_counter_ns() - start) / 1000


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
