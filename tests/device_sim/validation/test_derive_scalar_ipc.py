"""The ranges of instructions per cycle are derived from board results."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from device_sim.cores import COUNTS_CORE
from device_sim.estimate.scalar_ipc import LzmaInstructions, ScalarIpc, ScalarIpcError, Widening, read_scalar_ipc
from device_sim.validation import derive_scalar_ipc as interpreter
from device_sim.validation.derive_scalar_ipc import NEIGHBOURS, BoardRow, RowsError, derive, read_rows
from tests.support.paths import SHARED

ROWS = SHARED / "reference" / "device_sim" / "sbc_rows.json"
LZMA = LzmaInstructions(encode_per_kib=1_000_000, decode_per_kib=100_000, source="reckoned for a test")
IN_ORDER = Widening(low=0.5, high=2.0, source="reckoned for a test")
OUT_OF_ORDER = Widening(low=1.0, high=1.0, source="reckoned for a test")
FAMILIES = ("Cortex-A53", "Cortex-A55", "Cortex-A72", "Cortex-A73", "Cortex-A76", "Cortex-A78", "Cortex-A520",
            "Cortex-A720", "Cortex-X1C", "Cortex-X925")  # fmt: skip


def row(
    core: str | None, *, file: str = "one", mhz: float | None = 1000, opp: float | None = 1000, comp: float = 800,
    dec: float = 9000,
) -> BoardRow:  # fmt: skip
    return BoardRow(file=file, core=core, opp=opp, mhz=mhz, comp=comp, dec=dec)


def derived(*rows: BoardRow) -> ScalarIpc:
    """With a row for each core that others' ranges are made of, unless the test gives one."""
    given = {(one.core or "").lower() for one in rows}
    rest = [row(core) for core in FAMILIES if core.lower() not in given]
    return derive([*rows, *rest], LZMA, IN_ORDER, OUT_OF_ORDER)


def test_speed_times_instructions_over_clock() -> None:
    """800 KiB/s × a million instructions / 1 GHz = 0.8; decoding 9,000 × 100,000 / 1 GHz = 0.9."""
    core = derived(row("Cortex-A76")).of("cortex-a76")
    assert core.lzma_encode == pytest.approx((0.8, 0.8))
    assert core.lzma_decode == pytest.approx((0.9, 0.9))
    assert (core.low, core.high) == pytest.approx((0.8, 0.9))
    assert core.boards == ("one",)


def test_an_in_order_core_is_widened_by_its_own_factors() -> None:
    core = derived(row("Cortex-A55")).of("cortex-a55")
    assert (core.low, core.high) == pytest.approx((0.4, 1.8))


def test_a_board_counts_once_whatever_its_clusters() -> None:
    """The median of a board's three clusters, then the 10th and 90th percentile over two boards."""
    rows = [row("Cortex-A76", comp=comp) for comp in (700, 800, 5000)] + [row("Cortex-A76", file="two", comp=1800)]
    core = derived(*rows).of("cortex-a76")
    assert core.lzma_encode == pytest.approx((0.9, 1.7))
    assert core.boards == ("one", "two")


@pytest.mark.parametrize(
    "unusable",
    [
        row("Cortex-A76", file="bad", mhz=None, comp=1),
        row("Cortex-A76", file="bad", opp=None, comp=1),
        row("Cortex-A76", file="bad", mhz=880, comp=1),
        row("Neoverse-N1", file="bad", comp=1),
        row("Cavium ThunderX 88XX", file="bad", comp=1),
        row(None, file="bad", comp=1),
    ],
)
def test_rows_without_a_steady_clock_or_of_other_cores_are_left_out(unusable: BoardRow) -> None:
    assert derived(row("Cortex-A76"), unusable).of("cortex-a76").boards == ("one",)


def test_other_makers_names_of_arms_cores_and_variants() -> None:
    found = derived(row("Qualcomm Kryo 4XX Gold", file="phone"), row("Cortex-A78AE", file="car"))
    assert "phone" in found.of("cortex-a76").boards
    assert "car" in found.of("cortex-a78").boards


def test_a_core_without_rows_has_its_neighbours_hull_and_a_margin() -> None:
    found = derived(row("Cortex-X1C", comp=1000, dec=10000), row("Cortex-X925", comp=2000, dec=20000))
    core = found.of("cortex-x3")
    assert (core.low, core.high) == pytest.approx((0.9, 2.2))
    assert core.neighbours == ("cortex-x1", "cortex-x925")
    assert "no published board has this core" in core.source


def test_rows_that_leave_a_core_without_any_relative_are_refused() -> None:
    with pytest.raises(RowsError, match=r"cortex-a34: no row is about it or cortex-a53; give rows that are"):
        derive([row("Cortex-A76")], LZMA, IN_ORDER, OUT_OF_ORDER)


def test_every_core_of_the_cycle_model_has_a_range() -> None:
    shipped = read_scalar_ipc()
    assert set(shipped.cores) == set(COUNTS_CORE)
    for core in shipped.cores.values():
        assert (core.lzma_encode is None) == bool(core.neighbours) == (core.core in NEIGHBOURS and not core.boards)
        assert core.low < core.high
    for core in shipped.cores.values():
        for name in core.neighbours:
            assert core.low < shipped.of(name).low
            assert core.high > shipped.of(name).high


def test_the_shipped_ranges_are_what_the_board_results_give() -> None:
    if not ROWS.exists():
        pytest.skip(f"the study's board results are not at {ROWS}; put them there")
    widenings = interpreter.INTERPRETER_IN_ORDER, interpreter.INTERPRETER_OUT_OF_ORDER
    made = derive(read_rows(ROWS), interpreter.lzma_instructions(), *widenings)
    shipped = read_scalar_ipc()
    assert made.cores.keys() == shipped.cores.keys()
    for name, core in made.cores.items():
        assert (core.low, core.high) == pytest.approx((shipped.of(name).low, shipped.of(name).high), rel=1e-9)
        assert core.boards == shipped.of(name).boards


def test_the_study_found_figures_within_or_near_the_ranges() -> None:
    """Its one figure a core, decoding and encoding, with the widening taken away again: within a twentieth."""
    study = {
        "cortex-a53": (0.86, 0.58), "cortex-a55": (0.94, 0.75), "cortex-a72": (0.98, 0.89), "cortex-a73": (1.02, 0.85),
        "cortex-a76": (1.28, 1.33), "cortex-a77": (1.43, 1.29), "cortex-a78": (1.41, 1.41), "cortex-x1": (1.50, 1.51),
        "cortex-x925": (1.59, 2.0),
    }  # fmt: skip
    for name, (decode, encode) in study.items():
        core = read_scalar_ipc().of(name)
        assert core.lzma_decode is not None
        assert core.lzma_encode is not None
        assert core.lzma_decode[0] * 0.95 <= decode <= core.lzma_decode[1] * 1.05, name
        assert core.lzma_encode[0] * 0.95 <= encode <= core.lzma_encode[1] * 1.05, name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", "the file: Invalid JSON"),
        ('[{"file": "x"}]', "0.core: Field required"),
        ("{}", "the file: Input should be a valid array"),
    ],
)
def test_wrong_rows_are_refused_with_file_field_and_fix(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "rows.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(RowsError) as caught:
        read_rows(file)
    assert str(caught.value).startswith(f"{file}: {message}")
    assert "give a JSON list of rows" in str(caught.value)


def test_the_command_prints_the_ranges_and_refuses_in_one_line(tmp_path: Path) -> None:
    import typer

    app = typer.Typer()
    app.command()(interpreter.main)
    rows = tmp_path / "rows.json"
    rows.write_text(json.dumps([row(core).model_dump() for core in FAMILIES]), encoding="utf-8")
    done = CliRunner().invoke(app, ["--rows", str(rows)])
    assert done.exit_code == 0, done.output
    assert "cortex-x925" in done.output
    refused = CliRunner().invoke(app, ["--rows", str(tmp_path / "none.json")])
    assert refused.exit_code == 2
    assert "RowsError" in refused.output


def test_wrong_ranges_are_refused_with_the_file_and_the_fix(tmp_path: Path) -> None:
    file = tmp_path / "scalar.json"
    file.write_text("{}", encoding="utf-8")
    with pytest.raises(ScalarIpcError, match=r"scalar\.json: lzma: Field required; write it again with"):
        read_scalar_ipc(file)
    with pytest.raises(ScalarIpcError, match=r"none\.json: No such file or directory; write it again"):
        read_scalar_ipc(tmp_path / "none.json")
