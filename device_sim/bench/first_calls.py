"""The first call after other work, with cold caches, beside the same call repeated, with warm ones."""

from __future__ import annotations

import gc
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from device_sim.bench.bench_types import FirstCall
from device_sim.bench.latencies import spread
from device_sim.bench.other_work import OtherWork

COLD_CALLS: Final = 10  # of each contestant in a round
_WARM_UP_CALLS: Final = 3
_WARM_CALLS: Final = 50


def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Contestant:
    """One way to do a task.

    Attributes:
        task: What the contestants of one group all do, such as "record".
        key: Short name, unique in its task.
        label: Its name in a table.
        call: What is timed.
        before: What has to be done before each call and is not timed.
        missing: Why it takes no part, with the fix; empty = it does.
    """

    task: str
    key: str
    label: str
    call: Callable[[], object] = _nothing
    before: Callable[[], object] = _nothing
    missing: str = ""


@dataclass(slots=True)
class _Times:
    """Microseconds of one contestant: a median for each round."""

    cold_us: list[float] = field(default_factory=list)
    warm_us: list[float] = field(default_factory=list)


def measure_first_calls(
    contestants: Sequence[Contestant],
    references: Mapping[str, str],
    rounds: int,
    other_work: OtherWork,
    after: Callable[[str], None] = lambda _: None,
) -> tuple[FirstCall, ...]:
    """Times all contestants in turn, in one process and in another order in each round.

    In a round each contestant makes COLD_CALLS calls, each directly after other work, then some warm-up calls and the
    warm calls that count. A round's figure is the median of its calls; a ratio is taken within a round.

    Args:
        contestants: of all tasks.
        references: by task, the key of the contestant that ratios are taken against.
        rounds: how many count; one before them warms up.
        other_work: done before each cold call.
        after: is called after each step, with its name.
    """
    taking_part = [one for one in contestants if not one.missing]
    times = {(one.task, one.key): _Times() for one in taking_part}
    order = random.Random(1)
    with undisturbed():
        for number in range(rounds + 1):
            order.shuffle(taking_part)
            found = _round(taking_part, other_work)
            for key, (cold_us, warm_us) in found.items() if number else ():
                times[key].cold_us.append(cold_us)
                times[key].warm_us.append(warm_us)
            after(f"first calls, round {number} of {rounds}")
    return tuple(_figures(one, times, references.get(one.task, "")) for one in contestants)


def _round(contestants: Sequence[Contestant], other_work: OtherWork) -> dict[tuple[str, str], tuple[float, float]]:
    """Microseconds of each contestant in one round: cold, warm."""
    cold_us: dict[tuple[str, str], list[float]] = {(one.task, one.key): [] for one in contestants}
    for _ in range(COLD_CALLS):
        for one in contestants:
            other_work.do()
            cold_us[one.task, one.key].append(_timed_us(one))
    warm_us = {}
    for one in contestants:
        for _ in range(_WARM_UP_CALLS):
            _timed_us(one)
        warm_us[one.task, one.key] = statistics.median(_timed_us(one) for _ in range(_WARM_CALLS))
    return {key: (statistics.median(values), warm_us[key]) for key, values in cold_us.items()}


def _timed_us(contestant: Contestant) -> float:
    call, clock = contestant.call, time.perf_counter_ns
    contestant.before()
    start = clock()
    call()
    return (clock() - start) / 1000


def _figures(one: Contestant, times: Mapping[tuple[str, str], _Times], reference: str) -> FirstCall:
    mine, theirs = times.get((one.task, one.key)), times.get((one.task, reference))
    if mine is None:
        return FirstCall(task=one.task, key=one.key, label=one.label, missing=one.missing)
    return FirstCall(
        task=one.task,
        key=one.key,
        label=one.label,
        reference="" if theirs is None else reference,
        cold_us=spread(mine.cold_us),
        warm_us=spread(mine.warm_us),
        cold_ratio=None if theirs is None else spread(_ratios(mine.cold_us, theirs.cold_us)),
        warm_ratio=None if theirs is None else spread(_ratios(mine.warm_us, theirs.warm_us)),
    )


def _ratios(mine: Sequence[float], theirs: Sequence[float]) -> list[float]:
    return [one / other for one, other in zip(mine, theirs, strict=True)]


@contextmanager
def undisturbed() -> Iterator[None]:
    """Runs the body without Python's garbage collector, whose turn would fall on one contestant or another."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
