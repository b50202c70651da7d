"""The cycle model: a linear model from counts to cycles for each core, fitted by `validation/validate.py`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Final

from pydantic import field_validator

from device_sim.cores import NEAREST, UnknownCoreError, core_named
from device_sim.counts.counts import Counts
from device_sim.files import Frozen, JsonFile

SHIPPED: Final = Path(__file__).with_name("calibration.json")


class CalibrationError(Exception):
    """A calibration file is not usable; the message names the file, the field and the fix."""


class CoreModel(Frozen):
    """A core's cycles for counted vector code, and the errors of the fit where they could be measured.

    All errors are |predicted/published − 1| as fractions; `validation/protocol.py` defines them.

    Attributes:
        core: Such as `cortex-a55`.
        counts_core: The core whose kernels were counted for it (ReferenceCounts.core): A73 runs those of A72.
        cycles_per: Cycles per unit of some `features`, none negative.
        cycles_per_x86_ms: The baseline: cycles for each millisecond of the x86 host of the counts.
        held_out_median: Median error on models that the fit had not seen, same device.
        held_out_p90: Its 90th percentile.
        unseen_device_median: Median error on devices that the fit had not seen; None = only one device.
        unseen_device_p90: Its 90th percentile.
        neither_seen_median: Median error where the fit had seen neither the device nor the model, as in an estimate
            of a bundle; None = only one device.
        neither_seen_p90: Its 90th percentile.
        devices: The devices of the fit.
    """

    core: str
    counts_core: str
    cycles_per: Mapping[str, float]
    cycles_per_x86_ms: float
    held_out_median: float
    held_out_p90: float
    unseen_device_median: float | None
    unseen_device_p90: float | None
    neither_seen_median: float | None
    neither_seen_p90: float | None
    devices: tuple[str, ...]

    @field_validator("cycles_per")
    @classmethod
    def _known_features(cls, cycles_per: Mapping[str, float]) -> Mapping[str, float]:
        unknown = sorted(set(cycles_per) - set(features(Counts(mix={}))))
        if unknown or not cycles_per or min(cycles_per.values()) < 0.0:
            raise ValueError(f"unknown features {unknown}, no features, or a negative coefficient")
        return cycles_per

    def cycles(self, counts: Counts) -> float:
        """Returns the core's cycles for these counts, which must have been made with caches."""
        counted = features(counts)
        return sum(cycles * counted[name] for name, cycles in self.cycles_per.items())


class Calibration(JsonFile):
    """The result of `device-sim validate --write-calibration`: shipped, so that estimating needs no published table.

    Attributes:
        cores: The fitted cores, by name.
        transferred_median: Median error of a core scored with the coefficients of its relative.
        transferred_p90: Its 90th percentile, which the interval of a transferred core includes.
        published_sha256: The hash of the published table of the fit.
        counted_with: The versions behind the counts.
    """

    file_error: ClassVar = CalibrationError
    file_fix: ClassVar = "write it again with `device-sim validate --write-calibration`"

    cores: Mapping[str, CoreModel]
    transferred_median: float | None
    transferred_p90: float | None
    published_sha256: str
    counted_with: Mapping[str, str]

    def for_core(self, core: str) -> tuple[CoreModel, bool]:
        """Returns the model of a core, and whether it is a relative's because the core has no published runs.

        Raises:
            UnknownCoreError: Neither the core nor its relative was fitted, or the name is unknown.
        """
        name = core_named(core)
        if name in self.cores:
            return self.cores[name], False
        relative = NEAREST.get(name)
        if relative is None or relative not in self.cores:
            raise UnknownCoreError(core)
        return self.cores[relative], True


def features(counts: Counts) -> dict[str, float]:
    """Returns the features that a model may use.

    `system` is only in `other`: in ncnn's kernels for in-order cores nearly all of it is `nop`, inserted to form pairs
    and issued together with another instruction.
    """
    fma, system = counts.of("fma", "dot"), counts.of("system")
    memory = counts.of("load", "store", "vector_load", "vector_store")
    return {
        "fma": fma,
        "memory": memory,
        "rest": counts.instructions - fma - memory - system,
        "other": counts.instructions - fma,
        "l1_miss": counts.l1d_misses or 0.0,
        "l2_miss": counts.l2_misses or 0.0,
        "l3_miss": counts.l3_misses or 0.0,
    }


def read_calibration(path: Path = SHIPPED) -> Calibration:
    """Returns the calibration of a file; without a path the shipped one.

    Raises:
        CalibrationError: The file is not readable or not in the format.
    """
    return Calibration.read_json(path)
