"""Fits and scores the cycle model on a published table, as `protocol.py` defines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from device_sim.cores import COUNTS_CORE
from device_sim.estimate.cycle_model import Calibration
from device_sim.validation.calibrate import calibrate, coefficients
from device_sim.validation.comparing import compared, compared_where_known
from device_sim.validation.other_tables import given_scores
from device_sim.validation.points import Device, References, join, labels
from device_sim.validation.predictions import Evaluated, evaluate, noise, transferred
from device_sim.validation.protocol import HALVINGS, MIN_MODELS
from device_sim.validation.published import PublishedTable
from device_sim.validation.results import CoreScores, DeviceScores, Validation, Variant, score
from device_sim.validation.scored_points import ScoredPoint, scored_points
from device_sim.validation.scoring import CYCLE_MODEL, PREREGISTERED, Form, halvings
from device_sim.validation.verdicts import verdicts


class NothingToScoreError(Exception):
    """A table has no device that can be scored."""

    def __init__(self, file: str, reasons: Iterable[str]) -> None:
        """Names the file and why its devices are excluded."""
        shown = "; ".join(list(reasons)[:3]) or "no runs"
        super().__init__(f"{file}: no device can be scored: {shown}; fix the table, or count its models")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The results of a validation, the fitted coefficients, and the single points."""

    validation: Validation
    calibration: Calibration
    points: tuple[ScoredPoint, ...]


def validate(table: PublishedTable, references: References, *, halving_count: int = HALVINGS) -> Outcome:
    """Fits and scores as the protocol requires.

    Args:
        table: The published table.
        references: Counts and x86 times of the same models.
        halving_count: How many random halvings of the models.

    Raises:
        NothingToScoreError: The table has no run that can be fitted on.
    """
    joined = join(table, references, least_models=MIN_MODELS)
    fitted = [device for device in joined.devices if device.note is None]
    if not fitted:
        raise NothingToScoreError(table.file, (exclusion.reason for exclusion in joined.exclusions))
    floats = [device.float_only() for device in fitted]
    evaluated = evaluate(floats, halvings(_models(floats), halving_count))
    transfers = transferred(floats)
    calibration = calibrate(table.sha256, references, evaluated, transfers)
    cores = _core_scores(evaluated)
    validation = Validation(
        published=table.file,
        published_sha256=table.sha256,
        sources=table.sources,
        models=_models(floats),
        cores=cores,
        devices=dict(zip(labels(floats), map(_device_scores, evaluated), strict=True)),
        noted=given_scores(calibration, [device.float_only() for device in joined.devices if device.note]).devices,
        transferred={f"{scored} by {lender}": compared(pairs) for (scored, lender), pairs in transfers.items()},
        variants={
            "preregistered": _variant("pre-registered", PREREGISTERED, floats, halving_count),
            "with_int8": _variant("with int8", CYCLE_MODEL, fitted, halving_count),
            "preregistered_with_int8": _variant("pre-registered, with int8", PREREGISTERED, fitted, halving_count),
        },
        exclusions=joined.exclusions,
        targets=verdicts(cores),
    )
    return Outcome(validation, calibration, scored_points(evaluated))


def _models(devices: Iterable[Device]) -> tuple[str, ...]:
    return tuple(sorted({model for device in devices for model in device.models}))


def _variant(title: str, form: Form, devices: Sequence[Device], halving_count: int) -> Variant:
    cores = _core_scores(evaluate(devices, halvings(_models(devices), halving_count), form=form), form)
    return Variant(title=title, cores=cores, targets=verdicts(cores))


def _core_scores(evaluated: Sequence[Evaluated], form: Form = CYCLE_MODEL) -> Mapping[str, CoreScores]:
    scores = {}
    for core in sorted({one.device.core for one in evaluated}):
        of_core = [one for one in evaluated if one.device.core == core]
        devices = [one.device for one in of_core]
        differences = noise(devices)
        scores[core] = CoreScores(
            **compared([one.held_out for one in of_core]).model_dump(),
            counts_core=COUNTS_CORE[core],
            devices=tuple(device.name for device in devices),
            cycles_per=coefficients(devices, form),
            unseen_device=compared_where_known([one.unseen_device for one in of_core]),
            neither_seen=compared_where_known([one.neither_seen for one in of_core]),
            noise=score(differences + 1.0) if len(differences) else None,
        )
    return scores


def _device_scores(one: Evaluated) -> DeviceScores:
    return DeviceScores(
        **compared([one.held_out]).model_dump(),
        core=one.device.core,
        clock_ghz=one.device.clock_ghz,
        models=len(one.device.models),
        unseen_device=compared_where_known([one.unseen_device]),
        neither_seen=compared_where_known([one.neither_seen]),
    )
