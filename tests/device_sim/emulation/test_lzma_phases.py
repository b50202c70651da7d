"""Compressing and decompressing are separated and their passes counted, or the run is refused."""

from __future__ import annotations

import pytest

from device_sim.counts.counts import INSTRUCTION_CLASSES, Counts
from device_sim.emulation.errors import PluginOutputError
from device_sim.emulation.plugin_output import Dump, PageCounts, Region
from device_sim.emulation.references import lzma_counts

# What 7zr 16.02 printed, but for the rates of this machine.
PRINTED = """
7-Zip (a) [64] 16.02 : Copyright (c) 1999-2016 Igor Pavlov : 2016-05-21

CPU Freq: 2666666 21333333 10666666 16000000 409600000

22:        297    26   1115    289  |       4051    26   1346    346
----------------------------------  | ------------------------------
"""


def dumps(*instructions: int) -> list[Dump]:
    rest = (0,) * (len(INSTRUCTION_CLASSES) - 1)
    return [Dump({0: Region(1, (PageCounts(1, (count, *rest), ()),))}) for count in instructions]


def totals(stretches: list[Counts]) -> list[float]:
    return [counts.instructions for counts in stretches]


def test_a_short_stretch_parts_the_phases() -> None:
    # Before the first clock(): 99e6; between: compressing, printing, decompressing, printing; after the last: 5e6.
    run = dumps(99_000_000, 30_000_000, 31_000_000, 20_000, 3_000_000, 4_000_000, 15_000, 5_000_000)
    encoding, decoding = lzma_counts.phases(run)
    assert totals(encoding) == [30e6, 31e6]
    assert totals(decoding) == [3e6, 4e6]


@pytest.mark.parametrize("between", [(), (30_000_000,), (2_000_000, 1, 2_000_000, 1, 2_000_000)])
def test_other_than_two_phases_are_refused(between: tuple[int, ...]) -> None:
    with pytest.raises(PluginOutputError, match="phases were found instead of two"):
        lzma_counts.phases(dumps(9, *between, 9))


def test_passes() -> None:
    assert lzma_counts.encode_passes(PRINTED) == 3
    decoding = lzma_counts.phases(dumps(1, 2_000_000, 1, *(5_000_000 + n for n in range(48)), *[7_000_000] * 48, 1))[1]
    assert lzma_counts.decode_passes(decoding, PRINTED) == 48


def test_a_rate_that_is_believed_is_refused() -> None:
    with pytest.raises(PluginOutputError, match="clock rate loop"):
        lzma_counts.encode_passes(PRINTED.replace("409600000", "1800"))
    with pytest.raises(PluginOutputError, match="clock rate loop"):
        lzma_counts.encode_passes("")


@pytest.mark.parametrize("passes", [24, 96])
def test_passes_that_the_rating_denies_are_refused(passes: int) -> None:
    decoding = lzma_counts.phases(dumps(1, 2_000_000, 1, *[7_000_000] * passes, 1))[1]
    with pytest.raises(PluginOutputError, match="its rating implies 48"):
        lzma_counts.decode_passes(decoding, PRINTED)


def test_a_missing_row_is_refused() -> None:
    with pytest.raises(PluginOutputError, match="the row of its results is missing"):
        lzma_counts.decode_passes([dumps(7_000_000)[0].region(0).total()], "")
