"""Counts LZMA under the emulator with the benchmark whose speeds sbc-bench published: `7zr b`, version 16.02.

    python -m device_sim.emulation.references.lzma_counts --out FILE

The phases (CPP/7zip/UI/Common/Bench.cpp of 7-zip 16.02): `CBenchInfoCalc` calls clock() when compressing starts, at
each progress report, and when compressing ends; the same for decompressing. So the plugin dumps at every clock(). The
long stretches between two calls are the work; a short one, in which the first result is printed, separates the phases.
The code before the first clock() (measuring the clock rate, making the data) and after the last is left out.

The number of passes over dictionary + 64 KiB in a phase: for compressing, `GetNumIterations` divides 2**34 by 1200 for
each byte (2**34, because the compiler removed the loop that measures the clock rate, as the printed rate shows). For
decompressing, the divisor depends on the compressed size; but every pass executes the same between its two progress
reports, so the most frequent stretch occurs once a pass. The printed rating must agree.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

from device_sim.counts.counts import Counts, summed
from device_sim.counts.lzma import LzmaCounts
from device_sim.emulation import qemu, sysroot, tools
from device_sim.emulation.errors import EmulationError, PluginOutputError
from device_sim.emulation.guest_process import run_program
from device_sim.emulation.installation import installed
from device_sim.emulation.plugin_output import Dump, read_dumps

RELEASE: Final = "bullseye"  # the last of Debian with 7-zip 16.02
PACKAGE: Final = "p7zip"
PROGRAM: Final = "/usr/lib/p7zip/7zr"
VERSION: Final = "16.02"
DICTIONARY_LOG2: Final = 22
DATA_KIB: Final = (1 << (DICTIONARY_LOG2 - 10)) + 64
CORE: Final = "cortex-a55"  # which one does not matter: 7-zip 16.02 has one code path for all of arm64
CLOCK_GETTIME: Final = 113
CLOCK_PROCESS_CPUTIME_ID: Final = 2  # what clock() asks for
COMMANDS: Final = 1 << 34  # kComplexInCommands
MEASURED_RATE_MAX_MHZ: Final = 20_000  # kMaxFreq: a rate above it is not believed, and COMMANDS stays as it is
ENCODE_COMMANDS_A_BYTE: Final = 1200  # EncComplex
SHORT_INSTRUCTIONS: Final = 1e6  # printing takes some 10 thousand; the work between two progress reports far more
TIMEOUT_S: Final = 3600.0


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line; errors are one line and exit code 1."""
    parser = argparse.ArgumentParser(description="Count LZMA's instructions under the emulator.")
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    options = parser.parse_args(arguments)
    try:
        count_lzma().write_json(options.out)
    except EmulationError as error:
        raise SystemExit(f"lzma_counts: {error}") from None


def count_lzma() -> LzmaCounts:
    """Run the benchmark once.

    Raises:
        EmulationError: The emulator is not set up, the package cannot be fetched, or the guest failed.
    """
    command = [PROGRAM, "b", "1", "-mmt1", f"-md{DICTIONARY_LOG2}"]
    root = sysroot.sysroot((PACKAGE,), RELEASE)
    with tempfile.TemporaryDirectory(prefix="edge-sim-counts-") as folder:
        written = Path(folder) / "counts.jsonl"
        options = qemu.plugin_options(installed().plugin, written, dump_at=(CLOCK_GETTIME, CLOCK_PROCESS_CPUTIME_ID))
        output = run_program(
            command,
            core_name=CORE,
            sysroot=root,
            environment={"LC_ALL": "C"},
            plugin_options=options,
            timeout_s=TIMEOUT_S,
        )
        dumps = read_dumps(written.read_text(encoding="ascii", errors="replace"), "the counts of 7zr")
    if f" {VERSION} " not in output.stdout:
        raise PluginOutputError("7zr", f"it is not version {VERSION}")
    encoding, decoding = phases(dumps)
    passes = decode_passes(decoding, output.stdout)
    return LzmaCounts(
        encode=scaled(summed(encoding), 1 / DATA_KIB / encode_passes(output.stdout)),
        decode=scaled(summed(decoding), 1 / DATA_KIB / passes),
        kib=DATA_KIB,
        dictionary_kib=1 << (DICTIONARY_LOG2 - 10),
        method=f"{' '.join(['7zr', *command[1:]])} of Debian's arm64 {PACKAGE} under user-mode emulation",
        versions={"7-zip": VERSION, "debian": RELEASE, "qemu": tools.emulator_version() or "unknown"},
    )


def phases(dumps: Sequence[Dump]) -> tuple[list[Counts], list[Counts]]:
    """Returns compressing and decompressing, each as the stretches from one clock() to the next.

    Args:
        dumps: One dump at every clock(), and the last one.

    Raises:
        PluginOutputError: There are not exactly two phases.
    """
    between = [dump.region(0).total() for dump in dumps[1:-1]]
    long = [
        list(stretch)
        for is_long, stretch in groupby(between, key=lambda counts: counts.instructions >= SHORT_INSTRUCTIONS)
        if is_long
    ]
    if len(long) != 2:
        raise PluginOutputError("the counts of 7zr", f"{len(long)} phases were found instead of two")
    return long[0], long[1]


def encode_passes(printed: str) -> int:
    """Returns how often the data was compressed.

    Raises:
        PluginOutputError: The benchmark accepted the printed clock rate, so the number is not known.
    """
    rates = re.search(r"^CPU Freq:((?:\s+\d+)+)$", printed, re.MULTILINE)
    if rates is None or int(rates[1].split()[-1]) < MEASURED_RATE_MAX_MHZ:
        raise PluginOutputError("7zr", "its clock rate loop was not removed by the compiler, as this program assumes")
    return max(1, COMMANDS // (ENCODE_COMMANDS_A_BYTE * DATA_KIB * 1024))


def decode_passes(decoding: Sequence[Counts], printed: str) -> int:
    """Returns how often the data was decompressed.

    Raises:
        PluginOutputError: The printed rating disagrees.
    """
    passes = Counter(counts.instructions for counts in decoding).most_common(1)[0][1]
    row = re.search(rf"^{DICTIONARY_LOG2}:.*\|\s+(\d+)\s+\d+\s+\d+\s+(\d+)$", printed, re.MULTILINE)
    if row is None:
        raise PluginOutputError("7zr", "the row of its results is missing")
    # Speed is KiB/s of plain data, the rating is million commands/s: their ratio is commands a KiB. Both are rounded.
    speed, rating = int(row[1]), int(row[2])
    expected = COMMANDS / (1e6 * rating / speed * DATA_KIB)
    if abs(passes / expected - 1) > 1 / rating + 1 / speed + 1 / expected:
        raise PluginOutputError("7zr", f"{passes} passes were counted, its rating implies {expected:.1f}")
    return passes


def scaled(counts: Counts, factor: float) -> Counts:
    """Returns the counts with all instructions multiplied by a factor."""
    return Counts(mix={name: factor * value for name, value in counts.mix.items()})


if __name__ == "__main__":
    main()
