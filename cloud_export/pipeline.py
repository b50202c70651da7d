"""The pipeline: reads a log, trains base and device model, packs the signed bundle, and writes the tested report."""

from __future__ import annotations

import hashlib
import platform

import numpy as np

import edge_sdk
from cloud_export.atomic_write import write_whole
from cloud_export.data.log import Log
from cloud_export.data.read_log import read_log
from cloud_export.errors import BadRow
from cloud_export.evaluate.assess import assess
from cloud_export.export.base_decisions import write_base_decisions
from cloud_export.export.bundle_writer import Content, model_version, pack_payload
from cloud_export.export.container_writer import public_bytes, sign_container
from cloud_export.export.golden import make_golden
from cloud_export.export.onnx_graphs import export_explainer, export_ranker, export_tables
from cloud_export.export.parity import check_explainer, check_parity
from cloud_export.features.examples import (
    I64,
    Examples,
    PointsInTime,
    Progress,
    decision_points,
    events_before,
    last_refresh_ms,
    make_examples,
    make_states,
)
from cloud_export.features.layout import build_layout
from cloud_export.features.split import Split, split_log
from cloud_export.json_types import JsonValue
from cloud_export.models.base_ranker import BaseRanker, fit_base_ranker
from cloud_export.models.device_model import DeviceModel, DeviceModelConfig, parameter_count
from cloud_export.models.training import EpochReport, TrainingConfig, fit_device_model, predict_base
from cloud_export.report.report import write_report
from cloud_export.run_types import Inputs, Packed, Run, RunTimer, Trained


def run(inputs: Inputs, timer: RunTimer) -> dict[str, JsonValue]:
    """Runs the pipeline; writes scene.edge, scene.pub, base.parquet, report.json and report.html into `inputs.out`.

    Returns:
        The report.

    Raises:
        CloudError: a scene, log, model or truth file is not usable; the message names the place and the fix.
        EdgeError: the packed bundle does not open (a defect of this program).
        OSError: `out` cannot be written.
    """
    inputs.out.mkdir(parents=True, exist_ok=True)
    scene = inputs.scene
    with timer.part("read"):
        log, bad_rows = read_log(
            scene,
            events=inputs.events,
            decisions=inputs.decisions,
            offers=inputs.offers,
            users=inputs.users,
            bad_rows=inputs.bad_rows,
        )
        split = split_log(scene, log, seed=inputs.seed)
        current = Run(inputs, log, build_layout(scene, log, training_events=split.training_events), split)
    # Before the training: a folder that cannot be written fails here, and no old report stays beside a new bundle.
    write_whole(inputs.out / "report.html", b"This run has not finished; see its terminal.\n")
    (inputs.out / "report.json").unlink(missing_ok=True)
    trained = train(current, timer)
    with timer.part("export"):
        packed = pack(current, trained)
        _write_base(current, trained.base, timer.new_progress("base decisions"))
    report = assess(current, trained, packed, timer)
    report |= _facts(current, trained, packed) | {
        "data": _data(log, split, bad_rows),
        "train_seconds": timer.seconds["train"],
        "seconds": timer.seconds,
    }
    write_report(report, inputs.out)
    return report


def train(run: Run, timer: RunTimer, *, base_log: Log | None = None) -> Trained:
    """Fits the base model, and the device model on its logits.

    Args:
        run: the log, its layout and its split.
        timer: shows the progress and measures the time.
        base_log: the same users and decisions with the events that the cloud receives, where the phones store more of
            them; None = the cloud receives all events of the log, with the delay of [refresh].
    """
    log, layout, split, new_progress = run.log, run.layout, run.split, timer.new_progress
    with timer.part("replay"):
        points = decision_points(log, split.training), decision_points(log, split.test)
        training = make_examples(log, layout, split.training, points[0], progress=new_progress("replay (training)"))
        test = make_examples(log, layout, split.test, points[1], progress=new_progress("replay (test)"))
    with timer.part("base"):
        base = fit_base_ranker(
            run.inputs.scene,
            base_log or log,
            layout,
            split,
            training=training,
            test=test,
            points=points,
            seed=run.inputs.seed,
            new_progress=new_progress,
        )
    with timer.part("train"):
        model, history = _fit_device(run, base.training, new_progress("device model"))
    return Trained(base, model, history, points[1])


def _fit_device(run: Run, examples: Examples, progress: Progress) -> tuple[DeviceModel, tuple[EpochReport, ...]]:
    settings, memory, policy = run.inputs.scene.model, run.layout.memory, run.layout.policy
    config = DeviceModelConfig(
        items=len(memory.items) + 1,
        kinds=len(memory.kinds) + 1,
        offers=run.layout.offers + 1,
        counter_features=memory.counter_features,
        context_features=policy.context_features,
        objectives=len(policy.objectives),
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
    validation = run.split.validation_user[run.log.decisions.user[run.split.training]]
    fitted = fit_device_model(
        examples,
        config,
        training,
        seed=run.inputs.seed,
        training_rows=np.flatnonzero(~validation),
        validation_rows=np.flatnonzero(validation),
        progress=lambda e: progress(e.epoch, settings.epochs),
    )
    progress(settings.epochs, settings.epochs)  # also after an early stop
    return fitted


def pack(run: Run, trained: Trained) -> Packed:
    """Exports, checks and signs the bundle: writes scene.edge and scene.pub into `inputs.out`."""
    model, test, weights = trained.model, trained.base.test, run.layout.policy.weights
    graph, explainer, tables = export_ranker(model), export_explainer(model), export_tables(model)
    parity = check_parity(model, graph, tables, test, weights=weights)
    check_explainer(graph, explainer, tables, test, weights=weights)
    golden = make_golden(run.log, run.layout, graph, tables, run.split.test, test.base_logits, run.inputs.seed)
    newest = max(int(times.max(initial=0)) for times in (run.log.events.time_ms, run.log.decisions.time_ms))
    content = Content(run.inputs.scene, run.layout, graph, explainer, tables, golden, newest)
    key, path = run.inputs.signing_key, run.inputs.out / "scene.edge"
    write_whole(path, sign_container(pack_payload(content), [key]))
    write_whole(run.inputs.out / "scene.pub", public_bytes(key))
    return Packed(path, public_bytes(key), model_version(graph, explainer, tables), parity)


def _write_base(run: Run, base: BaseRanker, progress: Progress) -> None:
    """Writes base decisions for every user, as of the log's last refresh."""
    log, refresh = run.log, run.inputs.scene.refresh
    newest = log.events.time_ms.max(keepdims=True)
    last = int(last_refresh_ms(newest, every_hours=refresh.every_hours, at_hour_utc=refresh.at_hour_utc)[0])
    users = np.arange(len(log.users), dtype=np.int32)
    points = PointsInTime(users, events_before(log, users, np.full(len(users), last)), np.full(len(users), last))
    logits = predict_base(base.model, make_states(log, run.layout, points, progress=progress))
    write_base_decisions(run.inputs.out / "base.parquet", log.users, run.layout, logits, last)


def _facts(run: Run, trained: Trained, packed: Packed) -> dict[str, JsonValue]:
    parity = packed.parity
    return {
        "scene": run.inputs.scene.name,
        "created_with": {
            "edge_sdk": edge_sdk.__version__,
            "seed": run.inputs.seed,
            "command": run.inputs.command,
            "python": platform.python_version(),
        },
        "model_version": packed.model_version,
        "bundle_sha256": hashlib.sha256(packed.path.read_bytes()).hexdigest(),
        "parameters": parameter_count(trained.model),
        "parity_max_abs": max(*parity.objectives, parity.fused),
        "parity": dict(zip(run.log.objectives, parity.objectives, strict=True)),
        "bundle_bytes": packed.path.stat().st_size,
        "training": [
            {"epoch": e.epoch, "loss": e.training_loss, "validation_loss": e.validation_loss} for e in trained.history
        ],
        "notes": _notes(run.inputs),
    }


def _notes(inputs: Inputs) -> list[JsonValue]:
    """Returns the report's notes on how its figures were made."""
    notes: list[JsonValue] = [
        "Replayed from a log: the rankings are judged by how users answered the offers that they were shown, not by "
        "how they would have answered these rankings.",
        "Scores are compared before the operator's rules (caps, cooldowns, eligibility) remove offers.",
        "Speed was measured on the machine named above, not on a phone.",
        "The shipped model is the tested one: it learned from the training users only.",
    ]
    if inputs.truth is not None:
        notes.insert(0, "The users are simulated; docs/population.md describes the mechanisms.")
    return notes


def _data(log: Log, split: Split, bad_rows: tuple[BadRow, ...]) -> dict[str, JsonValue]:
    def utc(time_ms: I64) -> str:
        return f"{np.datetime64(int(time_ms), 'ms').astype('datetime64[s]')}Z"

    return {
        "events": len(log.events.user),
        "users": len(log.users),
        "decisions": len(log.decisions.user),
        "offers": len(log.catalogue.offers),
        "items": len(log.items),
        "first": utc(log.events.time_ms.min()),
        "last": utc(log.events.time_ms.max()),
        "bad_rows": len(bad_rows),
        "train_users": split.training_users,
        "test_users": split.test_users,
        "train_decisions": len(split.training),
        "test_decisions": len(split.test),
        "split": split.rule,
    }
