"""Scores further published tables with given coefficients: nothing is fitted on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from device_sim.cores import UnknownCoreError
from device_sim.estimate.cycle_model import Calibration, CoreModel
from device_sim.validation.comparing import compared
from device_sim.validation.points import Device, References, join, labels
from device_sim.validation.predictions import Pair, by_calibration
from device_sim.validation.published import Exclusion, PublishedTable
from device_sim.validation.results import FurtherTable, GivenScores


@dataclass(frozen=True, slots=True)
class Given:
    """The scores of devices and of their cores by given coefficients, and the exclusions."""

    cores: Mapping[str, GivenScores]
    devices: Mapping[str, GivenScores]
    exclusions: tuple[Exclusion, ...]


def score_table(
    table: PublishedTable, references: References, calibration: Calibration, *, calibrated_on: str
) -> FurtherTable:
    """Scores a table without refitting.

    Args:
        table: The published table.
        references: Counts and x86 times of its models.
        calibration: The coefficients.
        calibrated_on: The origin of the coefficients, in words.
    """
    joined = join(table, references, least_models=1)
    given = given_scores(calibration, [device.float_only() for device in joined.devices])
    return FurtherTable(
        file=table.file,
        sha256=table.sha256,
        calibration=calibrated_on,
        cores=given.cores,
        devices=given.devices,
        exclusions=(*joined.exclusions, *given.exclusions),
    )


def given_scores(calibration: Calibration, devices: Sequence[Device]) -> Given:
    """Scores devices by given coefficients; devices that the table warns of are not in the totals of their core."""
    scored: dict[str, GivenScores] = {}
    exclusions = []
    pairs: dict[str, list[tuple[Pair, GivenScores]]] = {}
    for name, device in zip(labels(devices), devices, strict=True):
        try:
            pair, model, transferred = by_calibration(calibration, device)
        except UnknownCoreError:
            reason = f"neither {device.core} nor a relative of it has coefficients"
            exclusions.append(Exclusion(entry=name, model=None, reason=reason))
            continue
        one = _given([pair], device.core, model, transferred, device.name in model.devices, device.note)
        scored[name] = one
        if device.note is None:
            pairs.setdefault(device.core, []).append((pair, one))
    cores = {}
    for core, members in sorted(pairs.items()):
        model, transferred = calibration.for_core(core)
        seen = any(one.fitted_on for _, one in members)
        cores[core] = _given([pair for pair, _ in members], core, model, transferred, seen, None)
    return Given(cores, scored, tuple(exclusions))


def _given(
    pairs: Sequence[Pair], core: str, model: CoreModel, transferred: bool, fitted_on: bool, note: str | None
) -> GivenScores:
    return GivenScores(
        **compared(pairs).model_dump(),
        core=core,
        coefficients_of=model.core,
        transferred=transferred,
        fitted_on=fitted_on and not transferred,
        note=note,
    )
