"""The results of `device-sim validate`, as in its JSON file. Errors are |predicted/published − 1| as fractions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from device_sim.files import Frozen
from device_sim.validation.fitting import Array
from device_sim.validation.protocol import WITHIN
from device_sim.validation.published import Exclusion

RESULTS_FORMAT: Final = 1


class Score(Frozen):
    """The errors of predictions.

    Attributes:
        median_error: Half of the points are off by no more.
        p90_error: Nine of ten are off by no more.
        within_1_5: The share predicted within a factor of 1.5.
        points: How many predictions; a held-out model is predicted once a halving.
    """

    median_error: float
    p90_error: float
    within_1_5: float
    points: int


class Compared(Score):
    """The scores of the cycle model and of its baseline on the same points."""

    baseline: Score


class DeviceScores(Compared):
    """The scores of a device; its own figures are those of held-out models.

    Attributes:
        unseen_device: By a fit on the core's other devices; None = it is the only one.
        neither_seen: The same on held-out models.
        models: How many of its models are scored.
    """

    core: str
    clock_ghz: float
    models: int
    unseen_device: Compared | None
    neither_seen: Compared | None


class CoreScores(Compared):
    """The scores of a core; its own figures are those of held-out models over all its devices.

    Attributes:
        cycles_per: The coefficients fitted on all of it.
        noise: |a/b − 1| of the core's published runs among each other, clock-scaled; None = one device only.
    """

    counts_core: str
    devices: tuple[str, ...]
    cycles_per: Mapping[str, float]
    unseen_device: Compared | None
    neither_seen: Compared | None
    noise: Score | None


class GivenScores(Compared):
    """Scores of given coefficients, which were not fitted on the scored points.

    Attributes:
        core: The device's core, or the core itself.
        coefficients_of: The core whose coefficients were used.
        transferred: Whether they are a relative's.
        fitted_on: Whether the coefficients were fitted on a device of this name and core: not a new device.
        note: The table's own warning of the run; such a device is not in the totals of its core.
    """

    core: str
    coefficients_of: str
    transferred: bool
    fitted_on: bool
    note: str | None


class FurtherTable(Frozen):
    """A further published table, scored without refitting."""

    file: str
    sha256: str
    calibration: str
    cores: Mapping[str, GivenScores]
    devices: Mapping[str, GivenScores]
    exclusions: tuple[Exclusion, ...]


class Verdict(Frozen):
    """Whether a target is met."""

    target: str
    holds: bool
    measured: str


class Variant(Frozen):
    """Another way to fit and score, shown beside the main one for comparison."""

    title: str
    cores: Mapping[str, CoreScores]
    targets: tuple[Verdict, ...]


class Validation(Frozen):
    """The results on the main published table.

    Attributes:
        variants: `preregistered`: the form that protocol.py fixed before anything was scored. `with_int8` and
            `preregistered_with_int8`: both forms with int8 models in fits and scores.
    """

    format: int = RESULTS_FORMAT
    published: str
    published_sha256: str
    sources: tuple[str, ...]
    models: tuple[str, ...]
    cores: Mapping[str, CoreScores]
    devices: Mapping[str, DeviceScores]
    noted: Mapping[str, GivenScores]
    transferred: Mapping[str, Compared]
    variants: Mapping[str, Variant]
    exclusions: tuple[Exclusion, ...]
    targets: tuple[Verdict, ...]


def score(ratio: Array) -> Score:
    """Scores predictions.

    Args:
        ratio: Predicted / published, shape [points], not empty.
    """
    error = np.abs(ratio - 1.0)
    near = (ratio <= WITHIN) & (ratio >= 1.0 / WITHIN)
    return Score(
        median_error=float(np.median(error)),
        p90_error=float(np.quantile(error, 0.9)),
        within_1_5=float(near.mean()),
        points=len(error),
    )
