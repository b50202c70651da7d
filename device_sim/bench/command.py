"""The command `device-sim bench`."""

from __future__ import annotations

import hashlib
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn

from cloud_export.console import print_line, print_problem, problems, results

if TYPE_CHECKING:
    from device_sim.bench.bench_types import Bench
    from device_sim.bench.measure import Effort
    from device_sim.counts.counts import BundleCounts

_PICTURES = (".svg", ".png")


def bench(
    *,
    bundle: Annotated[Path, typer.Argument(help="The .edge file.")],
    key: Annotated[
        Path | None, typer.Option(help="Public key that signed it; absent = the .pub file beside it.")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write all figures here.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Write the picture here: .svg or .png.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="In each of them every condition has its turn.")] = 5,
    seconds: Annotated[float, typer.Option(min=0, help="Of each condition in a round.")] = 1.5,
    processes: Annotated[int, typer.Option(min=1, help="Fresh ones, for cold start and memory.")] = 5,
    interference: Annotated[bool, typer.Option(help="Also measure beside busy neighbours and under a quota.")] = True,
    counts: Annotated[
        list[Path] | None, typer.Option(help="What `device-sim count` wrote for this bundle; once a core.")
    ] = None,
    count: Annotated[
        list[str] | None, typer.Option(help="Count on this core now, if `device-sim setup` was run; some minutes each.")
    ] = None,
    compare: Annotated[
        Path | None, typer.Option(help="An earlier --json file; exit code 1 if counts or sizes rose.")
    ] = None,
    tolerance: Annotated[float, typer.Option(min=0, help="How far counts and sizes may rise, in percent.")] = 0.5,
    time_tolerance: Annotated[
        float | None, typer.Option(min=0, help="The same for times, in percent; absent = times fail nothing.")
    ] = None,
) -> None:
    """Time a bundle on this machine: record, rank, cold start, memory, quiet and under interference."""
    from device_sim.bench.bench_types import Bench
    from device_sim.bench.compare import compare as set_side_by_side
    from device_sim.bench.measure import Effort
    from device_sim.bench.tables import print_bench, print_comparison

    with _errors():
        _check_outputs(json, plot)
        old = Bench.read_json(compare) if compare else None
        effort = Effort(rounds=rounds, seconds=seconds, processes=processes, interference=interference)
        public_key = _public_key(bundle, key)
        counted = _counts(counts or [], bundle, count or [], public_key)
        measured = _measured(bundle, public_key, effort, counted)
        print_bench(results(), measured)
        if json:
            measured.write_json(json)
        if plot:
            _draw(measured, plot)
        if old is None:
            return
        times = None if time_tolerance is None else time_tolerance / 100
        compared = set_side_by_side(old, measured, tolerance=tolerance / 100, time_tolerance=times)
    print_comparison(results(), compared)
    if compared.regressions:
        raise typer.Exit(1)


def _measured(bundle: Path, key: bytes, effort: Effort, counts: Mapping[str, BundleCounts]) -> Bench:
    from device_sim.bench.measure import measure_bench

    columns = (SpinnerColumn(), TextColumn("{task.description}"))
    with _ended_by_sigterm(), Progress(*columns, console=problems(), transient=True) as progress:
        task = progress.add_task("opening the bundle", total=None)
        return measure_bench(
            bundle, key, effort, counts, after=lambda done: progress.update(task, description=f"done: {done}")
        )


def _counts(files: list[Path], bundle: Path, cores: list[str], key: bytes) -> dict[str, BundleCounts]:
    """Returns the counts by core: those of the files, which must be of this very bundle, and those made now."""
    from device_sim.bench.counting_now import count_cores
    from device_sim.counts.counts import BundleCounts, CountsFileError

    by_core: dict[str, BundleCounts] = {}
    for file in files:
        counted = BundleCounts.read_json(file)
        if counted.bundle_sha256 != hashlib.sha256(bundle.read_bytes()).hexdigest():
            raise CountsFileError(f"{file}: bundle_sha256: not that of {bundle}; count this bundle")
        if counted.core in (*by_core, *cores):
            raise CountsFileError(f"{file}: core: {counted.core} is given twice; give each core once")
        by_core[counted.core] = counted
    return by_core | count_cores(
        bundle, key, cores, before=lambda core: print_line(problems(), f"counting on {core}: some minutes")
    )


def _draw(measured: Bench, path: Path) -> None:
    from device_sim.bench.plot import write_plot

    write_plot(measured, path)


def _public_key(bundle: Path, key: Path | None) -> bytes:
    if not bundle.is_file():
        raise typer.BadParameter(f"{bundle}: no such file; give the .edge file that `cloud-export run` wrote")
    file = key or bundle.with_suffix(".pub")
    try:
        return file.read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror}; give the file of the public key with --key") from error


def _check_outputs(json: Path | None, plot: Path | None) -> None:
    """Checks the outputs before the work, so that a wrong name costs no minutes."""
    if plot and plot.suffix.lower() not in _PICTURES:
        raise typer.BadParameter(f"--plot {plot}: the picture is written as {' or '.join(_PICTURES)}: name it so")
    for file in (json, plot):
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Ends started processes on SIGTERM (a CI job out of time) as on Ctrl-C."""
    previous = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


@contextmanager
def _errors() -> Iterator[None]:
    """Prints the known errors as one line; any other exception is a defect and keeps its traceback."""
    from device_sim.bench.bench_types import BenchFileError
    from device_sim.bench.compare import NotComparableError
    from device_sim.bench.event_workload import DecisionFailedError
    from device_sim.counts.counts import CountsFileError
    from device_sim.emulation.errors import EmulationError
    from edge_sdk import EdgeError

    files = (CountsFileError, BenchFileError, NotComparableError)
    try:
        yield
    except (*files, EdgeError, EmulationError, DecisionFailedError, OSError) as problem:
        print_problem(problem)
        raise typer.Exit(2) from None
