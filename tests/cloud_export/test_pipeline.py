"""A small export leads from logs to a tested bundle: every key of the report, every file, and runs that repeat."""

import json
import tomllib
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from benchmarks.decision.__main__ import measure
from cloud_export.data.read_log import read_log
from cloud_export.evaluate import assess as assessment
from cloud_export.evaluate.replay import TruthError, oracle_scores
from cloud_export.json_types import JsonValue
from cloud_export.pipeline import run
from cloud_export.run_types import Inputs, RunTimer
from cloud_export.scene.load import Scene, load_scene, scene_from_table
from device_sim.population.population import PopulationConfig, simulate, write
from edge_sdk import BaseDecision, Engine
from tests.support.paths import LOAN_LOG, ROOT

RANKINGS = ("random", "popularity", "base", "device", "realtime", "oracle", "device_minus_base")
METRICS = ("ndcg5", "hr1", "gauc")
SPEED = ("record_us_p50", "record_us_p99", "rank_us_p50", "rank_us_p99", "open_ms", "extra_memory_mb")
SINGLE = (
    "oracle_gap_closed",
    "parameters",
    "parity_max_abs",
    "bundle_bytes",
    "train_seconds",
    "explanation_faithfulness",
)


def quick(scene: Scene, epochs: int) -> Scene:
    """The scene with a shorter training."""
    return scene.model_copy(update={"model": scene.model.model_copy(update={"epochs": epochs})})


def silent() -> RunTimer:
    return RunTimer(lambda _name: lambda _done, _total: None)


@pytest.fixture(scope="module")
def log_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("population")
    write(simulate(PopulationConfig(users=120, days=6, seed=3, start=date(2026, 1, 5))), folder)
    return folder


def wealth_inputs(log_folder: Path, out: Path, seed: int = 1) -> Inputs:
    return Inputs(
        scene=quick(load_scene("wealth"), 2),
        events=log_folder / "events.parquet",
        decisions=log_folder / "decisions.parquet",
        offers=log_folder / "offers.parquet",
        users=log_folder / "users.parquet",
        truth=log_folder / "truth.parquet",
        out=out,
        seed=seed,
        command="as tested",
    )


@pytest.fixture(scope="module")
def finished(log_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, JsonValue]]:
    out = tmp_path_factory.mktemp("out")
    return out, run(wealth_inputs(log_folder, out), silent())


def at(report: Mapping[str, JsonValue], *path: str) -> JsonValue:
    value: JsonValue = dict(report)
    for key in path:
        assert isinstance(value, dict), path
        value = value[key]
    return value


def test_the_report_has_every_key_with_a_figure(finished: tuple[Path, dict[str, JsonValue]]) -> None:
    out, _ = finished
    report = json.loads((out / "report.json").read_text())
    parts = ("mean", "low", "high")
    wanted: list[tuple[str, ...]] = [("quality", name, metric, part) for name in RANKINGS for metric in METRICS
                                     for part in parts]  # fmt: skip
    wanted += [("speed", name) for name in SPEED]
    wanted += [(name,) for name in SINGLE]
    for path in wanted:
        assert isinstance(at(report, *path), int | float), path
    for name in RANKINGS:
        for metric in METRICS:
            figures = [at(report, "quality", name, metric, part) for part in ("low", "mean", "high")]
            assert figures == sorted(figures, key=lambda figure: float(str(figure)))
    assert at(report, "empty_log_is_base_order", "identical") == at(report, "empty_log_is_base_order", "decisions")
    assert float(str(at(report, "parity_max_abs"))) < 1e-4
    assert int(str(at(report, "parameters"))) < 100_000


def test_the_page_loads_no_other_file(finished: tuple[Path, dict[str, JsonValue]]) -> None:
    page = (finished[0] / "report.html").read_text()
    assert "wealth" in page
    assert "<script" not in page
    assert 'src="http' not in page
    assert 'href="http' not in page


def test_the_bundle_opens_and_ranks_its_base_decisions(
    finished: tuple[Path, dict[str, JsonValue]], tmp_path: Path
) -> None:
    out, _ = finished
    rows = pl.read_parquet(out / "base.parquet")
    assert rows.columns == ["user", "refreshed", "offers", "logits_click", "logits_convert"]
    row = rows.row(0, named=True)
    logits = np.stack([row["logits_click"], row["logits_convert"]], axis=1)
    fused = logits.astype(np.float32) @ np.array([1.0, 0.5], np.float32)
    assert (np.diff(fused) <= 1e-6).all()  # best first
    with Engine.open(tmp_path, bundle=out / "scene.edge", trusted_keys=[(out / "scene.pub").read_bytes()]) as engine:
        decision = engine.rank(BaseDecision(row["offers"], logits), context={"surface": "home", "stage": "active"})
        assert decision.error == 0
        engine.record("item_view", item=row["offers"][-1], value=100.0)
        engine.record("click", item=row["offers"][-1])
        after = engine.rank(BaseDecision(row["offers"], logits), context={"surface": "home", "stage": "active"})
        assert (after.scores != decision.scores).any()


def test_a_run_repeats(
    finished: tuple[Path, dict[str, JsonValue]], log_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, report = finished
    monkeypatch.setattr(assessment, "measure_speed", lambda *_args, **_kwargs: {})
    again = run(wealth_inputs(log_folder, tmp_path), silent())
    assert again["quality"] == report["quality"]
    assert again["explanation_faithfulness"] == report["explanation_faithfulness"]
    for name in ("scene.edge", "scene.pub", "base.parquet"):
        assert (tmp_path / name).read_bytes() == (out / name).read_bytes(), name
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "base.parquet", "report.html", "report.json", "scene.edge", "scene.pub",
    ]  # fmt: skip


def test_the_oracle_needs_the_truth_of_these_decisions(log_folder: Path, tmp_path: Path) -> None:
    files = {name: log_folder / f"{name}.parquet" for name in ("events", "decisions", "offers", "users")}
    log, _ = read_log(load_scene("wealth"), bad_rows="stop", **files)
    weights = np.array([1.0, 0.5], np.float32)
    test = np.arange(5)
    truth = pl.read_parquet(log_folder / "truth.parquet")
    assert len(oracle_scores(log_folder / "truth.parquet", log, test, weights)) == 5 * 24
    truth.filter(pl.col("decision") != log.decisions.decision_id[2]).write_parquet(tmp_path / "cut.parquet")
    truth.drop("convert").write_parquet(tmp_path / "column.parquet")
    (tmp_path / "words.parquet").write_text("no parquet")
    for name, found in (("cut", "one figure for each"), ("column", "'convert' is missing"), ("words", "not readable")):
        with pytest.raises(TruthError, match=found):
            oracle_scores(tmp_path / f"{name}.parquet", log, test, weights)


@pytest.mark.skipif(not LOAN_LOG.is_file(), reason=f"the loan log is not at {LOAN_LOG}; put it there")
def test_a_real_log_end_to_end_without_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of the bank's applications; the whole log is `make loan` (HR@1 .85 in four minutes)."""
    monkeypatch.setattr(assessment, "measure_speed", lambda *_args, **_kwargs: {})
    events = pl.read_csv(LOAN_LOG, infer_schema=False)
    chosen = events["case"].unique(maintain_order=True)[::10]
    events.filter(pl.col("case").is_in(chosen.implode())).write_csv(tmp_path / "events.csv")
    inputs = Inputs(scene=quick(load_scene("loan"), 6), events=tmp_path / "events.csv", out=tmp_path / "out")
    report = run(inputs, silent())
    device, base = (float(str(at(report, "quality", name, "hr1", "mean"))) for name in ("device", "base"))
    assert device > 0.7
    assert float(str(at(report, "quality", "device_minus_base", "hr1", "low"))) > 0.2
    assert base < 0.55
    assert "oracle" not in at(report, "quality")  # type: ignore[operator]


def test_the_benchmark_of_a_decision_measures_the_figures_that_it_names(
    finished: tuple[Path, dict[str, JsonValue]],
) -> None:
    """Nothing here is about how long anything takes."""
    folder, _ = finished
    figures = measure(folder / "scene.edge", (folder / "scene.pub").read_bytes(), rounds=2, calls=3)
    assert set(figures) == {
        "rank_us", "rank_without_policy_us", "model_us", "policy_us", "policy_adds_us", "explain_us",
        "explain_first_us", "explain_words_us", "explain_all_us",
    }  # fmt: skip
    assert {len(values) for values in figures.values()} == {2}
    assert all(value > 0 for key, values in figures.items() for value in values if key != "policy_adds_us")


def test_the_benchmarks_policy_has_every_sort_of_rule() -> None:
    folder = ROOT
    own = tomllib.loads((folder / "cloud_export" / "scenes" / "wealth.toml").read_text())
    full = tomllib.loads((folder / "benchmarks" / "decision" / "full_policy.toml").read_text())
    policy = scene_from_table({**own, **full}).policy
    plain = type(policy)()
    assert [name for name in type(policy).model_fields if getattr(policy, name) == getattr(plain, name)] == []
