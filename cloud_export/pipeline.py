"""The whole way: log -> base and device model -> graphs, parity -> signed bundle, base decisions -> tested report."""

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
    decision_moments,
    events_before,
    last_refresh_ms,
    make_examples,
    make_states,
)
from cloud_export.features.layout import build_layout
from cloud_export.features.split import Split, split_log
from cloud_export.json_types import JsonValue
from cloud_export.models.base_ranker import BaseRanker, fit_cloud_side
from cloud_export.models.device_model import EdgeModel, EdgeModelConfig, parameter_count
from cloud_export.models.training import EpochReport, TrainingConfig, fit_edge, predict_base
from cloud_export.report.report import write_report
from cloud_export.run_types import Inputs, Packed, Run, StageTimer, Trained


def run(inputs: Inputs, timer: StageTimer) -> dict[str, JsonValue]:
    """Do it all; writes scene.edge, scene.pub, base.parquet, report.json and report.html into `inputs.out`.

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
    # Before the long part: a folder that cannot be written fails here, and no old report stays beside a new bundle.
    write_whole(inputs.out / "report.html", b"This run has not finished; see its terminal.\n")
    (inputs.out / "report.json").unlink(missing_ok=True)
    trained = train(current, timer)
    with timer.part("export"):
        packed = pack(current, trained)
        _write_base(current, trained.cloud, timer.stage("base decisions"))
    report = assess(current, trained, packed, timer)
    report |= _facts(current, trained, packed) | {
        "data": _data(log, split, bad_rows),
        "train_seconds": timer.seconds["train"],
        "seconds": timer.seconds,
    }
    write_report(report, inputs.out)
    return report


def train(run: Run, timer: StageTimer, *, cloud_log: Log | None = None) -> Trained:
    """Fit the base model, and the device model on top of it.

    Args:
        run: what to learn from.
        timer: where progress is shown.
        cloud_log: what the cloud sees of the same users and decisions, where that is less than the phones hold, such
            as purchases alone; None = all of the log, a day late.
    """
    log, layout, split, stage = run.log, run.layout, run.split, timer.stage
    with timer.part("replay"):
        moments = decision_moments(log, split.training), decision_moments(log, split.test)
        training = make_examples(log, layout, split.training, moments[0], progress=stage("replay (training)"))
        test = make_examples(log, layout, split.test, moments[1], progress=stage("replay (test)"))
    with timer.part("base"):
        cloud = fit_cloud_side(
            run.inputs.scene,
            cloud_log or log,
            layout,
            split,
            training,
            test,
            moments,
            seed=run.inputs.seed,
            stage=stage,
        )
    with timer.part("train"):
        model, history = _fit_device(run, cloud.training, stage("device model"))
    return Trained(cloud, model, history, moments[1])


def _fit_device(run: Run, examples: Examples, progress: Progress) -> tuple[EdgeModel, tuple[EpochReport, ...]]:
    settings, memory, policy = run.inputs.scene.model, run.layout.memory, run.layout.policy
    config = EdgeModelConfig(
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
    fitted = fit_edge(
        examples,
        config,
        training,
        seed=run.inputs.seed,
        training_rows=np.flatnonzero(~validation),
        validation_rows=np.flatnonzero(validation),
        progress=lambda e: progress(e.epoch, settings.epochs),
    )
    progress(settings.epochs, settings.epochs)  # also where it stopped early
    return fitted


def pack(run: Run, trained: Trained) -> Packed:
    """Export, check and sign: writes scene.edge and scene.pub into `inputs.out`."""
    model, test, weights = trained.model, trained.cloud.test, run.layout.policy.weights
    ranker, explainer, tables = export_ranker(model), export_explainer(model), export_tables(model)
    parity = check_parity(model, ranker, tables, test, weights=weights)
    check_explainer(ranker, explainer, tables, test, weights=weights)
    golden = make_golden(run.log, run.layout, ranker, tables, run.split.test, test.base_logits, run.inputs.seed)
    newest = max(int(times.max(initial=0)) for times in (run.log.event_time_ms, run.log.decisions.time_ms))
    content = Content(run.inputs.scene, run.layout, ranker, explainer, tables, golden, newest)
    key, path = run.inputs.signing_key, run.inputs.out / "scene.edge"
    write_whole(path, sign_container(pack_payload(content), [key]))
    write_whole(run.inputs.out / "scene.pub", public_bytes(key))
    return Packed(path, public_bytes(key), model_version(ranker, explainer, tables), parity)


def _write_base(run: Run, cloud: BaseRanker, progress: Progress) -> None:
    """Base decisions for every user as of the log's last refresh."""
    log, refresh = run.log, run.inputs.scene.refresh
    newest = log.event_time_ms.max(keepdims=True)
    last = int(last_refresh_ms(newest, every_hours=refresh.every_hours, at_hour_utc=refresh.at_hour_utc)[0])
    users = np.arange(len(log.users), dtype=np.int32)
    moments = PointsInTime(users, events_before(log, users, np.full(len(users), last)), np.full(len(users), last))
    logits = predict_base(cloud.model, make_states(log, run.layout, moments, progress=progress))
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
