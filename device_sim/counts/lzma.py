"""How many instructions LZMA takes: with published 7-zip speeds and clocks, what scalar code gets done a cycle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from pydantic import Field

from device_sim.counts.counts import Counts, CountsFileError
from device_sim.files import JsonFile

FORMAT: Final = 1


class LzmaCounts(JsonFile):
    """One pass of 7-zip's own benchmark, the one whose speeds are published.

    Attributes:
        encode: Instructions for 1 KiB (1024 bytes) of plain data, compressing.
        decode: The same, decompressing; KiB of what comes out, as 7-zip's figures have it.
        kib: How much was compressed and decompressed.
        dictionary_kib: Of the compressor.
        method: What was run, in words.
        versions: 7-zip, the release that its package is from, the emulator.
    """

    file_error: ClassVar = CountsFileError
    file_fix: ClassVar = "give a file that device_sim.emulation.references.lzma_counts wrote"
    file_format: ClassVar = FORMAT

    format: int = FORMAT
    encode: Counts
    decode: Counts
    kib: int = Field(gt=0)
    dictionary_kib: int = Field(gt=0)
    method: str
    versions: Mapping[str, str]
