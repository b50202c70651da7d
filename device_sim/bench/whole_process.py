"""Fresh processes, measured whole: from the start of the interpreter, and with everything that they have in memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from device_sim.bench.bench_types import Resident, Spread, WholeProcess
from device_sim.bench.latencies import spread

BARE: Final = "bare"
PROGRAMS: Final = Path(__file__).with_name("programs")
_ROOT: Final = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Program:
    """A program that is measured in processes of its own.

    Attributes:
        key: Short name, unique among the programs.
        label: Its name in a table.
        path: The Python file; it prints its figures by `programs.report.report`.
        arguments: Of the program; the last one, behind these, is an empty folder of its own.
        missing: Why it cannot run, with the fix; empty = it can.
    """

    key: str
    label: str
    path: Path
    arguments: Sequence[str] = ()
    missing: str = ""


class ProcessRun(NamedTuple):
    """What one process reported, and what it left in its folder."""

    phases_ms: Mapping[str, float]  # in order; the first is from the call that starts the process to its first line
    cpu_ms: float  # of all threads, until the end of the last phase
    resident_bytes: Mapping[str, int]
    stored_bytes: int

    @property
    def total_ms(self) -> float:
        """From the call that starts the process to the end of the last phase."""
        return sum(self.phases_ms.values())


def bare_interpreter() -> Program:
    """Returns the program that all others are compared with."""
    return Program(BARE, "a bare interpreter", PROGRAMS / "bare_interpreter.py")


def run_in_turns(
    programs: Sequence[Program], processes: int, after: Callable[[str], None] = lambda _: None
) -> dict[str, list[ProcessRun]]:
    """Starts so many processes of each program that can run, the programs in turn.

    One process of each comes before those that count: it compiles the modules, as pip does at installation, and warms
    the page cache.

    Returns:
        The runs that count, by key.
    """
    able = [program for program in programs if not program.missing]
    runs: dict[str, list[ProcessRun]] = {program.key: [] for program in able}
    with TemporaryDirectory(prefix="edge-processes-") as folder:
        environment = _environment(Path(folder) / "bytecode")
        for number in range(processes + 1):
            for program in able:
                state = Path(folder) / f"{program.key}-{number}"
                state.mkdir()
                runs[program.key].append(_run(program, state, environment))
            after(f"fresh processes, {number} of {processes}")
    return {key: found[1:] for key, found in runs.items()}


def whole_processes(programs: Sequence[Program], runs: Mapping[str, Sequence[ProcessRun]]) -> tuple[WholeProcess, ...]:
    """Returns what the runs come to, the memory also beyond the bare interpreter's of the same turn."""
    return tuple(_figures(program, runs.get(program.key, ()), runs[BARE]) for program in programs)


def _run(program: Program, folder: Path, environment: Mapping[str, str]) -> ProcessRun:
    call = [sys.executable, "-P", str(program.path), *program.arguments, str(folder)]
    start_ns = time.perf_counter_ns()
    run = subprocess.run(call, capture_output=True, text=True, env=environment, check=False)
    if run.returncode:
        raise RuntimeError(f"{program.path.name} failed: {(run.stderr.strip().splitlines() or ['no message'])[-1]}")
    words = [line.split() for line in run.stdout.splitlines()]
    moments = {name: int(value) for sort, name, value in words if sort == "moment"}
    before = [start_ns, *moments.values()]
    return ProcessRun(
        {name: (moment - earlier) / 1e6 for (name, moment), earlier in zip(moments.items(), before, strict=False)},
        sum(int(value) for sort, _, value in words if sort == "cpu") / 1e6,
        {name: int(value) for sort, name, value in words if sort == "bytes"},
        sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
    )


def _environment(bytecode: Path) -> dict[str, str]:
    """The environment of all programs: this project importable, compiled modules kept, onnxruntime's telemetry off."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    path = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    ours = {"PYTHONPATH": path, "PYTHONPYCACHEPREFIX": str(bytecode), "ORT_DISABLE_TELEMETRY": "1"}
    return inherited | ours


def _figures(program: Program, runs: Sequence[ProcessRun], bare: Sequence[ProcessRun]) -> WholeProcess:
    if not runs:
        return WholeProcess(key=program.key, label=program.label, missing=program.missing)
    names = runs[0].phases_ms
    own = [run.resident_bytes for run in runs]
    beyond = [
        {name: size - floor.resident_bytes[name] for name, size in run.resident_bytes.items()}
        for run, floor in zip(runs, bare, strict=True)
    ]
    return WholeProcess(
        key=program.key,
        label=program.label,
        phases_ms={name: spread([run.phases_ms[name] for run in runs]) for name in names},
        total_ms=spread([run.total_ms for run in runs]),
        cpu_ms=spread([run.cpu_ms for run in runs]),
        to_bare=spread([run.total_ms / floor.total_ms for run, floor in zip(runs, bare, strict=True)]),
        resident=_resident(own),
        beyond_bare=_resident(beyond),
    )


def _resident(sizes: Sequence[Mapping[str, int]]) -> Resident:
    def of(name: str) -> Spread | None:
        return spread([one[name] for one in sizes]) if name in sizes[0] else None

    return Resident(rss_bytes=spread([one["rss"] for one in sizes]), pss_bytes=of("pss"), private_bytes=of("private"))
