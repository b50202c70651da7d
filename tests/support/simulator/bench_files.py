"""Makes a made-up bench, for tests of everything that reads one."""

from __future__ import annotations

from device_sim.bench.bench_types import (
    CONDITIONS,
    TIMED,
    Bench,
    BundleFacts,
    ColdStart,
    Condition,
    Latency,
    Machine,
    Memory,
    Spread,
    Workload,
)
from device_sim.counts.counts import BundleCounts, Counts, Operation, Part

ONE = Spread(median=1.0, low=0.9, high=1.1)


def counts_of(core: str = "cortex-a55", *, rank: float = 1_000_000.0, record: float = 20_000.0) -> BundleCounts:
    """Counts of the bundle of `bench_of`, so many instructions a rank and a record."""
    return BundleCounts(
        core=core, scene="wealth", bundle_sha256="0" * 64, bundle_bytes=100_000, items=360, candidates=50, window=32,
        caches=None, operations={"rank": operation(rank), "record": operation(record)}, repetitions={"rank": 200},
        versions={"onnxruntime": "1.23.0"}, conformance={},
    )  # fmt: skip


def operation(instructions: float) -> Operation:
    """A quarter of it in the model, by onnxruntime; the rest in Python, by the policy."""
    model = Part(stage="model", image="onnxruntime", counts=Counts(mix={"fma": instructions / 4}))
    return Operation(
        parts=(model, Part(stage="policy", image="python", counts=Counts(mix={"load": instructions * 0.75})))
    )


def bench_of(
    *, bundle_bytes: int = 100_000, state_bytes: int = 1_000_000, rank_us: float = 100.0,
    counts: tuple[BundleCounts, ...] = (), scene: str = "wealth", candidates: int = 50, unavailable: str = "",
) -> Bench:  # fmt: skip
    """Every condition but the quota was measured if a reason is given why not that."""
    return Bench(
        bundle=BundleFacts(scene=scene, items=360, offers=60, window=32, sha256="0" * 64, size_bytes=bundle_bytes),
        workload=Workload(id="wealth-mix-1", candidates=candidates, rounds=2, seconds_a_condition=0.5),
        machine=Machine(processor="a CPU", cpus=2, system="Linux", versions={"python": "3.11.7"}),
        conditions=tuple(
            Condition(name=name, unavailable=unavailable)
            if unavailable and name == "quota"
            else Condition(name=name, operations={timed: latency_at(rank_us, quiet=name == "quiet") for timed in TIMED})
            for name in CONDITIONS
        ),
        cold_start=ColdStart(processes=3, import_ms=ONE, open_ms=ONE, first_decision_ms=ONE, total_ms=ONE),
        memory=Memory(bare_bytes=40_000_000, extra_bytes=30_000_000, state_bytes=state_bytes),
        counts={one.core: one for one in counts},
    )


def latency_at(us: float, *, quiet: bool) -> Latency:
    """Around so many microseconds."""
    ladder = tuple(us * factor for factor in (0.8, 0.9, 0.95, 1.0, 1.1, 1.5, 2.0))
    return Latency(
        calls=100, mean_us=us * 1.05, p50_us=us, p95_us=us * 1.5, p99_us=us * 2, max_us=us * 9, ladder_us=ladder,
        to_quiet={} if quiet else {"p50": ONE, "p99": ONE, "mean": ONE},
    )  # fmt: skip
