"""Fresh processes of the runtime and of its peers: start-up, memory, and what lies on the disk then."""

from __future__ import annotations

import marshal
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from device_sim.bench.bench_types import ColdStart, Memory, WholeProcess
from device_sim.bench.event_workload import Workload
from device_sim.bench.latencies import START_MS, STEP_MS, spread
from device_sim.bench.whole_process import (
    PROGRAMS,
    ProcessRun,
    Program,
    bare_interpreter,
    run_in_turns,
    whole_processes,
)

EVENTS: Final = 2000
RANKS: Final = 200
OURS: Final = "edge_sdk"
IMPORTS: Final = "imports"
_CALLS: Final = 200  # that the events repeat: not to weigh in the memory
_LOG_PEERS: Final = {"sqlite": ("SQLite alone", "sqlite3"), "lmdb": ("LMDB alone", "lmdb")}


class FreshProcesses(NamedTuple):
    """The figures of all fresh processes of one measurement."""

    cold_start: ColdStart
    memory: Memory
    processes: tuple[WholeProcess, ...]


def measure_fresh(
    work: Workload,
    processes: int,
    peers: Sequence[Program] = (),
    after: Callable[[str], None] = lambda _: None,
) -> FreshProcesses:
    """Starts so many processes of each program, the programs in turn.

    Args:
        work: the bundle and its events.
        processes: how many of each program.
        peers: programs beside those of the runtime and of the log's peers.
        after: is called after each step, with its name.
    """
    with TemporaryDirectory(prefix="edge-bench-") as folder:
        order = Path(folder) / "order"
        write_order(work, order)
        programs = [*_programs(order), *peers]
        runs = run_in_turns(programs, processes, after)
    cold_start, memory = _of_the_runtime(runs)
    return FreshProcesses(cold_start, memory, whole_processes(programs, runs))


def write_order(work: Workload, path: Path) -> None:
    """Writes what `programs/first_decision.py` is to do."""
    order = {
        "bundle": str(work.path),
        "key": work.public_key,
        "offers": list(work.base.offers),
        "logits": work.base.logits.tolist(),
        "calls": work.calls[:_CALLS],
        "events": EVENTS,
        "ranks": RANKS,
        "start_ms": START_MS,
        "step_ms": STEP_MS,
    }
    path.write_bytes(marshal.dumps(order))


def _programs(order: Path) -> list[Program]:
    return [
        bare_interpreter(),
        Program(IMPORTS, "numpy and onnxruntime imported", PROGRAMS / "bare_imports.py"),
        Program(OURS, "edge_sdk, to the first decision", PROGRAMS / "first_decision.py", [str(order)]),
        *(_log_peer(key, label, module) for key, (label, module) in _LOG_PEERS.items()),
    ]


def _log_peer(key: str, label: str, module: str) -> Program:
    fix = f"{module} is not installed; install it: pip install 'edge-sdk[bench]'"
    path = PROGRAMS / "log_alone.py"
    return Program(key, label, path, [key, str(EVENTS)], missing="" if find_spec(module) else fix)


def _of_the_runtime(runs: Mapping[str, Sequence[ProcessRun]]) -> tuple[ColdStart, Memory]:
    ours, imports = runs[OURS], runs[IMPORTS]
    phases = [run.phases_ms for run in ours]
    cold_start = ColdStart(
        processes=len(ours),
        import_ms=spread([one["imports"] for one in phases]),
        open_ms=spread([one["open"] for one in phases]),
        first_decision_ms=spread([one["rank"] for one in phases]),
        total_ms=spread([one["imports"] + one["open"] + one["rank"] for one in phases]),
    )
    bare_bytes = round(median(run.resident_bytes["rss"] for run in imports))
    resident_bytes = round(median(run.resident_bytes["rss"] for run in ours))
    stored_bytes = round(median(run.stored_bytes for run in ours))
    return cold_start, Memory(bare_bytes=bare_bytes, extra_bytes=resident_bytes - bare_bytes, state_bytes=stored_bytes)
