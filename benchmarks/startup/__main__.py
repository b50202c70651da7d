"""Measures what an app feels beside the warm figures: `python -m benchmarks.startup [--json FILE] [--rounds N]`.

First calls: an app does other work between two calls of the runtime, so each call finds the caches cold. Between two
timed calls this program reads 64 MiB of other memory and runs about 2 ms of unrelated Python
(`device_sim/bench/other_work.py` has the steps); then it times the same calls repeated, warm. `record` is beside SQLite
and LMDB at equal durability: an acknowledged event survives `kill -9`, nothing waits for the disk. `rank` is beside
every way to run the same model. All contestants are in one process on one thread and take turns in every round.

Whole processes: from the call that starts the interpreter over import, opening, the first record and the first decision
to the offers read; then the resident memory after 2,000 events and 200 decisions, numpy and onnxruntime included. The
peers' processes do their part of that work alone. Memory is also printed beyond a bare interpreter's.

Printed are medians with the lowest and the highest round or process; ratios are taken within a round. A peer that is
not installed is a row with the reason. These figures have no targets: they are the baseline of a native core.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from benchmarks.output import make_folder, parser, positive, write_json
from benchmarks.peers.all_peers import ALL
from benchmarks.peers.peer import version
from benchmarks.speed.bundles import trained_scene
from benchmarks.startup.contestants import REFERENCES, model_programs, rank_contestants, record_contestants
from benchmarks.work import Work
from device_sim.bench.bench_types import FirstCall, WholeProcess
from device_sim.bench.event_workload import Workload
from device_sim.bench.first_calls import measure_first_calls
from device_sim.bench.fresh_process import measure_fresh
from device_sim.bench.measure import this_machine
from device_sim.bench.other_work import WALK_BYTES, OtherWork
from device_sim.bench.tables import print_startup

WINDOW = 32


@dataclass(frozen=True, slots=True)
class Startup:
    """The figures of one run."""

    first_calls: tuple[FirstCall, ...]
    processes: tuple[WholeProcess, ...]


def measure(work: Work, rounds: int, processes: int, other_work: OtherWork) -> Startup:
    """Measures first calls in this process, then fresh processes.

    Args:
        work: the task; its bundle is opened by all engines.
        rounds: number of rounds of first calls that count.
        processes: number of fresh processes of each program.
        other_work: done before each first call.
    """
    workload = Workload.of(work.bundle, work.public_key)
    with TemporaryDirectory(prefix="edge-startup-") as folder, ExitStack() as stack:
        contestants = [
            *record_contestants(workload, Path(folder), stack),
            *rank_contestants(work, ALL, stack),
        ]
        first_calls = measure_first_calls(contestants, REFERENCES, rounds, other_work)
    return Startup(first_calls, measure_fresh(workload, processes, model_programs(work)).processes)


def main(words: list[str] | None = None) -> None:
    """Measures, prints, and writes the JSON file if one is named."""
    options = parser(__doc__)
    options.add_argument("--rounds", type=positive, default=15, help="of first calls")
    options.add_argument("--processes", type=positive, default=15, help="of each program")
    arguments = options.parse_args(words)
    make_folder(arguments.json)
    found = measure(trained_scene().work(WINDOW), arguments.rounds, arguments.processes, OtherWork())
    print_tables(found)
    write_json(arguments.json, as_json(found))


def print_tables(found: Startup) -> None:
    """Prints first calls, start-up and memory."""
    print_startup(Console(width=140), found.first_calls, found.processes)


def as_json(found: Startup) -> dict[str, object]:
    """Returns the machine, the disturbance, and every figure; times in µs and ms, sizes in bytes."""
    return {
        "machine": this_machine().model_dump() | {"load_average": os.getloadavg()[0], **_peer_versions()},
        "other_work": {"walk_bytes": WALK_BYTES, "python": "JSON, a regular expression, counting, sorting, fractions"},
        "first_calls": [one.model_dump() for one in found.first_calls],
        "processes": [one.model_dump() for one in found.processes],
    }


def _peer_versions() -> dict[str, str]:
    """Returns the versions of the log's peers; those of the model's peers are in the JSON of `benchmarks.speed`."""
    return {"sqlite": sqlite3.sqlite_version, "lmdb": version("lmdb")}


if __name__ == "__main__":
    main()
