"""From counts to cycles: a linear model for each core, fitted on published timings (`validation.py`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict

from device_sim.counts.counts import Counts

SHIPPED: Final = Path(__file__).with_name("calibration.json")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class CoreModel(_Frozen):
    """How many cycles a core takes for counted vector code, and how far that was off where it could be checked.

    Attributes:
        core: Such as `cortex-a55`.
        counts_core: The core whose kernels were counted for it (ReferenceCounts.core): A73 runs those of A72.
        cycles_per: Cycles of each feature (`features`), none negative.
        held_out_median: Median relative error on models that the fit had not seen, same devices.
        held_out_p90: Its 90th percentile.
        unseen_device_median: Median relative error on devices that the fit had not seen; None = only one device.
        unseen_device_p90: Its 90th percentile.
        devices: What it was fitted on.
    """

    core: str
    counts_core: str
    cycles_per: Mapping[str, float]
    held_out_median: float
    held_out_p90: float
    unseen_device_median: float | None
    unseen_device_p90: float | None
    devices: tuple[str, ...]

    def cycles(self, counts: Counts) -> float:
        """The core's cycles for these counts, which must have been made with caches."""
        return sum(self.cycles_per[name] * value for name, value in features(counts).items())


class Calibration(_Frozen):
    """What `device-sim validate --write-calibration` fitted: shipped, so that estimating needs no published table."""

    cores: Mapping[str, CoreModel]
    published_sha256: str
    counted_with: Mapping[str, str]


def features(counts: Counts) -> dict[str, float]:
    """What the model is linear in."""
    fma = counts.of("fma", "dot")
    return {"fma": fma, "other": counts.instructions - fma, "l2_miss": counts.l2_misses or 0.0}


def read_calibration(path: Path = SHIPPED) -> Calibration:
    """Read a calibration."""
    return Calibration.model_validate_json(path.read_bytes())
