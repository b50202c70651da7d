"""Which users and times are learned from, and which are kept for the test."""

from __future__ import annotations

from dataclasses import dataclass

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
    """One side of the split has no decision."""

    def __init__(self, side: str, decisions: int) -> None:
        super().__init__(f"of {decisions} decisions none is left to {side}; bring a longer log, or change [split]")


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """The decisions of each side, as ascending indices into `Log.decisions`."""

    training: I64
    test: I64
    validation_user: Flags  # (U,) training users of the early stop
    fold: I64  # (U,) 0 … FOLDS − 1, of the cross-fitting
    training_events: Flags  # (E,) what may be learned from
    training_users: int
    test_users: int
    rule: str  # in words


def split_log(scene: Scene, log: Log, *, seed: int) -> Split:
    """Divide a log as the scene says; the same seed divides it the same way.

    Raises:
        EmptySplitError: a side has no decision.
    """
    generator = np.random.default_rng(seed)
    users = len(log.users)
    decisions = log.decisions
    if scene.split.by == "user_start":
        starts = log.event_time_ms[np.minimum(log.event_offsets[:-1], len(log.event_time_ms) - 1)]
        is_test = starts > np.quantile(starts, 1 - scene.split.test_users)
        in_training = np.ones(len(decisions.user), np.bool_)
        in_test = in_training
        training_time = np.ones(len(log.event_user), np.bool_)
        rule = (
            f"by each user's first event: the last {scene.split.test_users:.0%} of the users are tested; what the "
            "others did later is learned from too, so the times overlap"
        )
    else:
        is_test = np.zeros(users, np.bool_)
        is_test[generator.choice(users, round(users * scene.split.test_users), replace=False)] = True
        cut_ms = _cut_ms(scene, log)
        in_training, in_test = decisions.time_ms < cut_ms, decisions.time_ms >= cut_ms
        training_time = log.event_time_ms < cut_ms
        when = np.datetime64(cut_ms, "ms").astype("datetime64[m]")
        rule = f"{scene.split.test_users:.0%} of the users, from {when} UTC on; learned from the others, before that"
    training = np.flatnonzero(~is_test[decisions.user] & in_training)
    test = np.flatnonzero(is_test[decisions.user] & in_test)
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
        training_events=~is_test[log.event_user] & training_time,
        training_users=len(np.unique(decisions.user[training])),
        test_users=len(np.unique(decisions.user[test])),
        rule=rule,
    )


def _cut_ms(scene: Scene, log: Log) -> int:
    """The refresh at which the test begins: the base model is fitted on what came before it."""
    first, last = int(log.event_time_ms.min()), int(log.event_time_ms.max())
    cut = np.array([first + (last - first) * (1 - scene.split.test_time)], np.int64)
    refresh = scene.refresh
    found = last_refresh_ms(cut, every_hours=refresh.every_hours, at_hour_utc=refresh.at_hour_utc)
    return int(found[0])
