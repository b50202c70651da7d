"""The cloud of a fleet: learns from a consenting panel, and ranks for users whose events it never gets.

Of the fleet's users the cloud has what a payment company has anyway: the attributes of the users table, the purchases
that it books, and the notices that it sends (price changes and due dates of holdings). So its ranker is trained on the
panel's purchases and notices alone: a ranker trained on views and clicks would lack those inputs for the fleet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from cloud_export.data.log import Events, Log
from cloud_export.data.read_log import read_log
from cloud_export.features.examples import PointsInTime, decision_points, events_before, make_examples, make_states
from cloud_export.features.layout import DeviceLayout, build_layout
from cloud_export.features.split import split_log
from cloud_export.models.base_model import BaseModel
from cloud_export.models.base_ranker import BaseRanker, ProgressFactory, fit_base_ranker
from cloud_export.models.training import predict_base
from cloud_export.pipeline import pack, train
from cloud_export.run_types import Inputs, Packed, Run, RunTimer
from cloud_export.scene.load import Scene
from device_sim.population.population import Population, write
from edge_sdk import BaseDecision
from edge_sdk.policy.scoring import fused
from edge_sdk.types import by_score

KNOWN_KINDS: Final = ("convert", "price_change", "due_date")  # booked or sent by the cloud itself
_HELD_BACK: Final = 0.1  # of the panel's users and time: for early stopping, parity and golden vectors, not for a test

F32 = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class KnownEvents:
    """The events of fleet users that the cloud has, one row each; times in milliseconds since 1970."""

    user: Sequence[int]
    time_ms: Sequence[int]
    kind: Sequence[str]
    item: Sequence[str]
    value: Sequence[float]


@dataclass(frozen=True, slots=True, eq=False)
class Cloud:
    """A trained cloud: one bundle for all devices, and base decisions every midnight.

    Attributes:
        packed: The bundle.
        scene: The scene.
        log: The panel's log.
        layout: The device's tables.
        model: The ranker that knows purchases and notices.
        uploaded_model: One that knows every event of every user up to the last midnight; None = not trained.
    """

    packed: Packed
    scene: Scene
    log: Log
    layout: DeviceLayout
    model: BaseModel
    uploaded_model: BaseModel | None

    def refresh(
        self, users: pl.DataFrame, known: KnownEvents, midnight_ms: int, *, uploaded: bool = False
    ) -> list[BaseDecision]:
        """Returns one base decision for each user: all offers, best first, from the events known before midnight.

        Args:
            users: The users table of the fleet, in the order of its users' numbers.
            known: The events that the cloud has.
            midnight_ms: Milliseconds since 1970.
            uploaded: Whether `known` has every event; then the ranker trained on every event is used.
        """
        model = self.uploaded_model if uploaded else self.model
        if model is None:
            raise ValueError("the ranker of uploaded events was not trained; make the cloud with it")
        log = self._fleet_log(users, known)
        rows = np.arange(users.height, dtype=np.int32)
        now = np.full(users.height, midnight_ms, np.int64)
        points = PointsInTime(rows, events_before(log, rows, now), now)
        logits = predict_base(model, make_states(log, self.layout, points, progress=lambda _done, _all: None))
        return [self._base_decision(own, midnight_ms) for own in logits]

    def _base_decision(self, logits: F32, midnight_ms: int) -> BaseDecision:
        """Returns the offers in the order of the scene's weights, from logits (O, K) in offer-row order."""
        order = by_score(fused(logits, self.layout.policy.weights))
        names = self.layout.memory.offers.names()
        return BaseDecision([names[index] for index in order.tolist()], logits[order], refreshed_ms=midnight_ms)

    def _fleet_log(self, users: pl.DataFrame, known: KnownEvents) -> Log:
        """Returns the fleet's known events in the form of the panel's log; the log's decisions are not used."""
        log = self.log
        item_of = {name: index for index, name in enumerate(log.items)}
        user = np.array(known.user, np.int32)
        time_ms = np.array(known.time_ms, np.int64)
        order = np.lexsort((time_ms, user))
        events = Events.of(
            users.height,
            user=user[order],
            time_ms=time_ms[order],
            kind=np.array([log.kinds.index(kind) for kind in known.kind], np.int16)[order],
            item=np.array([item_of[item] for item in known.item], np.int32)[order],
            value=np.nan_to_num(np.array(known.value, np.float32))[order],
        )
        attributes = _attributes(self.scene, log, users)
        return replace(log, users=tuple(users["user"]), events=events, attributes=attributes)


def train_cloud(
    scene: Scene, panel: Population, folder: Path, *, seed: int, stage: ProgressFactory, with_uploaded: bool = True
) -> Cloud:
    """Trains on a panel's log and packs the bundle into `folder`.

    Args:
        scene: The scene; its [split] is replaced so that nearly all of the panel is training data.
        panel: The panel's log with every event.
        folder: Gets the log, scene.edge and scene.pub.
        seed: The seed of training.
        stage: Shows progress.
        with_uploaded: Whether the ranker of the `uploaded` arm is trained too.

    Raises:
        CloudError: The panel is too small to learn from; the message ends with the fix.
        OSError: The folder cannot be written.
    """
    split_rule = scene.split.model_copy(update={"test_users": _HELD_BACK, "test_time": _HELD_BACK})
    scene = scene.model_copy(update={"split": split_rule})
    files = folder / "panel"
    write(panel, files)
    table = {name: files / f"{name}.parquet" for name in ("events", "decisions", "offers", "users")}
    log, _ = read_log(scene, **table, bad_rows="stop")
    split = split_log(scene, log, seed=seed)
    layout = build_layout(scene, log, training_events=split.training_events)
    run = Run(Inputs(scene=scene, events=table["events"], out=folder, seed=seed), log, layout, split)
    timer = RunTimer(stage)
    trained = train(run, timer, base_log=only_kinds(log, KNOWN_KINDS))
    packed = pack(run, trained)
    uploaded = _uploaded_side(run, timer.new_progress).model if with_uploaded else None
    return Cloud(packed, scene, log, layout, trained.base.model, uploaded)


def only_kinds(log: Log, kinds: Iterable[str]) -> Log:
    """Returns the log without events of other kinds; decisions stay, with their positions in the whole log."""
    wanted = np.isin(log.events.kind, [log.kinds.index(kind) for kind in kinds])
    events = log.events
    left = Events.of(
        len(log.users),
        user=events.user[wanted],
        time_ms=events.time_ms[wanted],
        kind=events.kind[wanted],
        item=events.item[wanted],
        value=events.value[wanted],
    )
    return replace(log, events=left)


def _uploaded_side(run: Run, stage: Callable[[str], Callable[[int, int], None]]) -> BaseRanker:
    """Trains the same ranker on all events of the panel up to the last midnight, as if phones uploaded them."""
    log, layout, split = run.log, run.layout, run.split
    points = decision_points(log, split.training), decision_points(log, split.test)
    training = make_examples(log, layout, split.training, points[0], progress=stage("replay for the uploaded arm"))
    test = make_examples(log, layout, split.test, points[1], progress=stage("replay for the uploaded arm (check)"))
    return fit_base_ranker(
        run.inputs.scene,
        log,
        layout,
        split,
        training=training,
        test=test,
        points=points,
        seed=run.inputs.seed,
        new_progress=stage,
    )


def _attributes(scene: Scene, log: Log, users: pl.DataFrame) -> npt.NDArray[np.int32]:
    """Returns (U, A) codes like the panel's: 1 + index into its values, 0 = a value that the panel does not have."""
    columns = []
    for name, values in zip(scene.columns.users.attributes, log.attribute_values, strict=True):
        codes: Mapping[str, int] = {value: 1 + index for index, value in enumerate(values)}
        columns.append([codes.get(value, 0) for value in users[name]])
    return np.array(columns, np.int32).T.reshape(users.height, len(columns))
