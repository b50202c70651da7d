"""Rounds that interleave all sizes, so that what disturbs the machine disturbs all of them; and medians over rounds."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from benchmarks.scale.bundles import Packed
from benchmarks.scale.curve import Row
from edge_sdk import BaseDecision, Engine

CONTEXT = {"surface": "home"}
LIMIT = 5

Measure = Callable[[int], dict[str, float]]  # number of the round -> figures


def interleaved(contestants: Mapping[int, Measure], over: str, rounds: int) -> tuple[Row, ...]:
    """Measure every size in every round, in turns from small to large and back; one round before them warms up.

    Args:
        contestants: size -> what measures it once.
        over: the name of the size.
        rounds: how many count.
    """
    found: dict[int, list[dict[str, float]]] = {size: [] for size in contestants}
    with undisturbed():
        for number in range(rounds + 1):
            for size in list(found)[:: 1 if number % 2 else -1]:
                found[size].append(contestants[size](number))
    return tuple(row(over, size, values[1:]) for size, values in found.items())


def row(over: str, size: float, rounds: list[dict[str, float]]) -> Row:
    """Each figure's median over rounds, the lowest and the highest beside it."""
    made: Row = {over: size}
    for figure in rounds[0]:
        values = [one[figure] for one in rounds]
        made |= {figure: statistics.median(values), f"{figure}_low": min(values), f"{figure}_high": max(values)}
    return made


def rank_us(packed: Packed, engine: Engine, bases: list[BaseDecision], first: int) -> float:
    """The median time of one decision, its offers read, one new event before each.

    Args:
        packed: the engine's bundle.
        engine: to ask.
        bases: what to rank, one after the other.
        first: number of the first event to record.

    Raises:
        RuntimeError: a decision failed or is empty: it would be fast.
    """
    spent_ns = []
    for number, base in enumerate(bases, first):
        packed.record(engine, 1, first=number)
        start = time.perf_counter_ns()
        decision = engine.rank(base, context=CONTEXT, limit=LIMIT)
        offers = decision.offers
        spent_ns.append(time.perf_counter_ns() - start)
        if decision.error or not offers:
            raise RuntimeError(f"the decision measured has no offers: {decision.error.name}, {decision.detail}")
    return statistics.median(spent_ns) / 1000


def record_us(packed: Packed, engine: Engine, calls: int, first: int) -> float:
    """The mean time of one `record`: what memory now and then takes in is in it, the timer is not."""
    start = time.perf_counter_ns()
    packed.record(engine, calls, first=first)
    return (time.perf_counter_ns() - start) / 1000 / calls


@contextmanager
def undisturbed() -> Iterator[None]:
    """Without Python's garbage collector, whose turn would fall on one size or another."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
