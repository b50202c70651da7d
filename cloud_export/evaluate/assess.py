"""What the report says of a packed bundle: its quality on held-back users, its explanations, its speed."""

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
from cloud_export.features.examples import F32, decision_moments, make_states, with_base
from cloud_export.json_types import JsonValue
from cloud_export.models.base_ranker import Stage, fit_real_time
from cloud_export.models.device_model import EdgeModel
from cloud_export.models.training import predict_base, predict_edge
from cloud_export.run_types import Packed, Run, StageTimer, Trained
from cloud_export.scene.load import Scene
from edge_sdk.bundle.container import open_container
from edge_sdk.bundle.reader import read_bundle
from edge_sdk.policy.scoring import fused

LATE_MS = 60_000  # the lag that freshness is compared with
WIDE_WINDOW = 128  # the second window that speed is measured at


def assess(run: Run, trained: Trained, packed: Packed, timer: StageTimer) -> dict[str, JsonValue]:
    """Test the packed file; the report's quality, explanation and speed blocks."""
    with timer.part("evaluate"):
        candidates = evaluation.make_candidates(
            run.log, run.layout, run.split.test, trained.cloud.test_logits, trained.cloud.test_states
        )
        report = _quality(run, trained, packed, candidates, timer.stage)
        report |= _explanations(run, trained, packed, candidates)
        if run.inputs.scene.model.loss == "binary":  # only then are the logits those of probabilities
            test = trained.cloud.test
            logits = predict_edge(trained.model, test)
            report["calibration"] = evaluation.calibration(logits, test.outcomes, run.log.objectives)
    with timer.part("speed"):
        report["speed"] = _speed(run, trained.model, packed)
    return report


def _quality(
    run: Run, trained: Trained, packed: Packed, candidates: evaluation.Candidates, stage: Stage
) -> dict[str, JsonValue]:
    test, weights, seed = run.split.test, run.layout.policy.weights, run.inputs.seed
    rankings = candidates.rankings
    scores: dict[str, F32] = {
        "random": random_scores(rankings, seed=seed),
        "popularity": evaluation.popularity_scores(run.log, run.layout, run.split.training, test),
        "base": fused(candidates.base_logits, weights),
    }
    late = decision_moments(run.log, test, late_ms=LATE_MS)
    with evaluation.opened(packed.path, packed.public_key) as (engine, timer):
        for name, moments in (("device", trained.test_moments), ("device_60s_late", late)):
            bar = stage(f"engine: {name}")
            scores[name] = evaluation.engine_scores(engine, timer, run.log, test, moments, candidates, progress=bar)
        empty = evaluation.empty_log_is_base_order(engine, timer, candidates, weights)
    scores |= _real_time(run, trained, stage)
    if run.inputs.truth is not None:
        scores["oracle"] = evaluation.oracle_scores(run.inputs.truth, run.log, test, weights)
    figures = quality(rankings, scores, seed=seed)
    report: dict[str, JsonValue] = {
        "quality": dict(figures),
        "quality_by_events": evaluation.quality_by_events(rankings, scores, trained.cloud.test),
        "empty_log_is_base_order": empty,
    }
    if "oracle" in figures:
        ndcg = {name: figures[name]["ndcg5"]["mean"] for name in scores}
        for name, suffix in (("device", ""), ("device_60s_late", "_60s_late"), ("base_realtime", "_base_realtime")):
            report[f"oracle_gap_closed{suffix}"] = gap_closed(ndcg["base"], ndcg[name], ndcg["oracle"])
    return report


def _real_time(run: Run, trained: Trained, stage: Stage) -> dict[str, F32]:
    """The cloud's ranker fitted and fed with every event at once, alone and under the (unchanged) device model."""
    cloud, weights = trained.cloud, run.layout.policy.weights
    training_moments = decision_moments(run.log, run.split.training)
    bar = stage("state at each decision")
    every = make_states(run.log, run.layout, training_moments, progress=bar)
    model = fit_real_time(
        run.inputs.scene,
        run.log,
        run.layout,
        run.split,
        every,
        cloud.training,
        seed=run.inputs.seed,
        progress=stage("base model in real time"),
    )
    states = make_states(run.log, run.layout, trained.test_moments, progress=bar)
    test = cloud.test
    fresh = with_base(test, predict_base(model, states), np.arange(len(test.candidate)))
    place = test.candidate > 0
    return {
        "base_realtime": fused(fresh.base_logits[place], weights),
        "realtime": fused(predict_edge(trained.model, fresh)[place], weights),
    }


def _explanations(
    run: Run, trained: Trained, packed: Packed, candidates: evaluation.Candidates
) -> dict[str, JsonValue]:
    payload = open_container(packed.path, trusted_keys=[packed.public_key], allow_unsigned=False)
    scorer = faithfulness.Scorer(
        run.log,
        run.layout,
        read_bundle(packed.path, payload),
        run.split.test,
        trained.test_moments,
        trained.cloud.test,
        candidates,
    )
    seed = run.inputs.seed
    return {
        "explanation_faithfulness": faithfulness.explanation_faithfulness(scorer, seed=seed),
        "explanation_examples": faithfulness.explanation_examples(scorer, count=2, seed=seed),
    }


def _speed(run: Run, model: EdgeModel, packed: Packed) -> dict[str, JsonValue]:
    """Measure the shipped file, and the same weights with a wide window."""
    inputs, layout = run.inputs, run.layout
    settings = inputs.scene.model.model_copy(update={"window": WIDE_WINDOW})
    wide = EdgeModel(replace(model.config, window=WIDE_WINDOW))
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
    """Kinds that fill the window when an app records them; of a window of derived kinds alone, all that it records."""
    return [kind for kind in scene.events.kinds if kind in scene.model.window_kinds] or list(scene.events.kinds)


def _sample_events(log: Log) -> list[tuple[str, str]]:
    """The first users' events, one user after the other: the log's own mix of kinds and items."""
    rows = range(min(len(log.event_kind), RECORDS))
    return [(log.kinds[log.event_kind[row]], log.items[log.event_item[row]]) for row in rows]
