"""Measures the throughput of one engine that many threads use at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np

from benchmarks.scale.bundles import Bundles, Packed, Sizes
from benchmarks.scale.calls import FILLED, base_of
from benchmarks.scale.curve import Curve
from benchmarks.scale.rounds import CONTEXT, LIMIT, Measure, interleaved
from benchmarks.scale.settings import Settings
from edge_sdk import Engine

RECORDS_PER_RANK = 4
_OVER = "threads"
_FIGURES = ("ranks_per_s", "records_per_s", "rank_p50_us", "rank_p99_us", "record_p50_us", "record_p99_us")


def threads_curve(settings: Settings, bundles: Bundles) -> Curve:
    """Measures the same number of calls shared among more and more threads."""
    packed = bundles.of(Sizes())
    with packed.open(bundles.folder / "threads-state") as engine:
        packed.record(engine, FILLED)
        contestants: dict[int, Measure] = {
            threads: _measure(packed, engine, threads, settings) for threads in settings.threads
        }
        rows = interleaved(contestants, _OVER, settings.thread_rounds)
    return Curve(
        name="threads",
        title="Threads on one engine",
        over=_OVER,
        each="thread",
        figures=_FIGURES,
        rows=rows,
        method=f"Each thread records {RECORDS_PER_RANK} events, then ranks 50 candidates, and again; in all threads "
        f"together {settings.thread_decisions:,} decisions a round, each call timed by itself, so the timer is in it.",
        notes=(
            "An engine does one call at a time, and so does Python: a call's time includes waiting for the others.",
        ),
        plots=(("ranks_per_s", "records_per_s"), ("rank_p50_us", "rank_p99_us", "record_p50_us", "record_p99_us")),
    )


def _measure(packed: Packed, engine: Engine, threads: int, settings: Settings) -> Measure:
    share = settings.thread_decisions // threads

    def one_round(_: int) -> dict[str, float]:
        barrier = threading.Barrier(threads + 1)
        workers = [_Worker(packed, engine, share, number, barrier.wait) for number in range(threads)]
        for worker in workers:
            worker.start()
        barrier.wait()
        start = time.perf_counter()
        for worker in workers:
            worker.join()
        spent_s = time.perf_counter() - start
        ranks_ns = np.concatenate([worker.ranks_ns for worker in workers])
        records_ns = np.concatenate([worker.records_ns for worker in workers])
        if len(ranks_ns) != share * threads:
            raise RuntimeError("a thread failed; its error is printed above")
        percentiles = {
            f"{name}_p{percent}_us": float(np.percentile(spent, percent)) / 1000
            for name, spent in (("rank", ranks_ns), ("record", records_ns))
            for percent in (50, 99)
        }
        return {"ranks_per_s": len(ranks_ns) / spent_s, "records_per_s": len(records_ns) / spent_s, **percentiles}

    return one_round


class _Worker(threading.Thread):
    """Makes its share of the calls and keeps the time of each."""

    def __init__(self, packed: Packed, engine: Engine, decisions: int, number: int, begin: Callable[[], int]) -> None:
        super().__init__()
        self._packed, self._engine, self._decisions, self._number, self._begin = (
            packed,
            engine,
            decisions,
            number,
            begin,
        )
        self.ranks_ns: list[int] = []
        self.records_ns: list[int] = []

    def run(self) -> None:
        base, engine, clock = base_of(self._packed), self._engine, time.perf_counter_ns
        items = self._packed.items[self._number :: 8]
        self._begin()
        for number in range(self._decisions):
            for extra in range(RECORDS_PER_RANK):
                item = items[(number * RECORDS_PER_RANK + extra) % len(items)]
                start = clock()
                engine.record("item_view", item=item, value=1.0)
                self.records_ns.append(clock() - start)
            start = clock()
            decision = engine.rank(base, context=CONTEXT, limit=LIMIT)
            offers = decision.offers
            self.ranks_ns.append(clock() - start)
            if decision.error or not offers:
                raise RuntimeError(f"the decision measured has no offers: {decision.error.name}, {decision.detail}")
