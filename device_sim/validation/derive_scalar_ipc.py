"""Derives the range of instructions per cycle of interpreted code for each core.

There are no published timings of CPython on phone cores. For many boards, speeds of 7-zip's LZMA are published with the
measured clock: LZMA is branchy scalar code full of table look-ups, as an interpreter is. Counted instructions per KiB ×
KiB per second / clock gives a core's instructions per cycle on LZMA, encoding and decoding. `docs/device_sim.md`
describes how an interpreter differs, and by how much the range is widened for it.

    python -m device_sim.validation.derive_scalar_ipc --rows sbc_rows.json --write

derives the ranges again and writes `scalar_ipc.json`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from types import MappingProxyType
from typing import Annotated, Final

import numpy as np
import typer
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from rich.table import Table

from cloud_export.console import print_line, print_problem, print_table, results
from device_sim.cores import COUNTS_CORE, SAME_CORE
from device_sim.counts.counts import CountsFileError
from device_sim.counts.lzma import LzmaCounts
from device_sim.estimate.scalar_ipc import SHIPPED, CoreIpc, LzmaInstructions, ScalarIpc, Widening
from device_sim.files import Frozen, first_error

PERCENTILES: Final = (10.0, 90.0)  # of the boards of a core: one odd board must not set the range
CLOCK_TOLERANCE: Final = 0.1  # a clock measured further than this from the nominal one was measured while it moved
IN_ORDER: Final = frozenset({"cortex-a34", "cortex-a35", "cortex-a53", "cortex-a55", "cortex-a510", "cortex-a520"})
NEIGHBOUR_MARGIN: Final = 0.1  # added to both ends where a core's range is that of its relatives

LZMA_COUNTS: Final = Path(__file__).parents[1] / "counts" / "shipped" / "lzma.json"

INTERPRETER_IN_ORDER: Final = Widening(
    low=0.8,
    high=1.1,
    source="a plain Python loop published for a Cortex-A53 (alexdedyura/cpu-benchmark issue 20: 245 s on a Raspberry "
    "Pi 3B+ at 1.4 GHz; 269 thousand million instructions counted here) ran at 0.78 a cycle, within LZMA's range; "
    "rank is no loop, and misses of the instruction cache cost an in-order core more: the slow end is 0.8 of LZMA's",
)
INTERPRETER_OUT_OF_ORDER: Final = Widening(
    low=0.9,
    high=1.6,
    source="on an out-of-order x86-64 core, rank went through its counted arm64 instructions 1.1 times as fast as LZMA "
    "encoding and 1.6 times as fast as decoding (same CPython 3.11.2 and liblzma 5.4.1); 0.9 allows for phones' caches",
)

# Other makers' names for cores of Arm's design (Wikipedia, Kryo; not looked up again).
BUILT_ON: Final[Mapping[str, str]] = MappingProxyType(
    {
        "qualcomm kryo 4xx gold": "cortex-a76",
        "qualcomm kryo 4xx silver": "cortex-a55",
        "qualcomm kryo 3xx silver": "cortex-a55",
    }
)

# The relatives before and after a core without rows; the core takes the hull of their ranges.
NEIGHBOURS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "cortex-a34": ("cortex-a53",),
        "cortex-a35": ("cortex-a53",),
        "cortex-a57": ("cortex-a72", "cortex-a53"),
        "cortex-a75": ("cortex-a73", "cortex-a76"),
        "cortex-a77": ("cortex-a76", "cortex-a78"),
        "cortex-a510": ("cortex-a55", "cortex-a520"),
        "cortex-a710": ("cortex-a78", "cortex-a720"),
        "cortex-a715": ("cortex-a78", "cortex-a720"),
        "cortex-x2": ("cortex-x1", "cortex-x925"),
        "cortex-x3": ("cortex-x1", "cortex-x925"),
        "cortex-x4": ("cortex-x1", "cortex-x925"),
    }
)


class RowsError(Exception):
    """A file of board results is not usable; the message names the file, the field and the fix."""


class BoardRow(Frozen):
    """One run of 7-zip on one core of one board, from a result file of sbc-bench.

    Attributes:
        file: The result file; a board has one row for each cluster of cores.
        core: As the benchmark printed it, such as `Cortex-A55`.
        opp: Nominal clock in MHz; None = not printed.
        mhz: Clock measured just before, in MHz.
        comp: KiB of input encoded a second with a 4 MiB dictionary.
        dec: KiB of output decoded a second.
    """

    model_config = ConfigDict(extra="ignore")

    file: str
    core: str | None
    opp: float | None
    mhz: float | None
    comp: float = Field(gt=0)
    dec: float = Field(gt=0)


def read_rows(path: Path) -> tuple[BoardRow, ...]:
    """Reads a JSON list of rows.

    Raises:
        RowsError: The file is not readable or not in the form.
    """
    fix = "give a JSON list of rows with file, core, opp, mhz, comp and dec"
    try:
        return TypeAdapter(tuple[BoardRow, ...]).validate_json(path.read_bytes())
    except OSError as error:
        raise RowsError(f"{path}: {error.strerror}; {fix}") from error
    except ValidationError as error:
        raise RowsError(f"{path}: {first_error(error, 'the file')}; {fix}") from error


def lzma_instructions(path: Path = LZMA_COUNTS) -> LzmaInstructions:
    """Returns the counted instructions of 7-zip's benchmark on arm64 for one KiB.

    Raises:
        CountsFileError: The file is not usable.
    """
    counted = LzmaCounts.read_json(path)
    versions = ", ".join(f"{name} {version}" for name, version in counted.versions.items())
    return LzmaInstructions(
        encode_per_kib=counted.encode.instructions,
        decode_per_kib=counted.decode.instructions,
        source=f"{counted.method}; {versions}",
    )


def derive(rows: Iterable[BoardRow], lzma: LzmaInstructions, in_order: Widening, out_of_order: Widening) -> ScalarIpc:
    """Returns a range for each core: of its own rows if there are any, else of its neighbours'.

    A board counts once for each core: the median over its clusters. The range of a core is from the lower of the two
    lower PERCENTILES (encoding, decoding) over its boards to the higher of the two higher ones, then widened.
    """
    cores: dict[str, CoreIpc] = {}
    for core, boards in sorted(_by_core(rows).items()):
        encode = _percentiles([median(_per_cycle(row.comp, row) for row in group) for group in boards.values()])
        decode = _percentiles([median(_per_cycle(row.dec, row) for row in group) for group in boards.values()])
        encode_ipc = (encode[0] * lzma.encode_per_kib, encode[1] * lzma.encode_per_kib)
        decode_ipc = (decode[0] * lzma.decode_per_kib, decode[1] * lzma.decode_per_kib)
        widening = in_order if core in IN_ORDER else out_of_order
        cores[core] = CoreIpc(
            core=core,
            low=min(encode_ipc[0], decode_ipc[0]) * widening.low,
            high=max(encode_ipc[1], decode_ipc[1]) * widening.high,
            lzma_encode=encode_ipc,
            lzma_decode=decode_ipc,
            boards=tuple(sorted(boards)),
            source=f"sbc-bench 7-zip results of {len(boards)} boards with this core, widened for an interpreter",
        )
    relatives = {core: _from_neighbours(core, cores) for core in NEIGHBOURS if core not in cores}
    return ScalarIpc(lzma=lzma, in_order=in_order, out_of_order=out_of_order, cores={**cores, **relatives})


def main(
    rows: Annotated[Path, typer.Option(help="JSON list of board results (docs/device_sim.md).")],
    lzma: Annotated[Path, typer.Option(help="7-zip's instructions, counted; the shipped file.")] = LZMA_COUNTS,
    write: Annotated[bool, typer.Option("--write", help="Also write the ranges that are shipped.")] = False,
) -> None:
    """Derive the ranges of instructions per cycle of interpreted code, and print them."""
    try:
        derived = derive(read_rows(rows), lzma_instructions(lzma), INTERPRETER_IN_ORDER, INTERPRETER_OUT_OF_ORDER)
    except (RowsError, CountsFileError) as problem:
        print_problem(problem)
        raise typer.Exit(2) from None
    table = Table("core", "boards", "encode", "decode", "interpreter", "taken from", title="Instructions a cycle")
    for core in derived.cores.values():
        ranges = (_shown(core.lzma_encode), _shown(core.lzma_decode), _shown((core.low, core.high)))
        table.add_row(core.core, str(len(core.boards)), *ranges, ", ".join(core.neighbours))
    print_table(results(), table)
    if write:
        SHIPPED.write_text(derived.model_dump_json(indent=1, exclude_defaults=True) + "\n", encoding="utf-8")
        print_line(results(), f"written: {SHIPPED}")


def _by_core(rows: Iterable[BoardRow]) -> dict[str, dict[str, list[BoardRow]]]:
    """Returns the usable rows by core and result file; the others have no steady clock, or a core without a model."""
    found: dict[str, dict[str, list[BoardRow]]] = {}
    for row in rows:
        name = (row.core or "").lower()
        core = BUILT_ON.get(name, SAME_CORE.get(name, name))
        steady = row.mhz is not None and row.opp is not None and abs(row.mhz / row.opp - 1) <= CLOCK_TOLERANCE
        if core in COUNTS_CORE and steady and not name.startswith("neoverse"):  # servers have other caches
            found.setdefault(core, {}).setdefault(row.file, []).append(row)
    return found


def _per_cycle(kib_per_s: float, row: BoardRow) -> float:
    """Returns KiB per cycle; a usable row has a clock."""
    assert row.mhz is not None
    return kib_per_s / (row.mhz * 1e6)


def _percentiles(values: Sequence[float]) -> tuple[float, float]:
    low, high = np.percentile(values, PERCENTILES)
    return float(low), float(high)


def _from_neighbours(core: str, known: Mapping[str, CoreIpc]) -> CoreIpc:
    """Returns the hull of the relatives' ranges with a margin, since none of them is this core's."""
    relatives = [known[name] for name in NEIGHBOURS[core] if name in known]
    if not relatives:
        raise RowsError(f"{core}: no row is about it or {', '.join(NEIGHBOURS[core])}; give rows that are")
    names = tuple(relative.core for relative in relatives)
    return CoreIpc(
        core=core,
        low=min(relative.low for relative in relatives) * (1 - NEIGHBOUR_MARGIN),
        high=max(relative.high for relative in relatives) * (1 + NEIGHBOUR_MARGIN),
        neighbours=names,
        source=f"no published board has this core: the ranges of {' and '.join(names)}, {NEIGHBOUR_MARGIN:.0%} wider",
    )


def _shown(span: tuple[float, float] | None) -> str:
    return "" if span is None else f"{span[0]:.2f}–{span[1]:.2f}"


if __name__ == "__main__":
    typer.run(main)
