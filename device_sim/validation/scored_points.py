"""The published points and their predictions: the data of the report's scatter plot, shipped with the program."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final

import numpy as np

from device_sim.files import Frozen, JsonFile
from device_sim.validation.fitting import Array
from device_sim.validation.predictions import Evaluated
from device_sim.validation.scoring import Predicted

SHIPPED_POINTS: Final = Path(__file__).with_name("validation.json")
_DIGITS: Final = 4


class ScoredPointsError(Exception):
    """A file of scored points is not usable; the message names the file, the field and the fix."""


class ScoredPoint(Frozen):
    """One model on one device. Published milliseconds = predicted_ms / ratio.

    Attributes:
        predicted_ms: With the model held out: the median over the halvings.
        ratio: Predicted / published.
        unseen_device_ms: With the device held out; None = the only one of its core.
        unseen_device_ratio: Predicted / published.
    """

    device: str
    core: str
    model: str
    predicted_ms: float
    ratio: float
    unseen_device_ms: float | None
    unseen_device_ratio: float | None


class ScoredPoints(JsonFile):
    """The file of scored points and their sources."""

    file_error: ClassVar = ScoredPointsError
    file_fix: ClassVar = "write it again with `device-sim validate --write-points`"

    sources: tuple[str, ...]
    published_sha256: str
    points: tuple[ScoredPoint, ...]


def scored_points(evaluated: Sequence[Evaluated]) -> tuple[ScoredPoint, ...]:
    """Returns one point for each model of each device."""
    points = []
    for one in evaluated:
        held_out = _by_model(one.held_out.model)
        unseen = _by_model(one.unseen_device.model) if one.unseen_device else {}
        for place, model in enumerate(one.device.models):
            published = one.device.cycles[place : place + 1]
            points.append(
                ScoredPoint(
                    device=one.device.name,
                    core=one.device.core,
                    model=model,
                    predicted_ms=_rounded(one.device.milliseconds(published * held_out[model])[0]),
                    ratio=_rounded(held_out[model]),
                    unseen_device_ms=_rounded(one.device.milliseconds(published * unseen[model])[0])
                    if unseen
                    else None,
                    unseen_device_ratio=_rounded(unseen[model]) if unseen else None,
                )
            )
    return tuple(points)


def read_points(path: Path = SHIPPED_POINTS) -> ScoredPoints:
    """Returns the scored points of a file; without a path the shipped ones.

    Raises:
        ScoredPointsError: The file is not readable or not in the format.
    """
    return ScoredPoints.read_json(path)


def _by_model(predicted: Predicted) -> dict[str, float]:
    names: Array = np.array(predicted.models)
    return {model: float(np.median(predicted.ratio[names == model])) for model in set(predicted.models)}


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
