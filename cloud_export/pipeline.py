"""The whole way: log -> base and device model -> graphs, parity -> signed bundle, base decisions -> tested report."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import edge_sdk
from cloud_export import evaluation, faithfulness
from cloud_export.cloud_side import CloudSide, Stage, fit_cloud_side
from cloud_export.edge_model import EdgeModel, EdgeModelConfig, parameter_count
from cloud_export.errors import BadRow
from cloud_export.examples import (
    F32,
    I64,
    Examples,
    Moments,
    decision_moments,
    last_refresh_ms,
    make_examples,
    make_states,
    with_base,
)
from cloud_export.golden import make_golden
from cloud_export.layout import DeviceLayout, build_layout
from cloud_export.log_types import Log
from cloud_export.logs import read_log
from cloud_export.metrics import gap_closed, quality, random_scores
from cloud_export.onnx_export import export_explainer, export_ranker
from cloud_export.packing import (
    Content,
    development_key,
    pack_payload,
    public_bytes,
    sign_release,
    write_base_decisions,
    write_whole,
)
from cloud_export.parity import ParityResult, check_explainer, check_parity
from cloud_export.report import write_report
from cloud_export.report_words import JsonValue
from cloud_export.scene import Scene
from cloud_export.speed import measure_speed
from cloud_export.split import Split, split_log
from cloud_export.training import EpochReport, TrainingConfig, fit_edge, predict_base, predict_edge
from edge_sdk.bundle import read_bundle
from edge_sdk.release import open_release

LATE_MS = 60_000  # the lag that freshness is compared with
WIDE_WINDOW = 128  # the second window that speed is measured at


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What one run is given."""

    scene: Scene
    events: Path
    decisions: Path | None = None
    offers: Path | None = None
    users: Path | None = None
    truth: Path | None = None  # a simulator's true probabilities
    out: Path
    seed: int = 1
    bad_rows: Literal["stop", "skip"] = "stop"
    key: Ed25519PrivateKey | None = None  # None = the development key
    command: str = ""  # what the report names to make it again


@dataclass(slots=True)
class Clockwork:
    """Where progress is shown, and how long each part took (seconds)."""

    stage: Stage
    seconds: dict[str, JsonValue] = field(default_factory=dict)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Time a part of the run."""
        start = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - start, 2)


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """What training gives to packing and to the test."""

    cloud: CloudSide
    model: EdgeModel
    history: tuple[EpochReport, ...]
    test_moments: Moments


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """The shipped file and what stands in it."""

    path: Path
    public_key: bytes
    parity: ParityResult


def run(inputs: Inputs, clockwork: Clockwork) -> dict[str, JsonValue]:
    """Do it all; writes scene.edge, scene.pub, base.parquet, report.json and report.html into `inputs.out`.

    Returns:
        The report.

    Raises:
        CloudError: a scene, log, model or truth file is not usable; the message names the place and the mend.
        EdgeError: the packed bundle does not open (a defect of this program).
        OSError: `out` cannot be written.
    """
    inputs.out.mkdir(parents=True, exist_ok=True)
    scene = inputs.scene
    with clockwork.part("read"):
        log, bad_rows = read_log(
            scene, events=inputs.events, decisions=inputs.decisions, offers=inputs.offers, users=inputs.users,
            bad_rows=inputs.bad_rows,
        )  # fmt: skip
        split = split_log(scene, log, seed=inputs.seed)
        layout = build_layout(scene, log, training_events=split.training_events)
    trained = _train(inputs, log, layout, split, clockwork)
    with clockwork.part("export"):
        packed = _pack(inputs, log, layout, split, trained)
        _write_base(inputs, log, layout, trained.cloud, clockwork.stage("base decisions"))
    with clockwork.part("evaluate"):
        report = _evaluate(inputs, log, layout, split, trained, packed, clockwork.stage)
    with clockwork.part("speed"):
        speed = _speed(inputs, log, layout, trained.model, packed)
    report |= {
        "scene": scene.name,
        "created_with": _created_with(inputs),
        "data": _data(log, split, bad_rows),
        "parameters": parameter_count(trained.model),
        "parity_max_abs": max(*packed.parity.objectives, packed.parity.fused),
        "parity": dict(zip(log.objectives, packed.parity.objectives, strict=True)),
        "bundle_bytes": packed.path.stat().st_size,
        "train_seconds": clockwork.seconds["train"],
        "training": [
            {"epoch": e.epoch, "loss": e.training_loss, "validation_loss": e.validation_loss} for e in trained.history
        ],
        "notes": _notes(inputs),
        "speed": speed,
        "seconds": clockwork.seconds,
    }
    write_report(report, inputs.out)
    return report


def _train(inputs: Inputs, log: Log, layout: DeviceLayout, split: Split, clockwork: Clockwork) -> Trained:
    stage = clockwork.stage
    with clockwork.part("replay"):
        moments = decision_moments(log, split.training), decision_moments(log, split.test)
        training = make_examples(log, layout, split.training, moments[0], progress=stage("replay (training)"))
        test = make_examples(log, layout, split.test, moments[1], progress=stage("replay (test)"))
    with clockwork.part("base"):
        cloud = fit_cloud_side(
            inputs.scene, log, layout, split, training, test, moments, seed=inputs.seed, stage=stage
        )
    with clockwork.part("train"):
        model, history = _fit_device(inputs, log, layout, split, cloud.training, stage)
    return Trained(cloud, model, history, moments[1])


def _fit_device(
    inputs: Inputs, log: Log, layout: DeviceLayout, split: Split, examples: Examples, stage: Stage
) -> tuple[EdgeModel, tuple[EpochReport, ...]]:
    settings, memory = inputs.scene.model, layout.memory
    config = EdgeModelConfig(
        items=len(memory.items) + 1,
        kinds=len(memory.kinds) + 1,
        offers=layout.offers + 1,
        counter_features=memory.counter_features,
        context_features=layout.policy.context_features,
        objectives=len(log.objectives),
        window=memory.window,
        dimension=settings.dimension,
        dropout=settings.dropout,
        item_category=tuple(memory.items.row_category.tolist()),
        offer_category=tuple(memory.offers.row_category.tolist()),
    )
    training = TrainingConfig(
        loss=settings.loss,
        epochs=settings.epochs,
        batch_rows=settings.batch_size,
        max_learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
    )
    validation = split.validation_user[log.decisions.user[split.training]]
    bar = stage("device model")

    def report(epoch: EpochReport) -> None:
        bar(epoch.epoch, settings.epochs)

    return fit_edge(
        examples, config, training, seed=inputs.seed, training_rows=np.flatnonzero(~validation),
        validation_rows=np.flatnonzero(validation), progress=report,
    )  # fmt: skip


def _pack(inputs: Inputs, log: Log, layout: DeviceLayout, split: Split, trained: Trained) -> Packed:
    model, test = trained.model, trained.cloud.test
    ranker, explainer = export_ranker(model), export_explainer(model)
    weights = layout.policy.weights
    parity = check_parity(model, ranker, test, weights=weights)
    check_explainer(ranker, explainer, test, weights=weights)
    golden = make_golden(log, layout, ranker, split.test, test.base_logits, inputs.seed)
    key = inputs.key or development_key(inputs.scene.name)
    path = inputs.out / "scene.edge"
    write_whole(path, sign_release(pack_payload(Content(inputs.scene, layout, ranker, explainer, golden)), [key]))
    write_whole(inputs.out / "scene.pub", public_bytes(key))
    return Packed(path, public_bytes(key), parity)


def _write_base(
    inputs: Inputs, log: Log, layout: DeviceLayout, cloud: CloudSide, progress: Callable[[int, int], None]
) -> None:
    """Base decisions for every user as of the log's last refresh."""
    refresh = inputs.scene.refresh
    last = last_refresh_ms(log.event_time_ms.max(keepdims=True), every_hours=refresh.every_hours,
                           at_hour_utc=refresh.at_hour_utc)  # fmt: skip
    users = np.arange(len(log.users), dtype=np.int32)
    before = np.add.reduceat(log.event_time_ms < last[0], log.event_offsets[:-1], dtype=np.int64)
    moments = Moments(users, before, np.full(len(users), last[0]))
    logits = predict_base(cloud.model, make_states(log, layout, moments, progress=progress))
    write_base_decisions(inputs.out / "base.parquet", log.users, layout, logits, int(last[0]))


def _evaluate(
    inputs: Inputs, log: Log, layout: DeviceLayout, split: Split, trained: Trained, packed: Packed, stage: Stage
) -> dict[str, JsonValue]:
    cloud, moments, weights = trained.cloud, trained.test_moments, layout.policy.weights
    candidates = evaluation.make_candidates(log, layout, split.test, cloud.test_logits, cloud.test_states)
    rankings = candidates.rankings
    scores: dict[str, F32] = {
        "random": random_scores(rankings, seed=inputs.seed),
        "popularity": evaluation.popularity_scores(log, layout, split.training, split.test),
        "base": candidates.base_logits @ weights,
    }
    late = decision_moments(log, split.test, late_ms=LATE_MS)
    with evaluation.opened(packed.path, packed.public_key) as (engine, timer):
        for name, at in (("device", moments), ("device_60s_late", late)):
            scores[name] = evaluation.engine_scores(
                engine, timer, log, split.test, at, candidates, progress=stage(f"engine: {name}")
            )
        empty = evaluation.empty_log_is_base_order(engine, timer, candidates, weights)
    scores |= _real_time(log, layout, trained, stage("state at each decision"))
    if inputs.truth is not None:
        scores["oracle"] = evaluation.oracle_scores(inputs.truth, log, split.test, weights)
    figures = quality(rankings, scores, seed=inputs.seed)
    report: dict[str, JsonValue] = {"quality": dict(figures), "empty_log_is_base_order": empty}
    report["quality_by_events"] = evaluation.quality_by_events(rankings, scores, cloud.test)
    if "oracle" in figures:
        for key, name in (("oracle_gap_closed", "device"), ("oracle_gap_closed_60s_late", "device_60s_late"),
                          ("oracle_gap_closed_base_realtime", "base_realtime")):  # fmt: skip
            base, oracle = figures["base"]["ndcg5"]["mean"], figures["oracle"]["ndcg5"]["mean"]
            report[key] = gap_closed(base, figures[name]["ndcg5"]["mean"], oracle)
    if inputs.scene.model.loss == "binary":
        test_logits = predict_edge(trained.model, cloud.test)
        report["calibration"] = evaluation.calibration(test_logits, cloud.test.outcomes, log.objectives)
    return report | _explanations(inputs, log, layout, split, trained, packed, candidates)


def _real_time(
    log: Log, layout: DeviceLayout, trained: Trained, progress: Callable[[int, int], None]
) -> dict[str, F32]:
    """The cloud's ranker if it saw every event at once, alone and under the device model."""
    test, weights = trained.cloud.test, layout.policy.weights
    states = make_states(log, layout, trained.test_moments, progress=progress)
    every = np.arange(len(test.candidate))
    fresh = with_base(test, predict_base(trained.cloud.model, states), every)
    place = test.candidate > 0
    return {
        "base_realtime": fresh.base_logits[place] @ weights,
        "realtime": predict_edge(trained.model, fresh)[place] @ weights,
    }


def _explanations(
    inputs: Inputs, log: Log, layout: DeviceLayout, split: Split, trained: Trained, packed: Packed,
    candidates: evaluation.Candidates,
) -> dict[str, JsonValue]:  # fmt: skip
    payload = open_release(packed.path, trusted_keys=[packed.public_key], allow_unsigned=False)
    bundle = read_bundle(packed.path, payload)
    scorer = faithfulness.Scorer(
        log, layout, bundle, split.test, trained.test_moments, trained.cloud.test, candidates
    )
    return {
        "explanation_faithfulness": faithfulness.explanation_faithfulness(scorer, seed=inputs.seed),
        "explanation_examples": faithfulness.explanation_examples(scorer, count=2, seed=inputs.seed),
    }


def _speed(
    inputs: Inputs, log: Log, layout: DeviceLayout, model: EdgeModel, packed: Packed
) -> dict[str, JsonValue]:
    """Measure the shipped file, and the same weights with a wide window."""
    wide_scene = inputs.scene.model_copy(
        update={"model": inputs.scene.model.model_copy(update={"window": WIDE_WINDOW})}
    )
    wide_layout = replace(layout, memory=replace(layout.memory, window=WIDE_WINDOW))
    wide = EdgeModel(replace(model.config, window=WIDE_WINDOW))
    wide.load_state_dict(model.state_dict())
    content = Content(wide_scene, wide_layout, export_ranker(wide.eval()), b"", ())
    path = inputs.out / "scene-wide.edge.tmp"
    key = inputs.key or development_key(inputs.scene.name)
    write_whole(path, sign_release(pack_payload(content), [key]))
    try:
        return measure_speed(
            packed.path, path, packed.public_key,
            kinds=list(inputs.scene.model.window_kinds), items=layout.memory.items.names(),
            offers=layout.memory.offers.names(),
        )  # fmt: skip
    finally:
        path.unlink()


def _notes(inputs: Inputs) -> list[JsonValue]:
    """What a reader must know to judge the figures."""
    notes: list[JsonValue] = [
        "Replayed from a log: the rankings are judged by how users answered what they were shown, not by what they "
        "would have done had they been shown these rankings.",
        "Scores are compared before the operator's rules (caps, cooldowns, eligibility) take offers out.",
        "Speed was measured on the machine named above, not on a phone.",
        "The shipped model is the tested one: it learned from the training users only.",
    ]
    if inputs.truth is not None:
        notes.insert(0, "The users are simulated; docs/population.md says by which mechanisms.")
    return notes


def _created_with(inputs: Inputs) -> dict[str, JsonValue]:
    return {
        "edge_sdk": edge_sdk.__version__,
        "seed": inputs.seed,
        "command": inputs.command,
        "python": platform.python_version(),
    }


def _data(log: Log, split: Split, bad_rows: tuple[BadRow, ...]) -> dict[str, JsonValue]:
    def moment(time_ms: I64) -> str:
        return f"{np.datetime64(int(time_ms), 'ms').astype('datetime64[s]')}Z"

    return {
        "events": len(log.event_user),
        "users": len(log.users),
        "decisions": len(log.decisions.user),
        "offers": len(log.catalogue.offers),
        "items": len(log.items),
        "first": moment(log.event_time_ms.min()),
        "last": moment(log.event_time_ms.max()),
        "bad_rows": len(bad_rows),
        "train_users": split.training_users,
        "test_users": split.test_users,
        "train_decisions": len(split.training),
        "test_decisions": len(split.test),
        "split": split.rule,
    }
