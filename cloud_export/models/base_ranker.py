"""The cloud's ranker over a log: cross-fitted base logits to learn the residual on, final ones to test and ship."""

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
    refresh_moments,
    with_base,
)
from cloud_export.features.layout import DeviceLayout
from cloud_export.features.split import FOLDS, Split
from cloud_export.models.base_model import BaseModel, BaseModelConfig
from cloud_export.models.training import EpochReport, TrainingConfig, fit_base, predict_base
from cloud_export.scene.load import Scene

Stage = Callable[[str], Progress]  # names a stage, gives its progress bar

BASE_EPOCHS = 8


@dataclass(frozen=True, slots=True, eq=False)
class BaseRanker:
    """What the cloud contributes."""

    model: BaseModel  # fitted on all training decisions
    training: Examples  # with cross-fitted base logits
    test: Examples  # with the final model's, as of the last refresh
    test_states: I64  # (D,) row of `test_logits` of each test decision
    test_logits: F32  # (S, O, K)


def fit_cloud_side(
    scene: Scene,
    log: Log,
    layout: DeviceLayout,
    split: Split,
    training: Examples,
    test: Examples,
    moments: tuple[PointsInTime, PointsInTime],
    *,
    seed: int,
    stage: Stage,
) -> BaseRanker:
    """Fit the base model and put its logits under the examples.

    The logits under a training example come from a model that never saw its user, as those of a test user do: else the
    residual would learn to trust them too much.

    Args:
        moments: of the training and the test decisions.
    """
    states, state_of = _states(scene, log, layout, moments[0], stage("state at each refresh (training)"))
    test_states, test_state_of = _states(scene, log, layout, moments[1], stage("state at each refresh (test)"))
    users = log.decisions.user[split.training]
    validation = split.validation_user[users]
    logits = np.zeros((len(states.event_item), layout.offers, len(log.objectives)), np.float32)
    state_fold = split.fold[_user_of_state(users, state_of, len(logits))]
    for fold in range(FOLDS):
        bar = stage(f"base model without fold {fold + 1} of {FOLDS}")
        others = split.fold[users] != fold
        model = _fit(scene, log, layout, states, state_of, training, others, validation, seed + fold, bar)
        logits[state_fold == fold] = predict_base(model, states)[state_fold == fold]
    bar = stage("base model on all training users")
    everyone = np.ones(len(users), np.bool_)
    final = _fit(scene, log, layout, states, state_of, training, everyone, validation, seed + FOLDS, bar)
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
    """The same ranker fitted on what was known at each decision, as if the cloud saw every event at once."""
    validation = split.validation_user[log.decisions.user[split.training]]
    rows = np.arange(len(training.candidate))
    everyone = np.ones(len(rows), np.bool_)
    return _fit(scene, log, layout, states, rows, training, everyone, validation, seed + FOLDS, progress)


def _states(
    scene: Scene, log: Log, layout: DeviceLayout, moments: PointsInTime, progress: Progress
) -> tuple[BaseStates, I64]:
    refresh = scene.refresh
    at, state_of = refresh_moments(log, moments, every_hours=refresh.every_hours, at_hour_utc=refresh.at_hour_utc)
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
    progress(BASE_EPOCHS, BASE_EPOCHS)  # also where it stopped early
    return model
