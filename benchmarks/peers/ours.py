"""This project: `Engine.rank` through the public API, and its model call by itself."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import cycle
from pathlib import Path

from benchmarks.peers.peer import Peer, Ready
from benchmarks.work import Work
from edge_sdk import Decision, Engine
from edge_sdk.testing.white_box import internals
from edge_sdk.types import F32

LOG_BYTES = 1 << 20


class TickingClock:
    """Moves on by `step_ms` at each look, so that no two timed decisions are of the same moment."""

    def __init__(self, now_ms: int) -> None:
        self.now_ms, self.step_ms = now_ms, 0

    def __call__(self) -> int:
        self.now_ms += self.step_ms
        return self.now_ms


@contextmanager
def opened(work: Work) -> Iterator[tuple[Engine, TickingClock]]:
    """An engine that has recorded the task's events, and its clock, which stands at the task's moment."""
    clock = TickingClock(work.now_ms)
    with (
        tempfile.TemporaryDirectory(prefix="edge-speed-") as folder,
        Engine.open(
            Path(folder), bundle=work.bundle, trusted_keys=[work.public_key], log_bytes=LOG_BYTES, clock=clock, seed=7
        ) as engine,
    ):
        for event in work.events:
            clock.now_ms = event.time_ms
            engine.record(event.kind, item=event.item, value=event.value)
        clock.now_ms = work.now_ms
        yield engine, clock


def _rank(work: Work, engine: Engine, limit: int | None = None) -> Decision:
    decision = engine.rank(work.base, context=work.context, limit=limit)
    if decision.error:  # would be fast
        raise RuntimeError(f"{decision.error.name}: {decision.detail}")
    return decision


@contextmanager
def _ranking(work: Work, answer: Callable[[Engine], object], *, new_event: bool = False) -> Iterator[Ready]:
    with opened(work) as (engine, clock):
        scores: F32 = _rank(work, engine).trace.result.stages.model.copy()
        clock.step_ms = 1
        events = cycle(work.window_events())

        def record() -> None:
            event = next(events)
            engine.record(event.kind, item=event.item, value=event.value)

        yield Ready(partial(answer, engine), lambda: scores, record if new_event else None)


def _rank_alone(work: Work, *, new_event: bool = False) -> Callable[[Engine], object]:
    base, context = work.base, work.context
    return lambda engine: engine.rank(base, context=context)


def _rank_five(work: Work) -> Callable[[Engine], object]:
    base, context = work.base, work.context
    return lambda engine: engine.rank(base, context=context, limit=5).offers


def _rank_all(work: Work) -> Callable[[Engine], object]:
    base, context = work.base, work.context
    return lambda engine: engine.rank(base, context=context).offers


@contextmanager
def _model(work: Work) -> Iterator[Ready]:
    """The ranker's own bound call; its inputs are those of the decision made just before."""
    with opened(work) as (engine, _):
        _rank(work, engine)
        call = internals(engine).session.bound(len(work.base.offers))

        def scores() -> F32:
            call.run()
            fused: F32 = call.logits @ work.inputs[-1]
            return fused

        yield Ready(call.run, scores)


_PACKAGES = ("onnxruntime", "numpy")
PEERS = (
    Peer("rank", "Engine.rank, whole", lambda work: _ranking(work, _rank_alone(work)), _PACKAGES),
    Peer("rank_five", "Engine.rank(limit=5) and its offers", lambda work: _ranking(work, _rank_five(work)), _PACKAGES),
    Peer("rank_all", "Engine.rank and all its offers", lambda work: _ranking(work, _rank_all(work)), _PACKAGES),
    Peer(
        "rank_new_event",
        "Engine.rank after one new event",
        lambda work: _ranking(work, _rank_alone(work), new_event=True),
        _PACKAGES,
    ),
    Peer("model", "our model call alone", _model, _PACKAGES),
)
