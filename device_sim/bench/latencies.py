"""Times single calls of the runtime and summarises the times."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, TypeAlias

import numpy as np

from device_sim.bench.bench_types import LADDER, TIMED, Latency, Spread, Timed
from device_sim.bench.event_workload import HistoryClock, Workload
from edge_sdk import BaseDecision, Engine
from edge_sdk.limits import LOG_BYTES

Round: TypeAlias = Mapping[Timed, Sequence[float]]  # microseconds of each call

START_MS: Final = 1_790_000_000_000  # 2026-09-21 13:33 UTC
STEP_MS: Final = 600_000  # between two events: at ten minutes, caps and cooldowns suppress some offers, not most
HISTORY: Final = 4096  # events before the first timed call: any window is full
CALLS_AT_LEAST: Final = 20
_WARM_UP = 300
_BASES = 64  # base decisions made at a time, outside of what is timed


class Stopwatch:
    """Times every operation in turn on one engine that has a history."""

    def __init__(self, work: Workload, engine: Engine) -> None:
        self._work, self._engine = work, engine
        self._calls = cycle(work.calls)
        work.fill(engine, HISTORY)
        for _ in range(_WARM_UP):
            self._record()
            work.rank(engine)

    @classmethod
    @contextmanager
    def of(cls, work: Workload) -> Iterator[Stopwatch]:
        """Yields a stopwatch; its state folder is removed at the end."""
        with (
            TemporaryDirectory(prefix="edge-bench-") as folder,
            work.open(Path(folder) / "state", LOG_BYTES, HistoryClock(START_MS, STEP_MS)) as engine,
        ):
            yield cls(work, engine)

    def time(self, seconds: float) -> Round:
        """Times every operation for a third of the seconds, and for CALLS_AT_LEAST calls at least."""
        ways: dict[Timed, Callable[[], float]] = {
            "record": self._record,
            "rank": lambda: self._after_an_event(self._work.base),
            "rank_new_base": self._rank_new_base(),
        }
        return {name: _for(seconds / len(TIMED), ways[name]) for name in TIMED}

    def _record(self) -> float:
        kind, item, value, decision = next(self._calls)
        start = time.perf_counter_ns()
        self._engine.record(kind, item=item, value=value, decision=decision)
        return (time.perf_counter_ns() - start) / 1000

    def _after_an_event(self, base: BaseDecision) -> float:
        """Times a decision after one new event: new events are why a phone ranks again."""
        self._record()
        return self._work.rank(self._engine, base)

    def _rank_new_base(self) -> Callable[[], float]:
        unseen: list[BaseDecision] = []

        def rank() -> float:
            if not unseen:
                unseen.extend(self._work.new_base() for _ in range(_BASES))
            return self._after_an_event(unseen.pop())

        return rank


def latency(rounds: Sequence[Sequence[float]], quiet: Sequence[Sequence[float]] | None) -> Latency:
    """Summarises the calls of some rounds.

    Args:
        rounds: microseconds of each call, by round.
        quiet: the same rounds under the condition `quiet`; None = `rounds` are the quiet ones.
    """
    values = np.concatenate([np.asarray(one, np.float64) for one in rounds])
    p50, p95, p99 = (percentile(values, share) for share in (50, 95, 99))
    pairs = [] if quiet is None else list(zip(rounds, quiet, strict=True))
    figures: dict[str, Callable[[Sequence[float]], float]] = {
        "p50": lambda one: percentile(one, 50),
        "p99": lambda one: percentile(one, 99),
        "mean": statistics.fmean,
    }
    return Latency(
        calls=len(values),
        mean_us=float(values.mean()),
        p50_us=p50,
        p95_us=p95,
        p99_us=p99,
        max_us=float(values.max()),
        ladder_us=tuple(percentile(values, share) for share in LADDER),
        to_quiet={name: spread([of(here) / of(there) for here, there in pairs]) for name, of in figures.items()}
        if pairs
        else {},
    )


def percentile(values: Sequence[float] | np.ndarray, share: float) -> float:
    """Returns a percentile by linear interpolation between the two nearest values, as numpy does."""
    return float(np.percentile(values, share))


def spread(values: Sequence[float]) -> Spread:
    """Returns the median with the lowest and the highest value."""
    return Spread(median=statistics.median(values), low=min(values), high=max(values))


def _for(seconds: float, call: Callable[[], float]) -> list[float]:
    spent: list[float] = []
    until_ns = time.perf_counter_ns() + round(seconds * 1e9)
    while len(spent) < CALLS_AT_LEAST or time.perf_counter_ns() < until_ns:
        spent.append(call())
    return spent
