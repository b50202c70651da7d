"""Runs one bench of one bundle: the conditions in turns, then the fresh processes."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from cloud_export.evaluate.speed import processor
from device_sim.bench.bench_types import CONDITIONS, TIMED, Bench, BundleFacts, Condition, ConditionName, Machine
from device_sim.bench.bench_types import Workload as WorkloadFacts
from device_sim.bench.event_workload import CANDIDATES, WORKLOAD, Workload
from device_sim.bench.fresh_process import measure_fresh
from device_sim.bench.interference import UnavailableError, condition
from device_sim.bench.latencies import Round, Stopwatch, latency
from device_sim.counts.counts import BundleCounts
from edge_sdk.bundle.container import open_container
from edge_sdk.bundle.reader import read_bundle


@dataclass(frozen=True, slots=True)
class Effort:
    """The effort of a measurement.

    Attributes:
        rounds: How many rounds; each has every condition once.
        seconds: The time of a condition in a round.
        processes: How many fresh processes, for cold start and memory.
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
        bundle: The `.edge` file.
        public_key: The key that signed the bundle.
        effort: The effort.
        counts: The counts of the bundle, by core.
        after: Called with the name of each finished step.

    Raises:
        EdgeError: The bundle is not usable.
        DecisionFailedError: The bundle makes no decision of the workload's base.
    """
    work = Workload.of(bundle, public_key)
    content = read_bundle(bundle, open_container(bundle, trusted_keys=[public_key], allow_unsigned=False))
    conditions = _conditions(work, effort, after)
    cold, memory = measure_fresh(work, effort.processes)
    after("fresh processes")
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
        cold_start=cold,
        memory=memory,
        counts=counts,
    )


def this_machine() -> Machine:
    """Returns this machine and its versions."""
    packages = ("edge-sdk", "numpy", "onnxruntime")
    return Machine(
        processor=processor(),
        cpus=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        versions={"python": platform.python_version(), **{name: metadata.version(name) for name in packages}},
    )


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
    """Returns the names with another one first in each round, so that the order has no influence."""
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
