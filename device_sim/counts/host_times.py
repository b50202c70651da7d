"""How long reference models take on a host: what the plain baseline, host time × constant, starts from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from device_sim.counts.counts import CountsFileError
from device_sim.files import read_json, write_json

FORMAT: Final = 1


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ModelTime(_Frozen):
    """One model's processor time with one thread over `HostTimes.rounds` × `runs_per_round` runs, in milliseconds."""

    median_ms: float = Field(gt=0)
    min_ms: float = Field(gt=0)


class HostTimes(_Frozen):
    """Models with published timings, timed natively on a host.

    Attributes:
        processor: The host's model name.
        rounds: How often all models were run, one after the other.
        runs_per_round: Runs of a model in a round, after one to warm up.
        models: By name.
        versions: ncnn and python.
    """

    format: int = FORMAT
    processor: str
    rounds: int = Field(ge=1)
    runs_per_round: int = Field(ge=1)
    models: Mapping[str, ModelTime]
    versions: Mapping[str, str]


def read_host_times(path: Path) -> HostTimes:
    """Read what `write_host_times` wrote.

    Raises:
        CountsFileError: The file is not readable or not in the format.
    """
    fix = "give a file that device_sim.emulation.references.reference_host wrote"
    return read_json(path, HostTimes, CountsFileError, fix=fix, version=FORMAT)


def write_host_times(times: HostTimes, path: Path) -> None:
    """Write as JSON.

    Raises:
        OSError: The file cannot be written.
    """
    write_json(times, path)
