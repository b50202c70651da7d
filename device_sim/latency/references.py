"""The reference models' counts and x86 times, as `device_sim/counts/shipped` holds them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from device_sim.counts import counts
from device_sim.latency.points import References

SHIPPED_REFERENCES: Final = Path(counts.__file__).with_name("shipped")
X86_FILE: Final = "ncnn.x86_64.json"


class ReferencesError(Exception):
    """The reference counts or times are missing or not usable; the message names the file, the field and the mend."""


class HostTimes(BaseModel):
    """The reference models' times on an x86 host, one thread: what the baseline scales.

    Attributes:
        milliseconds: The least of the runs, by model.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    milliseconds: Mapping[str, float] = Field(min_length=1)


def read_references(folder: Path = SHIPPED_REFERENCES) -> References:
    """Read all `ncnn.cortex-*.json` of a folder, and the x86 times beside them.

    Raises:
        ReferencesError: Nothing was counted there, or the x86 times are not usable.
        CountsFileError: A counts file is not usable.
    """
    files = sorted(folder.glob("ncnn.cortex-*.json"))
    if not files:
        raise ReferencesError(f"{folder}: no ncnn.cortex-*.json; give --counts a folder of counted reference models")
    read = [counts.read_reference_counts(file) for file in files]
    return References({one.core: one for one in read}, read_host_times(folder / X86_FILE).milliseconds)


def read_host_times(path: Path) -> HostTimes:
    """Read the x86 times.

    Raises:
        ReferencesError: The file is not readable or not in the format.
    """
    mend = "give a folder with the x86 times of the counted models"
    try:
        return HostTimes.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ReferencesError(f"{path}: {error.strerror}; {mend}") from error
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ReferencesError(f"{path}: {field}: {first['msg']}; {mend}") from error
