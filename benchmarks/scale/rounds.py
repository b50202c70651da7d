"""Measures all sizes in interleaved rounds, so that a disturbance of the machine meets all of them; takes medians."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

from benchmarks.scale.bundles import Packed
from benchmarks.scale.curve import Row
from device_sim.bench.first_calls import undisturbed
from edge_sdk import BaseDecision, Engine

CONTEXT = {"surface": "home"}
LIMIT = 5

Measure = Callable[[int], dict[str, float]]  # number of the round -> figures


def interleaved(contestants: Mapping[int, Measure], over: str, rounds: int) -> tuple[Row, ...]:
    """Measures every size in every round, in turns from small to large and back; one round before them warms up.

    Args:
        contestants: by size, the function that measures one round.
        over: the name of the size.
        rounds: number of rounds that count.
    """
    found: dict[int, list[dict[str, float]]] = {size: [] for size in contestants}
    with undisturbed():
        for number in range(rounds + 1):
            for size in list(found)[:: 1 if number % 2 else -1]:
                found[size].append(contestants[size](number))
    return tuple(row(over, size, values[1:]) for size, values in found.items())


def row(over: str, size: float, rounds: list[dict[str, float]]) -> Row:
    """Returns each figure's median over rounds with the lowest and the highest."""
    made: Row = {over: size}
    for figure in rounds[0]:
        values = [one[figure] for one in rounds]
        made |= {figure: statistics.median(values), f"{figure}_low": min(values), f"{figure}_high": max(values)}
    return made


def rank_us(packed: Packed, engine: Engine, bases: list[BaseDecision], first: int) -> float:
    """Returns the median time of one decision and of reading its offers; one new event comes before each.

    Args:
        packed: the engine's bundle.
        engine: the timed engine.
        bases: the base decisions to rank, one after the other.
        first: number of the first event to record.

    Raises:
        RuntimeError: a decision failed or is empty; its time would be too short.
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
    """Returns the mean time of one `record`; memory's ingestion is in it, the timer is not."""
    start = time.perf_counter_ns()
    packed.record(engine, calls, first=first)
    return (time.perf_counter_ns() - start) / 1000 / calls
