"""`benchmarks.speed` trains, writes its files and starts fresh processes as it states."""

from __future__ import annotations

import subprocess
from pathlib import Path

import polars as pl
import pytest

from benchmarks.speed import processes as speed_processes
from benchmarks.speed.bundles import CONTEXT, TrainedScene, trained_scene
from benchmarks.speed.processes import arm64_instructions, process_figures
from benchmarks.speed.training import scene_file, with_items
from benchmarks.work import Work, make_work
from cloud_export.scene.load import load_scene
from device_sim.population.population import PopulationConfig, simulate
from tests.support.scene import HOME, SCENE, Small


@pytest.fixture
def work(small: Small, tmp_path: Path) -> Work:
    """The small scene as a task."""
    return make_work(
        model=small.model, bundle=small.bundle, public_key=small.public_key, scene=SCENE, context=HOME,
        folder=tmp_path, events=20,
    )  # fmt: skip


def test_a_log_over_more_items_is_the_same_log() -> None:
    own = simulate(PopulationConfig(users=30, days=1))
    more = with_items(own, 500)
    assert own.offers.height == 360
    assert more.offers["offer"].n_unique() == more.offers.height == 500
    assert more.offers.filter(pl.col("rankable")).equals(own.offers.filter(pl.col("rankable")))
    assert set(more.events["item"].drop_nulls()) <= set(more.offers["offer"])
    former = more.events.with_columns(item=pl.col("item").str.split("/").list.first())
    assert former.equals(own.events)
    assert more.events["item"].n_unique() > own.events["item"].n_unique()
    assert with_items(own, 360).events.equals(own.events)


def test_the_context_is_one_of_the_scene() -> None:
    scene = load_scene(str(scene_file()))
    assert set(CONTEXT) == set(scene.context)
    assert all(value in scene.context[name] for name, value in CONTEXT.items())


def test_training_is_done_once_and_again_when_the_code_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[list[str]] = []

    def run(arguments: list[str], *, check: bool) -> subprocess.CompletedProcess[bytes]:
        calls.append(arguments)
        (tmp_path / "360").mkdir(exist_ok=True)
        return subprocess.CompletedProcess(arguments, 0)

    monkeypatch.setattr(subprocess, "run", run)
    for _ in range(2):
        assert trained_scene(360, tmp_path).bundle(128) == tmp_path / "360" / "window_128" / "scene.edge"
    assert len(calls) == 1
    (tmp_path / "360" / "made_by").write_text("other code")
    trained_scene(360, tmp_path)
    assert len(calls) == 2


def test_a_training_that_fails_ends_the_benchmark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(arguments: list[str], *, check: bool) -> subprocess.CompletedProcess[bytes]:
        return subprocess.CompletedProcess(arguments, 1)

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(SystemExit, match="training into"):
        trained_scene(360, tmp_path)
    assert TrainedScene(tmp_path / "360").folder.exists() is False


def test_processes_of_their_own_give_every_figure(work: Work) -> None:
    figures = process_figures(work, processes=1)
    assert figures.open_to_first_decision_ms > 0
    assert figures.import_ms_beyond > 0
    assert figures.memory_mb_beyond > figures.memory_mb_beyond_session


def test_without_the_emulator_the_fix_is_told(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed_processes, "problems", lambda: ["run `device-sim setup`"])
    assert arm64_instructions(work) == (None, "run `device-sim setup`")


def test_a_count_that_fails_is_reported_with_its_reason(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(call: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(call, 1, "", "first\nqemu is too old\n")

    monkeypatch.setattr(speed_processes, "problems", list)
    monkeypatch.setattr(subprocess, "run", run)
    assert arm64_instructions(work) == (None, "device-sim count failed: qemu is too old")
