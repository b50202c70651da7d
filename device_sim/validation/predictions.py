"""Makes the predictions of the protocol, by the cycle model and by its baseline."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from device_sim.estimate.cycle_model import Calibration, CoreModel
from device_sim.validation.fitting import Array, fit_nonnegative
from device_sim.validation.points import Device
from device_sim.validation.protocol import TRANSFER_TESTS
from device_sim.validation.scoring import (
    BASELINE,
    CYCLE_MODEL,
    Form,
    Predicted,
    fit,
    held_out,
    neither_seen,
    predict,
    unseen_device,
)

Halves = Iterable[Sequence[Collection[str]]]


@dataclass(frozen=True, slots=True)
class Pair:
    """The same points predicted by the cycle model and by the baseline."""

    model: Predicted
    baseline: Predicted


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A device's predictions: of held-out models, as an unseen device, and with neither seen (None = the only one)."""

    device: Device
    held_out: Pair
    unseen_device: Pair | None
    neither_seen: Pair | None


def evaluate(devices: Sequence[Device], halves: Halves, *, form: Form = CYCLE_MODEL) -> tuple[Evaluated, ...]:
    """Predicts every device's points by fits that have not seen them.

    Args:
        devices: The devices that may be fitted on.
        halves: Halvings of their models (`scoring.halvings`).
        form: The cycle model's.

    Raises:
        FitError: A device has no models in any half.
    """
    pairs = tuple(halves)
    return tuple(_evaluated(form, device, devices, pairs) for device in devices)


def transferred(devices: Sequence[Device]) -> Mapping[tuple[str, str], tuple[Pair, ...]]:
    """Predicts the devices of each core in TRANSFER_TESTS with the coefficients of the other core."""
    results = {}
    for scored, lender in TRANSFER_TESTS:
        lenders = [device for device in devices if device.core == lender]
        targets = [device for device in devices if device.core == scored]
        if lenders and targets:
            given = {form: fit(form, lenders) for form in (CYCLE_MODEL, BASELINE)}
            results[scored, lender] = tuple(
                Pair(predict(CYCLE_MODEL, given[CYCLE_MODEL], device), predict(BASELINE, given[BASELINE], device))
                for device in targets
            )
    return results


def by_calibration(calibration: Calibration, device: Device) -> tuple[Pair, CoreModel, bool]:
    """Predicts a device's points by given coefficients; also returns their core model and whether it is transferred.

    Raises:
        UnknownCoreError: Neither the device's core nor its relative is in the calibration.
    """
    core, is_transferred = calibration.for_core(device.core)
    form = Form(tuple(core.cycles_per), fit_nonnegative)  # the calibration's own form, which may be an older one
    model = predict(form, np.array(list(core.cycles_per.values())), device)
    baseline = predict(BASELINE, np.array([core.cycles_per_x86_ms]), device)
    return Pair(model, baseline), core, is_transferred


def noise(devices: Sequence[Device]) -> Array:
    """Returns a/b − 1 of the clock-scaled times of each model on each two devices of one core, both ways."""
    differences: list[float] = []
    for one in devices:
        cycles = dict(zip(one.models, one.cycles, strict=True))
        for other in devices:
            if other.name != one.name:
                shared = zip(other.models, other.cycles, strict=True)
                differences += [cycles[model] / value - 1.0 for model, value in shared if model in cycles]
    return np.array(differences)


def _evaluated(
    form: Form, device: Device, devices: Sequence[Device], halves: Sequence[Sequence[Collection[str]]]
) -> Evaluated:
    alone = not any(other.core == device.core and other.name != device.name for other in devices)
    return Evaluated(
        device,
        held_out=_pair(form, lambda one: held_out(one, device, halves)),
        unseen_device=None if alone else _pair(form, lambda one: unseen_device(one, device, devices)),
        neither_seen=None if alone else _pair(form, lambda one: neither_seen(one, device, devices, halves)),
    )


def _pair(form: Form, method: Callable[[Form], Predicted]) -> Pair:
    return Pair(method(form), method(BASELINE))
