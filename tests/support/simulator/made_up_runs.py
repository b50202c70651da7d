"""Makes models, counts and published tables that follow known coefficients exactly.

Half of the first level's misses miss the second too, so that whichever levels a fit looks at, it can be exact.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from device_sim.counts.counts import Caches, Counts, ReferenceCounts
from device_sim.counts.host_times import HostTimes, ModelTime
from device_sim.validation.points import References

MODELS = tuple(f"model_{number:02d}" for number in range(16))
KERNELS = ("cortex-a53", "cortex-a55", "cortex-a72", "cortex-a76")
COEFFICIENTS: Mapping[str, Mapping[str, float]] = {
    "cortex-a53": {"fma": 1.5, "other": 0.9, "l1_miss": 90.0},
    "cortex-a55": {"fma": 1.2, "other": 0.8, "l1_miss": 80.0},
    "cortex-a72": {"fma": 1.0, "other": 0.6, "l1_miss": 70.0},
    "cortex-a73": {"fma": 1.1, "other": 0.5, "l1_miss": 60.0},
    "cortex-a76": {"fma": 0.5, "other": 0.3, "l1_miss": 50.0},
    "cortex-a78": {"fma": 0.45, "other": 0.25, "l1_miss": 40.0},
}
COUNTED_FOR = {"cortex-a73": "cortex-a72", "cortex-a78": "cortex-a76"}


def references() -> References:
    """Counts of MODELS on each of KERNELS, and x86 times that are no multiple of any feature."""
    rng = np.random.default_rng(5)
    return References(
        {core: _reference_counts(core, rng) for core in KERNELS},
        {model: float(rng.uniform(1.0, 50.0)) for model in MODELS},
    )


def write_references(folder: Path) -> References:
    """The same as the files that `read_references` reads."""
    made = references()
    for core, counts in made.counts.items():
        counts.write_json(folder / f"ncnn.{core}.json")
    times = {model: ModelTime(median_ms=1.5 * least, min_ms=least) for model, least in made.x86_ms.items()}
    host = HostTimes(processor="made up", rounds=1, runs_per_round=1, models=times, versions={})
    host.write_json(folder / "ncnn.x86_64.json")
    return made


def entry(made: References, device: str, core: str, clock_ghz: float = 2.0, **fields: object) -> dict[str, object]:
    """A published entry whose times follow COEFFICIENTS exactly."""
    counts = made.counts[COUNTED_FOR.get(core, core)].models
    times = {}
    for model in MODELS:
        known, counted = COEFFICIENTS[core], counts[model]
        cycles = known["fma"] * counted.of("fma") + known["other"] * counted.of("vector_load", "integer")
        cycles += known["l1_miss"] * (counted.l1d_misses or 0.0)
        least_ms = cycles / (clock_ghz * 1e6)
        times[model] = [least_ms, least_ms * 1.2, least_ms * 1.1]
    return {
        "device": device, "core": core.removeprefix("cortex-"), "clock_ghz": clock_ghz, "threads": 1,
        "source": "made up", "ms_min_max_avg": times, **fields,
    }  # fmt: skip


def full_table(made: References) -> list[dict[str, object]]:
    """Two devices of each core, but one of A78, as in the published table."""
    entries = [entry(made, f"{core}-one", core, 1.5) for core in COEFFICIENTS]
    return entries + [entry(made, f"{core}-two", core, 2.5) for core in COEFFICIENTS if core != "cortex-a78"]


def write_table(path: Path, entries: Sequence[object]) -> Path:
    """Write entries as a published table."""
    path.write_text(json.dumps(entries))
    return path


def _reference_counts(core: str, rng: np.random.Generator) -> ReferenceCounts:
    models = {}
    for model in MODELS:
        l1d_misses = float(rng.uniform(1e4, 1e6))
        fma, load, integer = rng.lognormal(17.0, 1.0, 3)
        models[model] = Counts(
            mix={"fma": fma, "vector_load": load, "integer": integer, "system": rng.uniform(0.1, 0.9) * fma},
            l1i_misses=10.0,
            l1d_misses=l1d_misses,
            l2_misses=l1d_misses / 2.0,
        )
    caches = Caches(l1i=(32, 4), l1d=(32, 4), l2=(512, 8), l3=None)
    return ReferenceCounts(core=core, caches=caches, models=models, versions={"made": "up"})
