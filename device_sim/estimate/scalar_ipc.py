"""The range of instructions per cycle of interpreted code on each core (made by `validation/derive_scalar_ipc.py`)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Final

from pydantic import Field

from device_sim.files import Frozen, JsonFile

SHIPPED: Final = Path(__file__).with_name("scalar_ipc.json")


class ScalarIpcError(Exception):
    """The ranges are not usable, or there is none for a core."""


class LzmaInstructions(Frozen):
    """The instructions of 7-zip on arm64 for one KiB, and their source."""

    encode_per_kib: float = Field(gt=0)
    decode_per_kib: float = Field(gt=0)
    source: str


class Widening(Frozen):
    """The widening of LZMA's range for an interpreter: the low end × `low`, the high end × `high`."""

    low: float = Field(gt=0, le=1)
    high: float = Field(ge=1)
    source: str


class CoreIpc(Frozen):
    """Instructions per cycle on one core.

    Attributes:
        low: The slow end of the range.
        high: The fast end.
        lzma_encode: 10th and 90th percentile over the boards; None = no board has this core.
        lzma_decode: The same for decoding.
        boards: The result files behind the range.
        neighbours: The cores whose ranges are used instead; empty = there are boards with this core.
        source: The source of the range, as a sentence.
    """

    core: str
    low: float = Field(gt=0)
    high: float = Field(gt=0)
    lzma_encode: tuple[float, float] | None = None
    lzma_decode: tuple[float, float] | None = None
    boards: tuple[str, ...] = ()
    neighbours: tuple[str, ...] = ()
    source: str


class ScalarIpc(JsonFile):
    """The content of `scalar_ipc.json`."""

    file_error: ClassVar = ScalarIpcError
    file_fix: ClassVar = "write it again with `python -m device_sim.validation.derive_scalar_ipc --rows FILE --write`"

    lzma: LzmaInstructions
    in_order: Widening
    out_of_order: Widening
    cores: Mapping[str, CoreIpc]

    def of(self, core: str) -> CoreIpc:
        """Returns the range of a core.

        Raises:
            ScalarIpcError: There is none.
        """
        if core not in self.cores:
            raise ScalarIpcError(f"{core}: no range of instructions per cycle; give one in the profile, as scalar_ipc")
        return self.cores[core]


def read_scalar_ipc(path: Path = SHIPPED) -> ScalarIpc:
    """Returns the ranges of a file that `derive_scalar_ipc.main` wrote; without a path the shipped ones.

    Raises:
        ScalarIpcError: The file is not readable or not in the format.
    """
    return ScalarIpc.read_json(path)
