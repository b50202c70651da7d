"""Times of the reference models on a host: the basis of the plain baseline, host time × constant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from pydantic import Field

from device_sim.counts.counts import CountsFileError
from device_sim.files import Frozen, JsonFile

FORMAT: Final = 1


class ModelTime(Frozen):
    """One model's processor time with one thread over `HostTimes.rounds` × `runs_per_round` runs, in milliseconds."""

    median_ms: float = Field(gt=0)
    min_ms: float = Field(gt=0)


class HostTimes(JsonFile):
    """Models with published timings, timed natively on a host.

    Attributes:
        processor: The host's model name.
        rounds: How often all models were run, one after the other.
        runs_per_round: Runs of a model in a round, after one to warm up.
        models: The times by model name.
        versions: The versions of ncnn and python.
    """

    file_error: ClassVar = CountsFileError
    file_fix: ClassVar = "give a file that device_sim.emulation.references.reference_host wrote"
    file_format: ClassVar = FORMAT

    format: int = FORMAT
    processor: str
    rounds: int = Field(ge=1)
    runs_per_round: int = Field(ge=1)
    models: Mapping[str, ModelTime]
    versions: Mapping[str, str]
