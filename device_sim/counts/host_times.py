"""How long reference models take on a host: what the plain baseline, host time × constant, starts from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from device_sim.counts.counts import CountsFileError

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
    mend = "give a file that device_sim.emulation.reference_host wrote"
    try:
        times = HostTimes.model_validate_json(path.read_bytes())
    except OSError as error:
        raise CountsFileError(f"{path}: {error.strerror}; {mend}") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the file"
        raise CountsFileError(f"{path}: {field}: {first['msg']}; {mend}") from error
    if times.format != FORMAT:
        raise CountsFileError(f"{path}: format {times.format}, this program reads {FORMAT}; {mend}")
    return times


def write_host_times(times: HostTimes, path: Path) -> None:
    """Write as JSON.

    Raises:
        OSError: The file cannot be written.
    """
    path.write_text(times.model_dump_json(indent=1) + "\n", encoding="utf-8")
