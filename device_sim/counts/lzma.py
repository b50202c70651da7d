"""Instructions of LZMA: with published 7-zip speeds and clocks they give the instructions per cycle of scalar code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from pydantic import Field

from device_sim.counts.counts import Counts, CountsFileError
from device_sim.files import JsonFile

FORMAT: Final = 1


class LzmaCounts(JsonFile):
    """One pass of 7-zip's own benchmark, whose speeds are published.

    Attributes:
        encode: Instructions for 1 KiB (1024 bytes) of plain data, compressing.
        decode: The same, decompressing; per KiB of output, as in 7-zip's figures.
        kib: The size of the data.
        dictionary_kib: The size of the compressor's dictionary.
        method: The command, in words.
        versions: The versions of 7-zip, of the Debian release of its package, and of the emulator.
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
