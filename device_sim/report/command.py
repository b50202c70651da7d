"""The command `device-sim report`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from cloud_export.console import print_line, print_problem, results


def report(
    *,
    out: Annotated[Path, typer.Option(help="The HTML file to write.")] = Path("device-sim-report.html"),
    bundle: Annotated[Path | None, typer.Option(help="The .edge file to estimate; absent = the counted one.")] = None,
    bench: Annotated[Path | None, typer.Option(help="What `device-sim bench --json` wrote.")] = None,
    fleet: Annotated[Path | None, typer.Option(help="What `device-sim fleet --json` wrote.")] = None,
    estimates: Annotated[
        Path | None, typer.Option(help="What `device-sim estimate --json` wrote; absent = estimated now.")
    ] = None,
    counts: Annotated[
        list[Path] | None, typer.Option(help="What `device-sim count` wrote; once a core. Absent = the shipped ones.")
    ] = None,
    validation: Annotated[
        Path | None, typer.Option(help="What `device-sim validate --write-points` wrote; absent = the shipped one.")
    ] = None,
) -> None:
    """Write one page of pictures: latency intervals, where instructions go, validation, fleet, bench."""
    from cloud_export.atomic_write import write_whole
    from device_sim.report.inputs import Files, gather
    from device_sim.report.page import render

    with _errors():
        out.parent.mkdir(parents=True, exist_ok=True)
        files = Files(
            bundle=bundle, bench=bench, fleet=fleet, estimates=estimates, counts=counts or (), validation=validation
        )
        write_whole(out, render(gather(files)))
    print_line(results(), f"wrote {out}")


@contextmanager
def _errors() -> Iterator[None]:
    """Prints the known errors as one line; any other exception is a defect and keeps its traceback."""
    from device_sim.bench.bench_types import BenchFileError
    from device_sim.cores import UnknownCoreError
    from device_sim.counts.counts import CountsFileError
    from device_sim.estimate.cycle_model import CalibrationError
    from device_sim.estimate.estimate import CountsWithoutCachesError
    from device_sim.fleet.result import FleetFileError
    from device_sim.report.estimate_types import EstimatesFileError
    from device_sim.validation.scored_points import ScoredPointsError
    from edge_sdk import EdgeError

    files = (CountsFileError, FleetFileError, BenchFileError, ScoredPointsError, EstimatesFileError, CalibrationError)
    try:
        yield
    except (*files, UnknownCoreError, CountsWithoutCachesError, EdgeError, OSError) as problem:
        print_problem(problem)
        raise typer.Exit(2) from None
