"""Measures one bundle: calls under each condition, first calls with cold caches, then fresh processes."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from cloud_export.evaluate.speed import processor
from device_sim.bench.bench_types import (
    CONDITIONS,
    TIMED,
    Bench,
    BundleFacts,
    Condition,
    ConditionName,
    FirstCall,
    Machine,
)
from device_sim.bench.bench_types import Workload as WorkloadFacts
from device_sim.bench.event_workload import CANDIDATES, WORKLOAD, Workload
from device_sim.bench.first_calls import Contestant, measure_first_calls
from device_sim.bench.fresh_process import measure_fresh
from device_sim.bench.interference import UnavailableError, condition
from device_sim.bench.latencies import HISTORY, Round, Stopwatch, latency
from device_sim.bench.log_peers import RECORD, log_contestants
from device_sim.bench.other_work import OtherWork
from device_sim.counts.counts import BundleCounts
from edge_sdk.bundle.container import open_container
from edge_sdk.bundle.reader import read_bundle
from edge_sdk.limits import LOG_BYTES

RANK: Final = "rank"
REFERENCES: Final = {RECORD: "sqlite"}  # a bundle alone has no other way to rank


@dataclass(frozen=True, slots=True)
class Effort:
    """The length of a measurement.

    Attributes:
        rounds: Every condition, and every contestant of the first calls, has its turn in each round.
        seconds: Time for one condition in a round.
        processes: Number of fresh processes of each program.
        interference: Whether conditions other than `quiet` are measured.
    """

    rounds: int = 5
    seconds: float = 1.5
    processes: int = 5
    interference: bool = True


def measure_bench(
    bundle: Path,
    public_key: bytes,
    effort: Effort,
    counts: Mapping[str, BundleCounts],
    after: Callable[[str], None] = lambda _: None,
) -> Bench:
    """Measures a bundle on this machine.

    Args:
        bundle: the `.edge` file.
        public_key: the key that signed it.
        effort: the length of the measurement.
        counts: instructions counted for the bundle, by core.
        after: is called after each step, with its name.

    Raises:
        EdgeError: the bundle cannot be opened.
        DecisionFailedError: the workload's decision fails with this bundle.
    """
    work = Workload.of(bundle, public_key)
    content = read_bundle(bundle, open_container(bundle, trusted_keys=[public_key], allow_unsigned=False))
    conditions = _conditions(work, effort, after)
    called_first = _first_calls(work, effort, after)
    fresh = measure_fresh(work, effort.processes, after=after)
    raw = bundle.read_bytes()
    return Bench(
        bundle=BundleFacts(
            scene=content.scene,
            items=len(content.layout.items),
            offers=len(content.layout.offers),
            window=content.layout.window,
            sha256=hashlib.sha256(raw).hexdigest(),
            size_bytes=len(raw),
        ),
        workload=WorkloadFacts(
            id=WORKLOAD, candidates=CANDIDATES, rounds=effort.rounds, seconds_a_condition=effort.seconds
        ),
        machine=this_machine(),
        conditions=conditions,
        cold_start=fresh.cold_start,
        memory=fresh.memory,
        first_calls=called_first,
        processes=fresh.processes,
        counts=counts,
    )


def this_machine() -> Machine:
    """Returns the processor, the system and the versions that a measurement depends on."""
    packages = ("edge-sdk", "numpy", "onnxruntime")
    return Machine(
        processor=processor(),
        cpus=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        versions={"python": platform.python_version(), **{name: metadata.version(name) for name in packages}},
    )


def _first_calls(work: Workload, effort: Effort, after: Callable[[str], None]) -> tuple[FirstCall, ...]:
    with (
        TemporaryDirectory(prefix="edge-bench-") as folder,
        work.open(Path(folder) / "state", LOG_BYTES) as engine,
        ExitStack() as stack,
    ):
        work.fill(engine, HISTORY)
        contestants = [
            *log_contestants(work, engine, Path(folder), stack),
            Contestant(RANK, "edge_sdk", "Engine.rank and its offers", lambda: work.rank(engine)),
        ]
        return measure_first_calls(contestants, REFERENCES, effort.rounds, OtherWork(), after)


def _conditions(work: Workload, effort: Effort, after: Callable[[str], None]) -> tuple[Condition, ...]:
    names: Sequence[ConditionName] = list(CONDITIONS) if effort.interference else ["quiet"]
    rounds: dict[ConditionName, list[Round]] = {name: [] for name in names}
    unavailable: dict[ConditionName, str] = {}
    periods: dict[ConditionName, list[tuple[int, int]]] = {name: [] for name in names}
    with Stopwatch.of(work) as stopwatch:
        for number in range(effort.rounds):
            for name in _turned(names, number):
                if name in unavailable:
                    continue
                try:
                    with condition(name) as quota:
                        rounds[name].append(stopwatch.time(effort.seconds))
                except UnavailableError as reason:
                    unavailable[name] = str(reason)
                    rounds[name].clear()
                else:
                    if quota is not None:
                        periods[name].append((quota.periods, quota.throttled))
                after(f"round {number + 1}, {name}")
    quiet = rounds["quiet"]
    return tuple(
        Condition(name=name, unavailable=unavailable[name])
        if name in unavailable
        else _condition(name, rounds[name], None if name == "quiet" else quiet, periods[name])
        for name in names
    )


def _turned(names: Sequence[ConditionName], number: int) -> list[ConditionName]:
    """Returns the names rotated, so that another condition is first in each round."""
    first = number % len(names)
    return [*names[first:], *names[:first]]


def _condition(
    name: ConditionName, rounds: Sequence[Round], quiet: Sequence[Round] | None, periods: Sequence[tuple[int, int]]
) -> Condition:
    all_periods = sum(one for one, _ in periods)
    return Condition(
        name=name,
        operations={
            timed: latency([one[timed] for one in rounds], None if quiet is None else [one[timed] for one in quiet])
            for timed in TIMED
        },
        throttled_share=sum(throttled for _, throttled in periods) / all_periods if all_periods else None,
    )
