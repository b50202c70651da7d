"""Fits the base ranker on a log: cross-fitted base logits to train the device model, final ones for test and use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cloud_export.data.log import Log
from cloud_export.features.examples import (
    F32,
    I64,
    BaseStates,
    Examples,
    PointsInTime,
    Progress,
    make_states,
    refresh_points,
    with_base,
)
from cloud_export.features.layout import DeviceLayout
from cloud_export.features.split import FOLDS, Split
from cloud_export.models.base_model import BaseModel, BaseModelConfig
from cloud_export.models.training import EpochReport, TrainingConfig, fit_base, predict_base
from cloud_export.scene.load import Scene

ProgressFactory = Callable[[str], Progress]  # the name of a part of the run -> its progress bar

BASE_EPOCHS = 8


@dataclass(frozen=True, slots=True, eq=False)
class BaseRanker:
    """The fitted base model, and the examples with its logits."""

    model: BaseModel  # fitted on all training decisions
    training: Examples  # with cross-fitted base logits
    test: Examples  # with the final model's, as of the last refresh
    test_states: I64  # (D,) row of `test_logits` of each test decision
    test_logits: F32  # (S, O, K)


def fit_base_ranker(
    scene: Scene,
    log: Log,
    layout: DeviceLayout,
    split: Split,
    *,
    training: Examples,
    test: Examples,
    points: tuple[PointsInTime, PointsInTime],
    seed: int,
    new_progress: ProgressFactory,
) -> BaseRanker:
    """Fits the base model and adds its logits to the examples.

    The logits of a training example come from a model that was fitted without its user, as those of a test user do.
    Otherwise the device model would learn to trust the logits too much.

    Args:
        scene: the scene.
        log: the log, with the events that the cloud receives.
        layout: its tables.
        split: its split.
        training: the training examples, without base logits.
        test: the test examples, without base logits.
        points: the points in time of the training and the test decisions.
        seed: the seed of every fit.
        new_progress: starts a progress bar.
    """
    states, state_of = _states(scene, log, layout, points[0], new_progress("state at each refresh (training)"))
    test_states, test_state_of = _states(scene, log, layout, points[1], new_progress("state at each refresh (test)"))
    users = log.decisions.user[split.training]
    validation = split.validation_user[users]
    logits = np.zeros((len(states.event_item), layout.offers, len(log.objectives)), np.float32)
    state_fold = split.fold[_user_of_state(users, state_of, len(logits))]
    for fold in range(FOLDS):
        model = _fit(
            scene,
            log,
            layout,
            states,
            state_of,
            training,
            chosen=split.fold[users] != fold,
            validation=validation,
            seed=seed + fold,
            progress=new_progress(f"base model without fold {fold + 1} of {FOLDS}"),
        )
        logits[state_fold == fold] = predict_base(model, states)[state_fold == fold]
    final = _fit(
        scene,
        log,
        layout,
        states,
        state_of,
        training,
        chosen=np.ones(len(users), np.bool_),
        validation=validation,
        seed=seed + FOLDS,
        progress=new_progress("base model on all training users"),
    )
    test_logits = predict_base(final, test_states)
    return BaseRanker(
        model=final,
        training=with_base(training, logits, state_of),
        test=with_base(test, test_logits, test_state_of),
        test_states=test_state_of,
        test_logits=test_logits,
    )


def fit_real_time(
    scene: Scene,
    log: Log,
    layout: DeviceLayout,
    split: Split,
    states: BaseStates,
    training: Examples,
    *,
    seed: int,
    progress: Progress,
) -> BaseModel:
    """Fits the same model on the state at each decision, as if the cloud received every event without delay."""
    rows = np.arange(len(training.candidate))
    return _fit(
        scene,
        log,
        layout,
        states,
        rows,
        training,
        chosen=np.ones(len(rows), np.bool_),
        validation=split.validation_user[log.decisions.user[split.training]],
        seed=seed + FOLDS,
        progress=progress,
    )


def _states(
    scene: Scene, log: Log, layout: DeviceLayout, points: PointsInTime, progress: Progress
) -> tuple[BaseStates, I64]:
    refresh = scene.refresh
    at, state_of = refresh_points(log, points, every_hours=refresh.every_hours, at_hour_utc=refresh.at_hour_utc)
    return make_states(log, layout, at, progress=progress), state_of


def _user_of_state(users: npt.NDArray[np.int32], state_of: I64, states: int) -> I64:
    owner = np.zeros(states, np.int64)
    owner[state_of] = users
    return owner


def _fit(
    scene: Scene,
    log: Log,
    layout: DeviceLayout,
    states: BaseStates,
    state_of: I64,
    examples: Examples,
    *,
    chosen: npt.NDArray[np.bool_],
    validation: npt.NDArray[np.bool_],
    seed: int,
    progress: Progress,
) -> BaseModel:
    memory = layout.memory
    config = BaseModelConfig(
        items=len(memory.items) + 1,
        kinds=len(memory.kinds) + 1,
        offers=layout.offers + 1,
        counter_features=memory.counter_features,
        category_features=states.category_counters.shape[1],
        attribute_rows=tuple(len(values) + 1 for values in log.attribute_values),
        objectives=len(log.objectives),
    )
    training = TrainingConfig(loss=scene.model.loss, epochs=BASE_EPOCHS)

    def report(epoch: EpochReport) -> None:
        progress(epoch.epoch, BASE_EPOCHS)

    model = fit_base(
        states,
        state_of,
        examples.candidate,
        examples.outcomes,
        config=config,
        training=training,
        seed=seed,
        training_rows=np.flatnonzero(chosen & ~validation),
        validation_rows=np.flatnonzero(chosen & validation),
        progress=report,
    )
    progress(BASE_EPOCHS, BASE_EPOCHS)  # also after an early stop
    return model
