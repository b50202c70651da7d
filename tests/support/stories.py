"""Compares the arrays of training and of an engine over random stories of events and decisions."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from cloud_export.data.log import Log
from cloud_export.features.examples import Examples, decision_points, make_examples
from edge_sdk import BaseDecision, Engine
from edge_sdk.model.inputs import ModelInputs
from tests.support.bound_inputs import made_from
from tests.support.scene import HOME, ITEMS, KINDS, NOW_MS, OFFERS, SettableClock, Small, log_of

STAGES = ("event_item", "event_kind", "event_age_s", "event_value", "counters", "context", "candidate")
VALUES = st.one_of(
    st.sampled_from([0.0, -0.0, 1e-45, -1e-40, 3e38, -3.4028234663852886e38, 1200.0]),
    st.floats(width=32, allow_nan=False, allow_infinity=False),
)


@dataclass(frozen=True)
class Step:
    """What happens next on the device: the clock moves, then an event or (kind −1) a decision."""

    later_ms: int
    kind: int
    item: int
    value: float
    candidates: tuple[int, ...]


def steps(later_ms: st.SearchStrategy[int]) -> st.SearchStrategy[list[Step]]:
    event = st.builds(
        Step, later_ms, st.integers(0, len(KINDS) - 1), st.integers(0, len(ITEMS) - 1), VALUES, st.just(())
    )
    offers = st.lists(st.integers(0, len(OFFERS) - 1), min_size=1, max_size=8).map(tuple)
    decision = st.builds(Step, later_ms, st.just(-1), st.just(0), st.just(0.0), offers)
    return st.lists(st.one_of(event, event, event, decision), min_size=1, max_size=60).map(lambda s: [*s, LAST])


LAST = Step(17, -1, 0, 0.0, (0, 1, 2, 3, 4, 5))
FORWARD = st.one_of(st.just(0), st.integers(0, 5_000), st.integers(0, 5_000_000), st.integers(0, 3_000_000_000))
ANY_WAY = st.one_of(FORWARD, st.integers(-20_000, 0), st.integers(-10_000_000, 0))


def same_bits(small: Small, story: list[Step]) -> None:
    """Expects the same arrays from training and from an engine, live and after a restart."""
    log = as_log(story)
    chosen = np.arange(len(log.decisions.time_ms))
    points = decision_points(log, chosen)
    offline = make_examples(log, small.layout, chosen, points, progress=lambda done, total: None)
    clock = SettableClock()
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder) / "state"
        with small.open(state, clock) as engine:
            act(engine, clock, story, lambda index, inputs: compare(offline, index, inputs))
        with small.open(state, clock) as engine:  # rebuilt from the ring
            last = len(chosen) - 1
            decision = engine.rank(base_of(story[-1]), context=HOME)
            compare(offline, last, made_from(engine, decision))


def as_log(story: list[Step]) -> Log:
    """Returns the story as the log that the cloud would have."""
    now_ms = NOW_MS
    events: list[tuple[int, int, int, float]] = []
    decisions: list[tuple[int, int, list[int]]] = []
    for step in story:
        now_ms += step.later_ms
        if step.kind < 0:
            decisions.append((now_ms, len(events), list(step.candidates)))
        else:
            events.append((now_ms, step.kind, step.item, step.value))
    columns = list(zip(*events, strict=True)) if events else [(), (), (), ()]
    return log_of(
        event_user=np.zeros(len(events), np.int32),
        times_ms=np.array(columns[0], np.int64),
        kinds=np.array(columns[1], np.int16),
        items=np.array(columns[2], np.int32),
        values=np.array(columns[3], np.float32),
        decision_user=np.zeros(len(decisions), np.int32),
        positions=np.array([position for _, position, _ in decisions]),
        decision_times_ms=np.array([time_ms for time_ms, _, _ in decisions]),
        candidates=[candidates for _, _, candidates in decisions],
    )


def act(engine: Engine, clock: SettableClock, story: list[Step], check: Callable[[int, ModelInputs], None]) -> None:
    """Acts out the story on an engine, and checks each decision."""
    decided = 0
    for step in story:
        clock.now_ms += step.later_ms
        if step.kind < 0:
            decision = engine.rank(base_of(step), context=HOME)
            assert decision.model_version
            check(decided, made_from(engine, decision))
            decided += 1
        else:
            engine.record(KINDS[step.kind], item=ITEMS[step.item], value=step.value)


def base_of(step: Step) -> BaseDecision:
    return BaseDecision([OFFERS[index] for index in step.candidates], [0.0] * len(step.candidates))


def compare(offline: Examples, index: int, live: ModelInputs) -> None:
    candidates = len(live.candidate)
    for stage in STAGES:
        trained: np.ndarray = getattr(offline, stage)[index]
        served: np.ndarray = getattr(live, stage)
        if stage in ("counters", "candidate"):
            assert not trained[candidates:].any(), f"{stage}: padding is not 0"
            trained = trained[:candidates]
        assert trained.dtype == served.dtype
        assert trained.tobytes() == served.tobytes(), f"{stage}: {trained} offline, {served} on the device"
