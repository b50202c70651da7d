"""Makes the shipped calibration: coefficients of each core, and the errors where they could be measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from device_sim.cores import COUNTS_CORE
from device_sim.estimate.cycle_model import Calibration, CoreModel
from device_sim.validation.comparing import compared, compared_where_known
from device_sim.validation.points import Device, References
from device_sim.validation.predictions import Evaluated, Pair
from device_sim.validation.results import Score
from device_sim.validation.scoring import BASELINE, CYCLE_MODEL, Form, fit

_DIGITS = 6  # further digits differ between solvers and processors


def calibrate(
    published_sha256: str,
    references: References,
    evaluated: Sequence[Evaluated],
    transfers: Mapping[tuple[str, str], Sequence[Pair]],
) -> Calibration:
    """Fits each core on all its devices, and adds the errors that `evaluate` found.

    Args:
        published_sha256: The hash of the table.
        references: The counts, for their versions.
        evaluated: Every device of the fit.
        transfers: Predictions of cores by their relatives' coefficients.
    """
    cores = {}
    for core in sorted({one.device.core for one in evaluated}):
        cores[core] = _core_model(core, [one for one in evaluated if one.device.core == core])
    moved = compared_where_known(pair for pairs in transfers.values() for pair in pairs)
    return Calibration(
        cores=cores,
        transferred_median=_median(moved),
        transferred_p90=_p90(moved),
        published_sha256=published_sha256,
        counted_with=dict(
            sorted(
                {key: value for counts in references.counts.values() for key, value in counts.versions.items()}.items()
            )
        ),
    )


def coefficients(devices: Sequence[Device], form: Form = CYCLE_MODEL) -> dict[str, float]:
    """Returns the cycles of each feature of a form, fitted on all points of these devices."""
    return {name: _rounded(value) for name, value in zip(form.columns, fit(form, devices), strict=True)}


def _core_model(core: str, of_core: Sequence[Evaluated]) -> CoreModel:
    devices = [one.device for one in of_core]
    held_out = compared(one.held_out for one in of_core)
    unseen = compared_where_known(one.unseen_device for one in of_core)
    neither = compared_where_known(one.neither_seen for one in of_core)
    return CoreModel(
        core=core,
        counts_core=COUNTS_CORE[core],
        cycles_per=coefficients(devices),
        cycles_per_x86_ms=_rounded(float(fit(BASELINE, devices)[0])),
        held_out_median=_rounded(held_out.median_error),
        held_out_p90=_rounded(held_out.p90_error),
        unseen_device_median=_median(unseen),
        unseen_device_p90=_p90(unseen),
        neither_seen_median=_median(neither),
        neither_seen_p90=_p90(neither),
        devices=tuple(device.name for device in devices),
    )


def _median(found: Score | None) -> float | None:
    return None if found is None else _rounded(found.median_error)


def _p90(found: Score | None) -> float | None:
    return None if found is None else _rounded(found.p90_error)


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
