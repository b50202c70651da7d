"""The train/test split: divides a log by users and time, and training users into folds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cloud_export.data.log import Log
from cloud_export.errors import LogError
from cloud_export.features.examples import last_refresh_ms
from cloud_export.scene.load import Scene

I64 = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

VALIDATION_USERS = 0.1  # of the training users, for the early stop
FOLDS = 2  # base logits of a training user come from a base model fitted on the other folds


class EmptySplitError(LogError):
    """A side of the split has no decision."""

    def __init__(self, side: str, decisions: int) -> None:
        super().__init__(f"of {decisions} decisions none is left to {side}; bring a longer log, or change [split]")


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """The decisions of each side of the split, as ascending indices into `Log.decisions`."""

    training: I64
    test: I64
    validation_user: Flags  # (U,) training users of the early stop
    fold: I64  # (U,) 0 … FOLDS − 1, of the cross-fitting
    training_events: Flags  # (E,) events of training users before the test time
    training_users: int
    test_users: int
    rule: str  # a sentence for the report


class _Sides(NamedTuple):
    """The users and times of each side of a split."""

    is_test: Flags  # (U,) test users
    in_training: Flags  # (D,) decisions within the training time
    in_test: Flags  # (D,) decisions within the test time
    training_time: Flags  # (E,) events within the training time
    rule: str  # a sentence for the report


def split_log(scene: Scene, log: Log, *, seed: int) -> Split:
    """Divides a log by the scene's [split]; the same seed gives the same split.

    Raises:
        EmptySplitError: a side has no decision.
    """
    generator = np.random.default_rng(seed)
    users, decisions = len(log.users), log.decisions
    sides = _by_start(scene, log) if scene.split.by == "user_start" else _by_user_and_time(scene, log, generator)
    is_test = sides.is_test
    training = np.flatnonzero(~is_test[decisions.user] & sides.in_training)
    test = np.flatnonzero(is_test[decisions.user] & sides.in_test)
    for side, chosen in (("learn from", training), ("test on", test)):
        if not len(chosen):
            raise EmptySplitError(side, len(decisions.user))
    validation_user = ~is_test & (generator.random(users) < VALIDATION_USERS)
    fold = generator.integers(0, FOLDS, users)
    learners = fold[decisions.user[training]][~validation_user[decisions.user[training]]]
    if len(np.unique(learners)) < FOLDS:  # a fold's base logits are learned from the other folds
        raise EmptySplitError("cross-fit the base model", len(decisions.user))
    return Split(
        training=training,
        test=test,
        validation_user=validation_user,
        fold=fold,
        training_events=~is_test[log.events.user] & sides.training_time,
        training_users=len(np.unique(decisions.user[training])),
        test_users=len(np.unique(decisions.user[test])),
        rule=sides.rule,
    )


def _by_start(scene: Scene, log: Log) -> _Sides:
    """The users whose first event is latest are tested, over all times."""
    starts = log.events.time_ms[np.minimum(log.events.offsets[:-1], len(log.events.time_ms) - 1)]
    every_decision = np.ones(len(log.decisions.user), np.bool_)
    return _Sides(
        is_test=starts > np.quantile(starts, 1 - scene.split.test_users),
        in_training=every_decision,
        in_test=every_decision,
        training_time=np.ones(len(log.events.user), np.bool_),
        rule=f"by each user's first event: the last {scene.split.test_users:.0%} of the users are tested; later events "
        "of the others are learned from too, so the times overlap",
    )


def _by_user_and_time(scene: Scene, log: Log, generator: np.random.Generator) -> _Sides:
    """Drawn users are tested, on the last part of the time."""
    users, decisions = len(log.users), log.decisions
    is_test = np.zeros(users, np.bool_)
    is_test[generator.choice(users, round(users * scene.split.test_users), replace=False)] = True
    cut_ms = _cut_ms(scene, log)
    cut = np.datetime64(cut_ms, "ms").astype("datetime64[m]")
    return _Sides(
        is_test=is_test,
        in_training=decisions.time_ms < cut_ms,
        in_test=decisions.time_ms >= cut_ms,
        training_time=log.events.time_ms < cut_ms,
        rule=f"{scene.split.test_users:.0%} of the users, from {cut} UTC on; learned from the others, before that",
    )


def _cut_ms(scene: Scene, log: Log) -> int:
    """Returns the refresh at which the test begins; the base model is fitted on the events before it."""
    first, last = int(log.events.time_ms.min()), int(log.events.time_ms.max())
    cut = np.array([first + (last - first) * (1 - scene.split.test_time)], np.int64)
    refresh = scene.refresh
    found = last_refresh_ms(cut, every_hours=refresh.every_hours, at_hour_utc=refresh.at_hour_utc)
    return int(found[0])
