"""How many instructions LZMA takes: with published 7-zip speeds and clocks, what scalar code gets done a cycle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from device_sim.counts.counts import Counts, CountsFileError
from device_sim.files import read_json, write_json

FORMAT: Final = 1


class LzmaCounts(BaseModel):
    """One pass of 7-zip's own benchmark, the one whose speeds are published.

    Attributes:
        encode: Instructions for 1 KiB (1024 bytes) of plain data, compressing.
        decode: The same, decompressing; KiB of what comes out, as 7-zip's figures have it.
        kib: How much was compressed and decompressed.
        dictionary_kib: Of the compressor.
        method: What was run, in words.
        versions: 7-zip, the release that its package is from, the emulator.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    format: int = FORMAT
    encode: Counts
    decode: Counts
    kib: int = Field(gt=0)
    dictionary_kib: int = Field(gt=0)
    method: str
    versions: Mapping[str, str]


def read_lzma_counts(path: Path) -> LzmaCounts:
    """Read what `write_lzma_counts` wrote.

    Raises:
        CountsFileError: The file is not readable or not in the format.
    """
    fix = "give a file that device_sim.emulation.references.lzma_counts wrote"
    return read_json(path, LzmaCounts, CountsFileError, fix=fix, version=FORMAT)


def write_lzma_counts(counts: LzmaCounts, path: Path) -> None:
    """Write as JSON.

    Raises:
        OSError: The file cannot be written.
    """
    write_json(counts, path)
