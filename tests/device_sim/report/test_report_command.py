"""`device-sim report` runs without files, with files, and refuses wrong files."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from device_sim.cli import app
from device_sim.counts.counts import BundleCounts, Caches, Counts, Operation, Part
from device_sim.report.estimate_types import Estimates, EstimatesFileError
from tests.support.simulator.bench_files import bench_of, counts_of
from tests.support.simulator.report_inputs import fleet_of, points_of

WRONG = ["--bench", "--fleet", "--estimates", "--counts", "--validation", "--bundle"]


def test_it_works_without_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = report()
    assert result.exit_code == 0, result.output
    drawn = (tmp_path / "device-sim-report.html").read_text()
    assert drawn.startswith("<!doctype html>")
    assert "What this page does not say" in drawn


def test_the_page_shows_the_figures_of_the_files(tmp_path: Path) -> None:
    _counted().write_json(tmp_path / "counts.json")
    bench_of().write_json(tmp_path / "bench.json")
    (tmp_path / "fleet.json").write_text(fleet_of().model_dump_json())
    (tmp_path / "points.json").write_text(points_of("0" * 64).model_dump_json())
    files = {"--counts": "counts", "--bench": "bench", "--fleet": "fleet", "--validation": "points"}
    options = [word for option, name in files.items() for word in (option, str(tmp_path / f"{name}.json"))]
    result = report("--out", str(tmp_path / "new" / "page.html"), *options)
    assert result.exit_code == 0, result.output
    drawn = (tmp_path / "new" / "page.html").read_text()
    assert "<h1>Estimated: a decision takes " in drawn
    assert drawn.count("<svg") == 8
    assert "120 simulated phones" in drawn


@pytest.mark.parametrize("option", WRONG)
@pytest.mark.parametrize("content", [None, b"{}", b"[1]", b"\xff\xfe"])
def test_a_wrong_file_is_one_line_and_exit_code_2(tmp_path: Path, option: str, content: bytes | None) -> None:
    file = tmp_path / "wrong.json"
    if content is not None:
        file.write_bytes(content)
    result = report("--out", str(tmp_path / "page.html"), option, str(file))
    assert result.exit_code == 2, result.output
    assert "wrong.json" in result.output
    assert isinstance(result.exception, SystemExit)
    assert not (tmp_path / "page.html").exists()


def test_an_interval_that_ends_before_it_begins_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "estimates.json"
    file.write_text(
        '{"format": 1, "caution": "", "remarks": [], "scenarios": {}, '
        '"bundle": {"name": "a", "scene": "b", "size_bytes": 1}, '
        '"devices": [{"profile": {"name": "a", "title": "A", "class": "entry"}, "cores": [{"core": "cortex-a55", '
        '"estimates": [{"operation": "rank", "scenario": "typical", "low_us": 2, "high_us": 1}]}]}]}'
    )
    with pytest.raises(EstimatesFileError, match=r"devices\.0\.cores\.0\.estimates\.0: .*above high_us"):
        Estimates.read_json(file)


def _counted() -> BundleCounts:
    """With misses: estimating needs them."""
    kernels = Counts(
        mix={"fma": 1e5, "vector_load": 1e5, "load": 1e4}, l1i_misses=1.0, l1d_misses=1e3, l2_misses=1e2, l3_misses=0.0
    )
    scalar = Counts(mix={"load": 1e6}, l1i_misses=1.0, l1d_misses=1e3, l2_misses=1e2, l3_misses=0.0)
    rank = Operation(
        parts=(
            Part(stage="model", image="onnxruntime", counts=kernels),
            Part(stage="policy", image="python", counts=scalar),
        )
    )
    record = Operation(parts=(Part(stage="engine", image="python", counts=scalar),))
    caches = Caches(l1i=(32, 4), l1d=(32, 4), l2=(256, 8))
    return counts_of("cortex-a76").model_copy(update={"caches": caches, "operations": {"rank": rank, "record": record}})


def report(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["report", *arguments])
