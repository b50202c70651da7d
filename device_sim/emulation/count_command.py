"""Runs `device-sim count`: checks the call, counts core after core, prints and writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.console import Console

from cloud_export.console import print_line, print_table, problems, results
from device_sim.emulation import counting
from device_sim.emulation.count_table import conformance_lines, count_tables, summary_line
from device_sim.emulation.counting import Counted, EmulatedCore
from device_sim.emulation.errors import EmulationError
from device_sim.emulation.installation import installed
from edge_sdk import EdgeError

_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class CountRequest:
    """The arguments of the call; `command.count` describes them."""

    bundle: Path
    cores: tuple[str, ...]
    key: Path | None = None
    out: Path | None = None
    repetitions: int = counting.REPETITIONS
    caches: bool = True
    golden: Path | None = None


def run_count(request: CountRequest) -> None:
    """Counts, prints and writes.

    Raises:
        typer.Exit: Code 2: the call is wrong. Code 1: counting failed, or the core decides otherwise than this machine.
    """
    console = results()
    with _one_line_errors():
        key, golden = _key(request.key), _golden(request.golden)
        caches = {core: counting.caches_of(core) for core in request.cores}
        installation = installed()
        agrees = True
        with counting.prepared(request.bundle, public_key=key, golden=golden, repetitions=request.repetitions) as ready:
            for core in request.cores:
                simulated = caches[core] if request.caches else None
                runner = EmulatedCore(installation, core, simulated)
                print_line(console, f"{core}: comparing decisions, then counting; this takes some minutes")
                found = counting.count_on(ready, core, simulated, runner)
                _report(console, found)
                path = _target(request, found)
                path.parent.mkdir(parents=True, exist_ok=True)
                found.counts.write_json(path)
                print_line(console, f"wrote {path}")
                agrees &= found.conformance.holds
        if not agrees:
            raise typer.Exit(1)


def _report(console: Console, found: Counted) -> None:
    for table in count_tables(found.counts):
        print_table(console, table)
    for line in (*(summary_line(found.counts, name) for name in found.counts.operations), *conformance_lines(found)):
        print_line(console, line)


def _target(request: CountRequest, found: Counted) -> Path:
    name = f"{found.counts.scene}.{found.counts.core}.json"
    if request.out is None:
        return Path(name)
    return request.out / name if len(request.cores) > 1 or request.out.is_dir() else request.out


class _WrongCallError(Exception):
    """An option cannot be used; the message names it and the fix."""


def _key(path: Path | None) -> bytes | None:
    if path is None:
        return None
    fix = "give the scene.pub that `cloud-export run` wrote"
    try:
        key = path.read_bytes()
    except OSError as error:
        raise _WrongCallError(f"--key {path}: {error.strerror}; {fix}") from error
    if len(key) != _KEY_BYTES:
        raise _WrongCallError(f"--key {path}: {len(key)} bytes, a public key has {_KEY_BYTES}; {fix}")
    return key


def _golden(folder: Path | None) -> Path | None:
    if folder is None:
        return counting.golden_folder()
    if not counting.is_golden(folder):
        fix = "give a folder as tests/golden is"
        raise _WrongCallError(f"--golden {folder}: no decisions/ or no players (vector_*.py) in it; {fix}")
    return folder


@contextmanager
def _one_line_errors() -> Iterator[None]:
    code = 1
    try:
        yield
        return
    except _WrongCallError as problem:
        message, code = str(problem), 2
    except (EdgeError, EmulationError) as problem:
        message = str(problem)
    except OSError as problem:  # such as a full disk, or an --out that cannot be written
        where = problem.filename or "the disk"
        message = f"{where}: {problem.strerror or problem}; free space there, or choose another --out"
    print_line(problems(), message)
    raise typer.Exit(code)
