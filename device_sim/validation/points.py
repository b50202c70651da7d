"""Joins published runs with the counts and x86 times of the same models: the points of fits and scores."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from device_sim.cores import COUNTS_CORE
from device_sim.counts.counts import ReferenceCounts
from device_sim.estimate.cycle_model import features
from device_sim.validation.fitting import Array
from device_sim.validation.protocol import INT8_SUFFIX
from device_sim.validation.published import Exclusion, PublishedRun, PublishedTable

ANY: Final = "all"


@dataclass(frozen=True, slots=True)
class References:
    """The measurements of this project: counts by core, and the host's x86 times, both by model."""

    counts: Mapping[str, ReferenceCounts]
    x86_ms: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Device:
    """A published run and the data of its models.

    Attributes:
        note: Why the table warns of the run; None = it does not.
        models: Names, ascending.
        cycles: Published least time × clock, shape [models].
        columns: The features that cycles may be linear in, by name, each of shape [models]: `cycle_model.features` and
            `x86_ms`, the time on the x86 host of the counts.
    """

    name: str
    core: str
    clock_ghz: float
    note: str | None
    models: tuple[str, ...]
    cycles: Array
    columns: Mapping[str, Array]

    def only(self, models: Collection[str]) -> Device:
        """Returns the same run with these models only."""
        kept = [place for place, model in enumerate(self.models) if model in models]
        return replace(
            self,
            models=tuple(self.models[place] for place in kept),
            cycles=self.cycles[kept],
            columns={name: column[kept] for name, column in self.columns.items()},
        )

    def float_only(self) -> Device:
        """Returns the same run without int8 models."""
        return self.only([model for model in self.models if not model.endswith(INT8_SUFFIX)])

    def milliseconds(self, cycles: Array) -> Array:
        """Converts cycles to milliseconds on this device."""
        return cycles / (self.clock_ghz * 1e6)


@dataclass(frozen=True, slots=True)
class Joined:
    """The devices of a table that can be scored, int8 models included, and the exclusions."""

    devices: tuple[Device, ...]
    exclusions: tuple[Exclusion, ...]


def join(table: PublishedTable, references: References, *, least_models: int) -> Joined:
    """Joins each published figure with its model's counts and x86 time; others are excluded, with the reason.

    Args:
        table: The published table.
        references: The counts and x86 times.
        least_models: How many float models a device needs to be scored.
    """
    devices = []
    exclusions = list(table.exclusions)
    exclusions += _unusable_models(table, references)
    for run in table.runs:
        counts = references.counts.get(COUNTS_CORE[run.core])
        if counts is None:
            reason = f"the kernels of {COUNTS_CORE[run.core]}, which {run.core} runs, were not counted"
            exclusions.append(Exclusion(entry=run.device, model=None, reason=reason))
            continue
        device = _device(run, counts, references.x86_ms)
        float_models = len(device.float_only().models)
        if float_models < least_models:
            reason = f"{float_models} float models with counts and an x86 time; at least {least_models} are needed"
            exclusions.append(Exclusion(entry=run.device, model=None, reason=reason))
            continue
        devices.append(device)
        if run.note:
            reason = f"scored apart, not fitted: the table notes {run.note[:120]!r}"
            exclusions.append(Exclusion(entry=run.device, model=None, reason=reason))
    return Joined(tuple(devices), tuple(exclusions))


def labels(devices: Sequence[Device]) -> tuple[str, ...]:
    """Returns a label for each device: its name, with the core where the table has several cores of the device."""
    names = [device.name for device in devices]
    return tuple(
        name if names.count(name) == 1 else f"{name} ({device.core})"
        for name, device in zip(names, devices, strict=True)
    )


def _unusable_models(table: PublishedTable, references: References) -> list[Exclusion]:
    unusable = []
    for model in sorted({model for run in table.runs for model in run.least_ms}):
        uncounted = sorted(core for core, counts in references.counts.items() if model not in counts.models)
        everywhere = len(uncounted) == len(references.counts)
        if uncounted:
            entry = ANY if everywhere else f"devices with the kernels of {', '.join(uncounted)}"
            unusable.append(Exclusion(entry=entry, model=model, reason="no counts of the model"))
        if everywhere:
            continue
        if model not in references.x86_ms:
            unusable.append(Exclusion(entry=ANY, model=model, reason="no x86 time to compare with"))
        elif model.endswith(INT8_SUFFIX):
            reason = "int8: published runs are of different versions' kernels; scored apart"
            unusable.append(Exclusion(entry=ANY, model=model, reason=reason))
    return unusable


def _device(run: PublishedRun, counts: ReferenceCounts, x86_ms: Mapping[str, float]) -> Device:
    models = tuple(sorted(model for model in run.least_ms if model in counts.models and model in x86_ms))
    rows = [{**features(counts.models[model]), "x86_ms": x86_ms[model]} for model in models]
    return Device(
        name=run.device,
        core=run.core,
        clock_ghz=run.clock_ghz,
        note=run.note,
        models=models,
        cycles=np.array([run.least_ms[model] * run.clock_ghz * 1e6 for model in models]),
        columns={name: np.array([row[name] for row in rows]) for name in (rows[0] if rows else ())},
    )
