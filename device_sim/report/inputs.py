"""Reads the inputs of the report from the named files, or else from the shipped ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from device_sim.bench.bench_types import Bench
from device_sim.counts.counts import BundleCounts
from device_sim.estimate import cycle_model
from device_sim.estimate.as_json import answer_table
from device_sim.estimate.choose_counts import BundleIdentity, NoCountsError, identify, shipped_counts
from device_sim.estimate.device_estimates import answer
from device_sim.estimate.profile import shipped_profiles
from device_sim.estimate.scalar_ipc import read_scalar_ipc
from device_sim.estimate.scenarios import find_scenarios
from device_sim.fleet.result import FleetResult
from device_sim.report.estimate_types import Estimates
from device_sim.report.page import Inputs
from device_sim.validation import scored_points

_SHOWN_SCENE: Final = "wealth"  # of several shipped ones, where no bundle is named


@dataclass(frozen=True, slots=True)
class Files:
    """The files that the command line names; None = not named."""

    bundle: Path | None = None
    bench: Path | None = None
    fleet: Path | None = None
    estimates: Path | None = None
    counts: Sequence[Path] = ()
    validation: Path | None = None


def gather(files: Files) -> Inputs:
    """Reads all inputs.

    Raises:
        EdgeError: The bundle is not usable.
        CountsFileError, BenchFileError, FleetFileError, EstimatesFileError, ScoredPointsError, CalibrationError:
            A file is not usable; each names the file, the field and the fix.
    """
    identity = identify(files.bundle) if files.bundle else None
    given = tuple(BundleCounts.read_json(file) for file in files.counts)
    counted = given or _of_one_scene(shipped_counts(), identity)
    estimates, why = (Estimates.read_json(files.estimates), "") if files.estimates else _estimated(identity, counted)
    return Inputs(
        estimates=estimates,
        why_no_estimates=why,
        counts=counted,
        points=_points(files.validation),
        calibration=cycle_model.read_calibration() if cycle_model.SHIPPED.exists() else None,
        fleet=FleetResult.read_json(files.fleet) if files.fleet else None,
        bench=Bench.read_json(files.bench) if files.bench else None,
    )


def _of_one_scene(counted: Sequence[BundleCounts], identity: BundleIdentity | None) -> tuple[BundleCounts, ...]:
    scenes = sorted({one.scene for one in counted}, key=lambda scene: (scene != _SHOWN_SCENE, scene))
    wanted = identity.scene if identity else next(iter(scenes), "")
    return tuple(one for one in counted if one.scene == wanted)


def _estimated(identity: BundleIdentity | None, counted: Sequence[BundleCounts]) -> tuple[Estimates | None, str]:
    """Estimates every shipped profile in every scenario; without a bundle, for the counted bundle."""
    if not counted:
        return None, "Nothing was counted for this scene, so nothing can be estimated."
    first = counted[0]
    asked = identity or BundleIdentity(
        Path(f"{first.scene}.edge"), first.scene, first.bundle_sha256, first.bundle_bytes
    )
    try:
        found = answer(
            asked,
            shipped_profiles(),
            counted,
            find_scenarios(()),
            calibration=cycle_model.read_calibration(),
            scalar_ipc=read_scalar_ipc(),
        )
    except NoCountsError as error:
        return None, f"{error}."
    return Estimates.model_validate(answer_table(found)), ""


def _points(file: Path | None) -> scored_points.ScoredPoints | None:
    if file is None and not scored_points.SHIPPED_POINTS.exists():
        return None
    return scored_points.read_points(file or scored_points.SHIPPED_POINTS)
