"""Assesses a packed bundle for the report: quality on test users, faithfulness of explanations, speed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cloud_export.atomic_write import write_whole
from cloud_export.data.log import Log
from cloud_export.evaluate import faithfulness
from cloud_export.evaluate import replay as evaluation
from cloud_export.evaluate.metrics import gap_closed, quality, random_scores
from cloud_export.evaluate.speed import RECORDS, measure_speed
from cloud_export.export.bundle_writer import Content, pack_payload
from cloud_export.export.container_writer import sign_container
from cloud_export.export.onnx_graphs import export_ranker, export_tables
from cloud_export.features.examples import F32, decision_points, make_states, with_base
from cloud_export.json_types import JsonValue
from cloud_export.models.base_ranker import ProgressFactory, fit_real_time
from cloud_export.models.device_model import DeviceModel
from cloud_export.models.training import predict_base, predict_device_model
from cloud_export.run_types import Packed, Run, RunTimer, Trained
from cloud_export.scene.load import Scene
from edge_sdk.bundle.container import open_container
from edge_sdk.bundle.reader import read_bundle
from edge_sdk.policy.scoring import fused

LATE_MS = 60_000  # the delay of events in the comparison of freshness
WIDE_WINDOW = 128  # the second window for which speed is measured


def assess(run: Run, trained: Trained, packed: Packed, timer: RunTimer) -> dict[str, JsonValue]:
    """Tests the packed file; returns the report's quality, explanation and speed blocks."""
    with timer.part("evaluate"):
        candidates = evaluation.make_candidates(
            run.log, run.layout, run.split.test, trained.base.test_logits, trained.base.test_states
        )
        report = _quality(run, trained, packed, candidates, timer.new_progress)
        report |= _explanations(run, trained, packed, candidates)
        if run.inputs.scene.model.loss == "binary":  # only then a logit is that of a probability
            test = trained.base.test
            logits = predict_device_model(trained.model, test)
            report["calibration"] = evaluation.calibration(logits, test.outcomes, run.log.objectives)
    with timer.part("speed"):
        report["speed"] = _speed(run, trained.model, packed)
    return report


def _quality(
    run: Run,
    trained: Trained,
    packed: Packed,
    candidates: evaluation.Candidates,
    new_progress: ProgressFactory,
) -> dict[str, JsonValue]:
    test, weights, seed = run.split.test, run.layout.policy.weights, run.inputs.seed
    rankings = candidates.rankings
    scores: dict[str, F32] = {
        "random": random_scores(rankings, seed=seed),
        "popularity": evaluation.popularity_scores(run.log, run.layout, run.split.training, test),
        "base": fused(candidates.base_logits, weights),
    }
    late = decision_points(run.log, test, late_ms=LATE_MS)
    with evaluation.opened(packed.path, packed.public_key) as (engine, timer):
        for name, points in (("device", trained.test_points), ("device_60s_late", late)):
            bar = new_progress(f"engine: {name}")
            scores[name] = evaluation.engine_scores(engine, timer, run.log, test, points, candidates, progress=bar)
        empty = evaluation.empty_log_is_base_order(engine, timer, candidates, weights)
    scores |= _real_time_scores(run, trained, new_progress)
    if run.inputs.truth is not None:
        scores["oracle"] = evaluation.oracle_scores(run.inputs.truth, run.log, test, weights)
    figures = quality(rankings, scores, seed=seed)
    report: dict[str, JsonValue] = {
        "quality": dict(figures),
        "quality_by_events": evaluation.quality_by_events(rankings, scores, trained.base.test),
        "empty_log_is_base_order": empty,
    }
    if "oracle" in figures:
        ndcg = {name: figures[name]["ndcg5"]["mean"] for name in scores}
        for name, suffix in (("device", ""), ("device_60s_late", "_60s_late"), ("base_realtime", "_base_realtime")):
            report[f"oracle_gap_closed{suffix}"] = gap_closed(ndcg["base"], ndcg[name], ndcg["oracle"])
    return report


def _real_time_scores(run: Run, trained: Trained, new_progress: ProgressFactory) -> dict[str, F32]:
    """Returns scores of a base model that knows every event at once, alone and with the (unchanged) device model."""
    base, weights = trained.base, run.layout.policy.weights
    training_points = decision_points(run.log, run.split.training)
    bar = new_progress("state at each decision")
    every = make_states(run.log, run.layout, training_points, progress=bar)
    model = fit_real_time(
        run.inputs.scene,
        run.log,
        run.layout,
        run.split,
        every,
        base.training,
        seed=run.inputs.seed,
        progress=new_progress("base model in real time"),
    )
    states = make_states(run.log, run.layout, trained.test_points, progress=bar)
    test = base.test
    fresh = with_base(test, predict_base(model, states), np.arange(len(test.candidate)))
    place = test.candidate > 0
    return {
        "base_realtime": fused(fresh.base_logits[place], weights),
        "realtime": fused(predict_device_model(trained.model, fresh)[place], weights),
    }


def _explanations(
    run: Run, trained: Trained, packed: Packed, candidates: evaluation.Candidates
) -> dict[str, JsonValue]:
    payload = open_container(packed.path, trusted_keys=[packed.public_key], allow_unsigned=False)
    scorer = faithfulness.Scorer(
        run.log,
        run.layout,
        read_bundle(packed.path, payload),
        test=run.split.test,
        points=trained.test_points,
        examples=trained.base.test,
        candidates=candidates,
    )
    seed = run.inputs.seed
    return {
        "explanation_faithfulness": faithfulness.explanation_faithfulness(scorer, seed=seed),
        "explanation_examples": faithfulness.explanation_examples(scorer, count=2, seed=seed),
    }


def _speed(run: Run, model: DeviceModel, packed: Packed) -> dict[str, JsonValue]:
    """Measures the shipped file, and the same weights with a wide window."""
    inputs, layout = run.inputs, run.layout
    settings = inputs.scene.model.model_copy(update={"window": WIDE_WINDOW})
    wide = DeviceModel(replace(model.config, window=WIDE_WINDOW))
    wide.load_state_dict(model.state_dict())
    content = Content(
        scene=inputs.scene.model_copy(update={"model": settings}),
        layout=replace(layout, memory=layout.memory._replace(window=WIDE_WINDOW)),
        model=export_ranker(wide.eval()),
        explainer=b"",
        tables=export_tables(wide),
        golden=(),
    )
    path = inputs.out / "scene-wide.edge.tmp"
    write_whole(path, sign_container(pack_payload(content), [inputs.signing_key]))
    try:
        return {"window": layout.memory.window} | measure_speed(
            packed.path,
            path,
            packed.public_key,
            events=_sample_events(run.log),
            window_kinds=_recorded_window_kinds(inputs.scene),
            offers=layout.memory.offers.names(),
        )
    finally:
        path.unlink()


def _recorded_window_kinds(scene: Scene) -> list[str]:
    """Returns the recorded kinds that enter the window; all recorded kinds where only derived ones enter."""
    return [kind for kind in scene.events.kinds if kind in scene.model.window_kinds] or list(scene.events.kinds)


def _sample_events(log: Log) -> list[tuple[str, str]]:
    """Returns the first users' events, user by user, as a sample of the log's kinds and items."""
    rows = range(min(len(log.events.kind), RECORDS))
    return [(log.kinds[log.events.kind[row]], log.items[log.events.item[row]]) for row in rows]
