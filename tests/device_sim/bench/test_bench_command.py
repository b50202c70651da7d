"""`device-sim bench` measures, prints and compares a bundle that is packed in a second."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from device_sim.bench.bench_types import CONDITIONS, TIMED, Bench
from device_sim.cli import app
from tests.support.scene import Small
from tests.support.simulator.bench_files import bench_of

TINY = ["--rounds", "1", "--seconds", "0", "--processes", "1"]


@pytest.fixture(scope="module")
def key(small: Small) -> Path:
    """The public key as a file that is not beside the bundle."""
    path = small.folder / "other_name.key"
    path.write_bytes(small.public_key)
    return path


@pytest.fixture(scope="module")
def measured(small: Small, key: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what one run wrote."""
    folder = tmp_path_factory.mktemp("bench")
    outputs = ["--json", str(folder / "new" / "bench.json"), "--plot", str(folder / "bench.svg")]
    result = bench(small, key, *TINY, *outputs)
    assert result.exit_code == 0, result.output
    return folder


def test_every_condition_is_measured_or_reported_with_its_reason(measured: Path) -> None:
    bench = Bench.read_json(measured / "new" / "bench.json")
    assert [condition.name for condition in bench.conditions] == list(CONDITIONS)
    for condition in bench.conditions:
        assert set(condition.operations) == (set() if condition.unavailable else set(TIMED))
    assert bench.bundle.scene == "small"
    assert (bench.bundle.window, bench.bundle.offers) == (8, 6)
    assert bench.memory.state_bytes > 1 << 20
    assert bench.cold_start.total_ms.median >= bench.cold_start.open_ms.median > 0
    assert [(one.task, one.key) for one in bench.first_calls] == [
        ("record", "edge_sdk"), ("record", "sqlite"), ("record", "lmdb"), ("rank", "edge_sdk"),
    ]  # fmt: skip
    assert all(one.missing or (one.cold_us and one.warm_us) for one in bench.first_calls)
    assert [one.key for one in bench.processes] == ["bare", "imports", "edge_sdk", "sqlite", "lmdb"]


def test_it_prints_first_calls_and_whole_processes(small: Small, key: Path) -> None:
    result = bench(small, key, *TINY, "--no-interference")
    assert result.exit_code == 0, result.output
    words = " ".join(result.output.replace("│", " ").split())
    assert "first call after other work" in words
    assert "64 MiB of other memory" in words
    assert "MB beyond a bare interpreter" in words
    assert "Compare within this table" in words or "compare within this table" in words


def test_the_picture_is_a_drawing_without_other_files(measured: Path) -> None:
    root = ElementTree.parse(measured / "bench.svg").getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    words = " ".join("".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text"))
    assert "rank, new base" in words
    assert "busy neighbour" in words


def test_a_bench_compares_with_its_own_file_and_reports_that_no_counts_were_compared(
    small: Small, key: Path, measured: Path
) -> None:
    old = str(measured / "new" / "bench.json")
    result = bench(small, key, *TINY, "--no-interference", "--compare", old)
    assert result.exit_code == 0, result.output
    assert "NO COUNTS WERE COMPARED" in result.output
    assert "state folder" in result.output


def test_a_larger_bundle_than_before_is_exit_code_1(small: Small, key: Path, measured: Path, tmp_path: Path) -> None:
    old = Bench.read_json(measured / "new" / "bench.json")
    smaller = old.bundle.model_copy(update={"size_bytes": old.bundle.size_bytes * 9 // 10})
    old.model_copy(update={"bundle": smaller}).write_json(tmp_path / "old.json")
    result = bench(small, key, *TINY, "--no-interference", "--compare", str(tmp_path / "old.json"))
    assert result.exit_code == 1
    assert "WORSE beyond the tolerance: bundle" in result.output


def test_a_file_of_another_scene_is_exit_code_2(small: Small, key: Path, tmp_path: Path) -> None:
    bench_of().write_json(tmp_path / "old.json")
    result = bench(small, key, *TINY, "--no-interference", "--compare", str(tmp_path / "old.json"))
    assert result.exit_code == 2
    assert "not comparable: the bundle's scene was wealth and is small" in result.output


def test_what_cannot_be_used_is_one_line_and_exit_code_2(small: Small, key: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{}")
    (tmp_path / "wrong.edge").write_bytes(b"nothing")
    for arguments in (
        [str(small.bundle), "--key", str(key), "--compare", str(tmp_path / "bad.json")],
        [str(small.bundle), "--key", str(key), "--counts", str(tmp_path / "bad.json")],
        [str(small.bundle), "--key", str(tmp_path / "none.pub")],
        [str(small.bundle), "--key", str(key), "--plot", str(tmp_path / "picture.jpeg")],
        [str(tmp_path / "wrong.edge"), "--key", str(key)],
        [str(tmp_path / "none.edge"), "--key", str(key)],
    ):
        result = CliRunner().invoke(app, ["bench", *arguments, *TINY])
        assert result.exit_code == 2, result.output
        assert "Traceback" not in result.output
        assert isinstance(result.exception, SystemExit)


def test_the_picture_can_be_points(small: Small, tmp_path: Path) -> None:
    from device_sim.bench.plot import write_plot

    write_plot(bench_of(unavailable="no"), tmp_path / "bench.png")
    assert (tmp_path / "bench.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def bench(small: Small, key: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["bench", str(small.bundle), "--key", str(key), *arguments])
