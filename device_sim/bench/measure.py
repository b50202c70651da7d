"""One bench of one bundle: the conditions in turns, then the fresh processes."""

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
    """How long to measure.

    Attributes:
        rounds: In each of them every condition has its turn.
        seconds: Of a condition in a round.
        processes: Fresh ones, for cold start and memory.
        interference: Whether there are conditions but `quiet`.
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
    """Measure a bundle on this machine.

    Args:
        bundle: the `.edge` file.
        public_key: that signed it.
        effort: how long.
        counts: what was counted for it, by core.
        after: told what was just done.

    Raises:
        EdgeError: the bundle is not usable.
        DecisionFailedError: the bundle makes no decision of the workload's base.
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
    """Where this runs, and on what."""
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
    """Another one first in each round: what follows on what must not decide."""
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
