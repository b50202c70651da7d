"""Reads the reference models' counts and x86 times from `device_sim/counts/shipped`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from device_sim.counts import counts
from device_sim.counts.host_times import HostTimes
from device_sim.validation.points import References

SHIPPED_REFERENCES: Final = Path(counts.__file__).with_name("shipped")
X86_FILE: Final = "ncnn.x86_64.json"


class ReferencesError(Exception):
    """There are no reference counts; the message names the folder and the fix."""


def read_references(folder: Path = SHIPPED_REFERENCES) -> References:
    """Reads all `ncnn.cortex-*.json` of a folder, and the x86 times beside them.

    The least of the host's runs is used, as for the published runs.

    Raises:
        ReferencesError: The folder has no counts.
        CountsFileError: A file of counts or times is not usable.
    """
    files = sorted(folder.glob("ncnn.cortex-*.json"))
    if not files:
        raise ReferencesError(f"{folder}: no ncnn.cortex-*.json; give --counts a folder of counted reference models")
    read = [counts.ReferenceCounts.read_json(file) for file in files]
    host = HostTimes.read_json(folder / X86_FILE)
    return References({one.core: one for one in read}, {model: time.min_ms for model, time in host.models.items()})
