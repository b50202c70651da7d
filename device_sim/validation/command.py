"""The command `device-sim validate`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cloud_export.console import results

if TYPE_CHECKING:
    from device_sim.validation.points import References
    from device_sim.validation.results import FurtherTable
    from device_sim.validation.validate import Outcome

_IN_CHECKOUT = Path(__file__).parents[2]
DEFAULT_PUBLISHED = _IN_CHECKOUT.parent / "shared" / "reference" / "device_sim" / "published_ncnn_1thread.json"

PublishedOption = Annotated[
    Path | None,
    typer.Option(
        help="The published table to fit and score; default: ../shared/reference/device_sim beside a checkout."
    ),
]
TableOption = Annotated[
    list[Path] | None, typer.Option(help="A further published table, scored without refitting; may come several times.")
]
CountsOption = Annotated[
    Path | None, typer.Option(help="Folder of counted reference models; default: the shipped ones.")
]
JsonOption = Annotated[Path | None, typer.Option("--json", help="Write everything found to this file.")]
CalibrationOption = Annotated[Path | None, typer.Option(help="Write the fitted coefficients to this file.")]
PointsOption = Annotated[Path | None, typer.Option(help="Write each point's predictions to this file.")]
StrictOption = Annotated[bool, typer.Option(help="Exit with 1 when a target is missed.")]


def validate(
    *,
    published: PublishedOption = None,
    table: TableOption = None,
    counts: CountsOption = None,
    json_file: JsonOption = None,
    write_calibration: CalibrationOption = None,
    write_points: PointsOption = None,
    strict: StrictOption = False,
) -> None:
    """Fit and score the cycle model on published measurements, beside its baseline and their noise."""
    with _errors():
        _check_folders(json_file, write_calibration, write_points)
        missed = _validate(published, table or [], counts, json_file, write_calibration, write_points)
    if strict and missed:
        raise typer.Exit(1)


def _validate(
    published: Path | None,
    tables: list[Path],
    counts: Path | None,
    json_file: Path | None,
    write_calibration: Path | None,
    write_points: Path | None,
) -> bool:
    from device_sim.validation.references import SHIPPED_REFERENCES, read_references
    from device_sim.validation.tables import print_further, print_outcome

    references = read_references(counts or SHIPPED_REFERENCES)
    outcome = None
    if published is not None or DEFAULT_PUBLISHED.exists() or not tables:
        outcome = _outcome(published or DEFAULT_PUBLISHED, references)
        print_outcome(results(), outcome.validation)
    elif write_calibration or write_points:
        raise typer.BadParameter("nothing is fitted without a published table: give --published FILE")
    further = _further(tables, references, outcome)
    for scored in further:
        print_further(results(), scored)
    _write(outcome, further, json_file, write_calibration, write_points)
    return outcome is not None and not all(verdict.holds for verdict in outcome.validation.targets)


def _outcome(published: Path, references: References) -> Outcome:
    from device_sim.validation.published import PublishedTableError, read_published
    from device_sim.validation.validate import validate as validate_table

    if not published.exists():
        fix = "give --published FILE, or --table FILE to score one with the shipped calibration"
        raise PublishedTableError(published, "the file", "path", "is not there", fix)
    return validate_table(read_published(published), references)


def _further(tables: list[Path], references: References, outcome: Outcome | None) -> list[FurtherTable]:
    from device_sim.estimate.cycle_model import read_calibration
    from device_sim.validation.other_tables import score_table
    from device_sim.validation.published import read_published

    if not tables:
        return []
    calibration = outcome.calibration if outcome else read_calibration()
    calibrated_on = f"fitted on {outcome.validation.published}" if outcome else "shipped"
    return [score_table(read_published(path), references, calibration, calibrated_on=calibrated_on) for path in tables]


def _write(
    outcome: Outcome | None,
    further: list[FurtherTable],
    json_file: Path | None,
    write_calibration: Path | None,
    write_points: Path | None,
) -> None:
    from cloud_export.atomic_write import write_whole
    from device_sim.validation.scored_points import ScoredPoints

    if json_file:
        found = outcome.validation.model_dump(mode="json") if outcome else {}
        found["tables"] = [scored.model_dump(mode="json") for scored in further]
        write_whole(json_file, json.dumps(found, indent=1, allow_nan=False) + "\n")
    if outcome and write_calibration:
        outcome.calibration.write_json(write_calibration)
    if outcome and write_points:
        validation = outcome.validation
        points = ScoredPoints(
            sources=validation.sources, published_sha256=validation.published_sha256, points=outcome.points
        )
        points.write_json(write_points)


def _check_folders(*files: Path | None) -> None:
    """Checks the files before the work, so that a wrong name costs no time."""
    for file in files:
        if file is not None and (file.is_dir() or not file.parent.is_dir()):
            raise typer.BadParameter(f"{file}: not a file in a folder that is there; give another name")


@contextmanager
def _errors() -> Iterator[None]:
    from device_sim.counts.counts import CountsFileError
    from device_sim.estimate.cycle_model import CalibrationError
    from device_sim.validation.fitting import FitError
    from device_sim.validation.published import PublishedTableError
    from device_sim.validation.references import ReferencesError
    from device_sim.validation.validate import NothingToScoreError

    try:
        yield
    except (
        CalibrationError,
        CountsFileError,
        FitError,
        NothingToScoreError,
        OSError,
        PublishedTableError,
        ReferencesError,
    ) as problem:
        typer.echo(f"error: {problem}", err=True)
        raise typer.Exit(1) from None
