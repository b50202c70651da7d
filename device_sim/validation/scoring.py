"""Fits on some points and predicts others, as `protocol.py` defines; the same for the cycle model and its baseline."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from device_sim.validation.averaged_fit import COLUMNS, fit_averaged
from device_sim.validation.fitting import Array, fit_constant, fit_nonnegative
from device_sim.validation.points import Device
from device_sim.validation.protocol import HALVINGS, SEED


@dataclass(frozen=True, slots=True)
class Form:
    """Cycles = columns · coefficients.

    Attributes:
        columns: Names of a device's columns.
        fit: From columns, shape [points, coefficients], and cycles, shape [points], to coefficients.
    """

    columns: tuple[str, ...]
    fit: Callable[[Array, Array], Array]

    def of(self, device: Device) -> Array:
        """Returns the device's columns, shape [models, coefficients]."""
        return np.stack([device.columns[name] for name in self.columns], axis=1)


@dataclass(frozen=True, slots=True)
class Predicted:
    """Predictions of one device's models, each by a fit that had not seen the point.

    Attributes:
        device: Its name.
        models: The model of each prediction; a model may come several times.
        cycles: Predicted, shape [predictions].
        ratio: Predicted / published, shape [predictions].
    """

    device: str
    models: tuple[str, ...]
    cycles: Array
    ratio: Array


def _fit_constant(columns: Array, cycles: Array) -> Array:
    return np.array([fit_constant(columns[:, 0], cycles)])


CYCLE_MODEL: Final = Form(COLUMNS, fit_averaged)
PREREGISTERED: Final = Form(("fma", "other", "l2_miss"), fit_nonnegative)
BASELINE: Final = Form(("x86_ms",), _fit_constant)


def halvings(models: Iterable[str], count: int = HALVINGS, seed: int = SEED) -> tuple[tuple[frozenset[str], ...], ...]:
    """Returns seeded random halvings of a list of models: pairs of disjoint halves that together are the list."""
    names = sorted(set(models))
    pairs = []
    for number in range(count):
        order = np.random.default_rng([seed, number]).permutation(len(names))
        first = frozenset(names[place] for place in order[: len(names) // 2])
        pairs.append((first, frozenset(names) - first))
    return tuple(pairs)


def fit(form: Form, devices: Sequence[Device]) -> Array:
    """Fits one set of coefficients on all points of these devices.

    Raises:
        FitError: They have no points.
    """
    columns = np.concatenate([form.of(device) for device in devices if device.models])
    return form.fit(columns, np.concatenate([device.cycles for device in devices]))


def predict(form: Form, coefficients: Array, device: Device) -> Predicted:
    """Predicts a device's models by given coefficients."""
    cycles: Array = form.of(device) @ coefficients
    return Predicted(device.name, device.models, cycles, cycles / device.cycles)


def held_out(form: Form, device: Device, halves: Iterable[Sequence[Collection[str]]]) -> Predicted:
    """Fits on half of a device's models and predicts the other half, both ways, for each halving."""
    return across_halves(form, [device], device, halves)


def unseen_device(form: Form, device: Device, devices: Iterable[Device]) -> Predicted:
    """Predicts a device by a fit on all models of the other devices of its core."""
    return predict(form, fit(form, _others(device, devices)), device)


def neither_seen(
    form: Form, device: Device, devices: Iterable[Device], halves: Iterable[Sequence[Collection[str]]]
) -> Predicted:
    """Fits on the other devices of its core with half of the models; predicts the other half."""
    return across_halves(form, _others(device, devices), device, halves)


def across_halves(
    form: Form, training: Sequence[Device], device: Device, halves: Iterable[Sequence[Collection[str]]]
) -> Predicted:
    """Fits on one half of the models of some devices and predicts the other half of a device's models, both ways."""
    parts = []
    for first, second in halves:
        for seen, hidden in ((first, second), (second, first)):
            train = [other.only(seen) for other in training]
            test = device.only(hidden)
            if test.models and any(other.models for other in train):
                parts.append(predict(form, fit(form, train), test))
    return Predicted(
        device.name,
        tuple(model for part in parts for model in part.models),
        np.concatenate([part.cycles for part in parts]),
        np.concatenate([part.ratio for part in parts]),
    )


def _others(device: Device, devices: Iterable[Device]) -> list[Device]:
    return [other for other in devices if other.core == device.core and other.name != device.name]
