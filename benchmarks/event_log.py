"""What the phone's memory costs: `python -m benchmarks.event_log [--bundle DIR] [--json FILE] [--rounds N] [--long]`.

One process; every round measures every contestant, in turns; printed are medians over the rounds, with the lowest and
the highest round beside them. A ratio is taken within each round. What is not built yet is said to be so.
"""

from __future__ import annotations

import argparse
import json
import mmap
import platform
import resource
import sqlite3
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.event_workload import STEP_MS, WORKLOAD, HistoryClock, Workload
from benchmarks.event_writers import insert, open_database, pack, record, write_lines
from edge_sdk import Engine
from edge_sdk.config import LOG_BYTES
from edge_sdk.engine import system_clock
from edge_sdk.event_log import EventLog

DAY_EVENTS = 1_500_000_000 // 32  # a heavy day is 1.5 GB of records

_TAIL = 100  # newest events, the same for every length of history

Round = dict[str, float]
Measure = Callable[[], Round]


@dataclass(frozen=True, slots=True)
class Target:
    """What issue 3 asks of a figure."""

    bound: float
    at_least: bool = False

    def met(self, figure: float) -> bool:
        """Whether the figure keeps it."""
        return figure >= self.bound if self.at_least else figure <= self.bound

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.bound:,.10g}"


TARGETS = {
    "record_us": Target(2),
    "ratio_sqlite": Target(5, at_least=True),
    "ratio_pack_into": Target(10),
    "day_one_by_one_s": Target(60),  # or the bulk figure
    "record_many_per_s": Target(20e6, at_least=True),
    "day_bulk_s": Target(60),
    "rank_history_ratio": Target(1.1),
    "open_full_log_ms": Target(10),
    "memory_growth_mb": Target(1.05),  # "flat": no more than the pages of a 1 MiB log becoming resident
}
NOT_BUILT = ("record_many_per_s", "day_bulk_s", "record_encrypted_us")


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured."""

    rounds: int = 7
    batches: int = 12  # a round
    batch: int = 1000  # calls; about one SQLite checkpoint falls into each
    singles: int = 3000  # calls timed one by one, a round
    histories: tuple[int, ...] = (100, 10_000, 1_000_000)
    memory_from: int = 10_000  # events of the longest history after which memory should stand still
    ranks: int = 200  # a round and history
    opens: int = 5  # a round
    log_bytes: int = LOG_BYTES


def measure(bundle: Path, public_key: bytes, sizes: Sizes) -> dict[str, list[float]]:
    """All figures, one value a round; of memory one value in all.

    Args:
        bundle: the `.edge` file.
        public_key: that signed it.
        sizes: how much to measure.
    """
    work = Workload.of(bundle, public_key)
    figures: dict[str, list[float]] = defaultdict(list)
    with TemporaryDirectory(prefix="edge-event-log-") as name, ExitStack() as stack:
        parts = [stack.enter_context(part(work, sizes, Path(name))) for part in (_ranking, _opening, _recording)]
        for _ in range(sizes.rounds):
            for part in reversed(parts):
                for figure, value in part().items():
                    figures[figure].append(value)
    return dict(figures)


def main() -> None:
    """Measure, print, and write the JSON file if one is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=Path("build/demo"), help="folder of scene.edge and scene.pub")
    parser.add_argument("--rounds", type=int, default=Sizes().rounds)
    parser.add_argument("--long", action="store_true", help="rank after 10^7 events too")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    histories = (*Sizes().histories, 10_000_000) if arguments.long else Sizes().histories
    key = (arguments.bundle / "scene.pub").read_bytes()
    sizes = Sizes(rounds=arguments.rounds, histories=histories)
    figures = measure(arguments.bundle / "scene.edge", key, sizes)
    print("\n".join(table(figures)))
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(as_json(figures), indent=2) + "\n")


def table(figures: dict[str, list[float]]) -> list[str]:
    """Lines to print: median, lowest to highest round, target, met or missed."""
    lines = [f"{'figure':26}{'median':>12}   {'lowest..highest round':24}{'target':>14}"]
    for name, values in figures.items():
        middle, target = statistics.median(values), TARGETS.get(name)
        spread = f"{min(values):,.2f}..{max(values):,.2f}"
        verdict = f"{target!s:>14}  {'met' if target.met(middle) else 'missed'}" if target else ""
        lines.append(f"{name:26}{middle:12,.2f}   {spread:24}{verdict}".rstrip())
    for name in NOT_BUILT:
        lines.append(f"{name:26}{'not built':>12}   {'':24}{TARGETS.get(name, '')!s:>14}".rstrip())
    return lines


def as_json(figures: dict[str, list[float]]) -> dict[str, object]:
    """Medians by name, `None` where nothing is built; lowest and highest rounds; targets."""
    medians = {name: statistics.median(values) for name, values in figures.items()}
    return {
        "workload": WORKLOAD,
        "machine": f"{platform.machine()}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}",
        **medians,
        **dict.fromkeys(NOT_BUILT),
        "spread": {name: [min(values), max(values)] for name, values in figures.items()},
        "targets": {
            name: {"target": str(target), "met": name in medians and target.met(medians[name])}
            for name, target in TARGETS.items()
        },
        "not_built": list(NOT_BUILT),
    }


# ---- below: the three parts; each sets its contestants up and hands out a function that measures one round ----


@contextmanager
def _recording(work: Workload, sizes: Sizes, folder: Path) -> Iterator[Measure]:
    """`Engine.record` against an SQLite insert, a flushed JSON line, and bare bytes into a map."""
    with (
        work.open(folder / "record", sizes.log_bytes) as engine,
        closing(open_database(folder / "events.db")) as database,
        (folder / "events.jsonl").open("w") as lines,
        (folder / "events.map").open("w+b") as file,
    ):
        file.truncate(sizes.log_bytes)
        with mmap.mmap(file.fileno(), sizes.log_bytes) as target:
            writers: dict[str, Callable[[slice], None]] = {
                "record_us": lambda part: record(engine, work, part),
                "sqlite_us": lambda part: insert(database, work, part),
                "json_us": lambda part: write_lines(lines.write, lines.flush, work, part),
                "pack_into_us": lambda part: pack(target, work, part),
            }
            yield lambda: _recording_round(writers, sizes)


def _recording_round(writers: dict[str, Callable[[slice], None]], sizes: Sizes) -> Round:
    """Medians over batches: no timer's cost, but SQLite's checkpoints. Percentiles over calls timed one by one: p50 is
    with the timer and without a checkpoint."""
    spent: dict[str, list[float]] = {name: [] for name in writers}
    for index in range(sizes.batches):
        part = slice(index * sizes.batch, (index + 1) * sizes.batch)
        for name, write in writers.items():
            spent[name].append(_microseconds(write, part) / sizes.batch)
    figures = {name: statistics.median(values) for name, values in spent.items()}
    figures["ratio_sqlite"] = figures["sqlite_us"] / figures["record_us"]
    figures["ratio_pack_into"] = figures["record_us"] / figures["pack_into_us"]
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
def _opening(work: Workload, sizes: Sizes, folder: Path) -> Iterator[Measure]:
    """From nothing, and from a ring that is full and has wrapped, to the first decision; and the log alone."""
    full = folder / "full"
    events = sizes.log_bytes // 32 * 3 // 2
    with work.open(full, sizes.log_bytes, HistoryClock(system_clock() - events * STEP_MS)) as engine:
        work.fill(engine, events)
        if engine.status().events < engine.status().capacity:
            raise RuntimeError("the log is not full")

    def one_round() -> Round:
        spent: dict[str, list[float]] = defaultdict(list)
        for _ in range(sizes.opens):
            with TemporaryDirectory(dir=folder) as empty:
                spent["open_empty_ms"].append(_first_decision_ms(work, Path(empty), sizes))
            spent["open_full_ms"].append(_first_decision_ms(work, full, sizes))
            start = time.perf_counter_ns()
            log = EventLog(full / "events.log", sizes.log_bytes)
            spent["open_full_log_ms"].append((time.perf_counter_ns() - start) / 1e6)
            intact = log.count == log.capacity
            log.close()
            if not intact:
                raise RuntimeError("the log that was opened is not the full one")
        return {name: statistics.median(values) for name, values in spent.items()}

    yield one_round


def _first_decision_ms(work: Workload, state: Path, sizes: Sizes) -> float:
    start = time.perf_counter_ns()
    with work.open(state, sizes.log_bytes) as engine:
        work.rank(engine)
        return (time.perf_counter_ns() - start) / 1e6


@contextmanager
def _ranking(work: Workload, sizes: Sizes, folder: Path) -> Iterator[Measure]:
    """Ranking after histories of different lengths, and what the longest one added to the process's memory.

    All histories end in the same events, after a rest in which every cap ran out: the decisions differ in nothing but
    in how much was recorded before. No event comes between two measured decisions, so a history keeps its length.
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


def _microseconds(write: Callable[[slice], None], part: slice) -> float:
    start = time.perf_counter_ns()
    write(part)
    return (time.perf_counter_ns() - start) / 1000


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


if __name__ == "__main__":
    main()
