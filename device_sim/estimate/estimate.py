"""Estimates the time of an operation on a core in a scenario: an interval, as the sum of its parts.

onnxruntime's code within the stage `model` is kernels: the core's cycle model gives the cycles, and the model's error
on unseen devices and models gives the interval. All else is branchy scalar code (an interpreter, libraries that are
called for a few bytes): instructions / a range of instructions per cycle. Time = cycles / clock.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from device_sim.counts.counts import BundleCounts, Counts, Operation, Part
from device_sim.estimate.cycle_model import Calibration, CoreModel
from device_sim.estimate.profile import Core, Figure, Profile
from device_sim.estimate.scalar_ipc import ScalarIpc
from device_sim.estimate.scenarios import Scenario

FLOOR_US: Final = 100.0  # below this a figure is right within FLOOR_FACTOR at best (study of the models)
FLOOR_FACTOR: Final = 2.0
COLD_OF: Final = {"rank": "rank_cold"}  # the operation whose counts were made after the caches had been emptied

KERNELS: Final = ("model", "onnxruntime")  # in the other stages onnxruntime only wraps arrays
VECTOR_CLASSES: Final = (
    "vector_load",
    "vector_store",
    "fma",
    "vector_float",
    "vector_integer",
    "dot",
    "vector_other",
)
# The least share of vector instructions in a model that the cycle model was fitted on (blazeface on A76 is .42, on A55
# .44). Below it the code is more onnxruntime's bookkeeping than kernels: the interval must cover both methods.
LEAST_VECTOR_SHARE: Final = 0.42

_LEAST_REMAINDER: Final = 0.1  # an error of 100% and more gives no slow end: at most × 10
_OVERLAP: Final = 2.0  # reads from memory under way at once that the fast end of a cold start assumes


class CountsWithoutCachesError(Exception):
    """The cycle model needs cache misses, and these counts have none."""

    def __init__(self, core: str) -> None:
        super().__init__(f"the counts for {core} were made without caches; count again with `device-sim count`")


@dataclass(frozen=True, slots=True)
class PartEstimate:
    """The time of one image's code in one stage, in µs.

    Attributes:
        name: `stage: image`, or the name of an addition to the counted code.
        method: The method, as a sentence.
    """

    name: str
    low_us: float
    high_us: float
    method: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """An operation's time on a device in a scenario, as an interval.

    Attributes:
        device: The profile's name.
        core: The core.
        operation: Such as `rank`.
        parts: The parts of the sum; already widened if `widened`.
        widened: Whether the figure is below FLOOR_US, so that all parts were widened until the whole is uncertain by
            FLOOR_FACTOR both ways.
    """

    device: str
    core: str
    operation: str
    scenario: str
    parts: tuple[PartEstimate, ...]
    widened: bool

    @property
    def low_us(self) -> float:
        """The sum of the parts' fast ends."""
        return math.fsum(part.low_us for part in self.parts)

    @property
    def high_us(self) -> float:
        """The sum of the parts' slow ends."""
        return math.fsum(part.high_us for part in self.parts)


@dataclass(frozen=True, slots=True)
class CoreCost:
    """A core's costs: its cycle model, its range for scalar code, its clock and memory.

    Attributes:
        error: The relative error of the cycle model that the interval allows for.
        error_source: What kind of error it is.
    """

    core: Core
    model: CoreModel
    error: float
    error_source: str
    scalar_ipc: Figure

    def vector_cycles(self, counts: Counts) -> tuple[float, float]:
        """Returns the cycle model's interval: error = |predicted/true − 1|, solved for the true figure."""
        cycles = self.model.cycles(counts)
        return cycles / (1 + self.error), cycles / max(1 - self.error, _LEAST_REMAINDER)

    def scalar_cycles(self, counts: Counts) -> tuple[float, float]:
        """Returns instructions / the range of instructions per cycle.

        The range applies to code that finds most of its lines in some cache. Where the simulated caches had to read
        from memory, the slow end is at least the fast end plus a full read for each such line: a device without a
        third cache may be slower than its range of instructions per cycle.
        """
        fast = counts.instructions / self.scalar_ipc.high
        waiting = self.memory_reads(counts) * self.core.memory_ns.high * self.core.clock_ghz.low
        return fast, max(counts.instructions / self.scalar_ipc.low, fast + waiting)

    def memory_reads(self, counts: Counts) -> float:
        """Returns the lines that are read from memory, past the device's last cache; 0 where they were not counted."""
        l2, l3 = counts.l2_misses, counts.l3_misses
        return (l2 if self.core.l3_kib is None or l3 is None else l3) or 0.0


def core_cost(core: Core, calibration: Calibration, scalar_ipc: ScalarIpc) -> CoreCost:
    """Returns the costs of a core.

    Raises:
        UnknownCoreError: Neither the core nor a relative has a cycle model.
        ScalarIpcError: The core has no range for scalar code.
    """
    model, transferred = calibration.for_core(core.name)
    ipc = scalar_ipc.of(core.name)
    error, source = _error(model, calibration, transferred=transferred)
    general = Figure(low=ipc.low, high=ipc.high, source=ipc.source)
    return CoreCost(core, model, error, source, core.scalar_ipc or general)


def estimate_operation(
    name: str, counts: BundleCounts, profile: Profile, cost: CoreCost, scenario: Scenario
) -> Estimate | None:
    """Returns the interval of one operation.

    Args:
        name: Such as `rank`; in a cold scenario its counts with emptied caches are used.
        counts: The counts, made with the kernels that the core runs.
        profile: The device, for its name; `cost` is of its main or its little core.
        cost: The costs of the scenario's core.
        scenario: The other assumptions.

    Returns:
        None where the operation was not counted, or not with emptied caches.

    Raises:
        CountsWithoutCachesError: The counts lack the cache misses that the cycle model needs.
    """
    operation = counts.operations.get(COLD_OF.get(name, "") if scenario.cold else name)
    if operation is None or (scenario.cold and operation.total().l2_misses is None):
        return None
    parts = _cold_parts(operation, cost) if scenario.cold else tuple(_part(part, cost) for part in operation.parts)
    in_scenario = tuple(_stretched(part, scenario) for part in parts)
    widened = _widened(in_scenario)
    return Estimate(profile.name, cost.core.core.value, name, scenario.name, widened, widened != in_scenario)


def estimate_device(
    profile: Profile, counts: BundleCounts, cost: CoreCost, scenarios: Sequence[Scenario], operations: Sequence[str]
) -> tuple[Estimate, ...]:
    """Returns the estimates of all operations in all scenarios on one core, where they can be estimated."""
    found = (estimate_operation(name, counts, profile, cost, scenario) for scenario in scenarios for name in operations)
    return tuple(estimate for estimate in found if estimate is not None)


def _error(model: CoreModel, calibration: Calibration, *, transferred: bool) -> tuple[float, str]:
    """Returns the largest applicable 90th percentile: the bundle's model is new, and usually the device too."""
    known = [(model.held_out_p90, "p90, new model on a known device")]
    if model.unseen_device_p90 is not None:
        known.append((model.unseen_device_p90, "p90, known model on a new device"))
    if model.neither_seen_p90 is not None:
        known.append((model.neither_seen_p90, "p90, new model on a new device"))
    else:  # one device was published: what other cores' new devices were off by is the least to allow for
        others = [one.neither_seen_p90 for one in calibration.cores.values() if one.neither_seen_p90 is not None]
        if others:
            known.append((max(others), "p90, new model on a new device, the worst of the other cores"))
    if transferred and calibration.transferred_p90 is not None:
        known.append((calibration.transferred_p90, "p90, core scored with the cycle model of a relative"))
    return max(known)


def _part(part: Part, cost: CoreCost) -> PartEstimate:
    name = f"{part.stage}: {part.image}"
    scalar = cost.scalar_cycles(part.counts)
    ipc = f"instructions / {cost.scalar_ipc} a cycle"
    if scalar[1] > part.counts.instructions / cost.scalar_ipc.low:
        ipc += f"; at the slow end {cost.memory_reads(part.counts):,.0f} lines read from memory"
    if (part.stage, part.image) != KERNELS:
        return _timed(name, scalar, ipc, cost)
    if part.counts.l2_misses is None:
        raise CountsWithoutCachesError(cost.core.core.value)
    low, high = cost.vector_cycles(part.counts)
    method = f"cycle model of {cost.model.core} ± {cost.error:.0%}"
    share = part.counts.of(*VECTOR_CLASSES) / part.counts.instructions if part.counts.instructions else 1.0
    if share < LEAST_VECTOR_SHARE:
        low, high = min(low, scalar[0]), max(high, scalar[1])
        method = f"{method}, or {ipc}: only {share:.0%} are vector instructions"
    return _timed(name, (low, high), method, cost)


def _timed(name: str, cycles: tuple[float, float], method: str, cost: CoreCost) -> PartEstimate:
    """Converts cycles to µs: at 1 GHz, 1000 cycles take 1 µs."""
    clock = cost.core.clock_ghz
    return PartEstimate(name, cycles[0] / (1000 * clock.high), cycles[1] / (1000 * clock.low), method)


def _cold_parts(cold: Operation, cost: CoreCost) -> tuple[PartEstimate, ...]:
    """Returns the parts without reads from memory, and one part for all reads from memory.

    They are separate because the cycle model's coefficient for misses was fitted on prefetched, overlapping reads of
    convolutions, and the reads after a wake-up are scattered.
    """
    parts = []
    for part in cold.parts:
        held = (part.counts.l2_misses or 0.0) - cost.memory_reads(part.counts)
        at_hand = {"l2_misses": max(held, 0.0) if cost.core.l3_kib is not None else 0.0, "l3_misses": 0.0}
        parts.append(_part(part.model_copy(update={"counts": part.counts.model_copy(update=at_hand)}), cost))
    memory, reads = cost.core.memory_ns, cost.memory_reads(cold.total())
    low_us, high_us = reads * memory.low / (1000 * _OVERLAP), reads * memory.high / 1000
    method = f"{reads:,.0f} lines from memory at {memory} ns; the fast end has {_OVERLAP:g} under way at once"
    return (*parts, PartEstimate("cold caches", low_us, high_us, method))


def _stretched(part: PartEstimate, scenario: Scenario) -> PartEstimate:
    low = scenario.share[0] / scenario.clock_fraction[1]
    high = scenario.share[1] / scenario.clock_fraction[0]
    return replace(part, low_us=part.low_us * low, high_us=part.high_us * high)


def _widened(parts: tuple[PartEstimate, ...]) -> tuple[PartEstimate, ...]:
    """Widens the parts until the whole is as uncertain as a figure of its size must be.

    The whole's middle m is the geometric one. Below FLOOR_US the interval must reach from m / FLOOR_FACTOR to
    m × FLOOR_FACTOR; from there on its slow end must not fall below that of a figure of FLOOR_US, so that more
    instructions never mean less time.
    """
    low, high = math.fsum(part.low_us for part in parts), math.fsum(part.high_us for part in parts)
    middle = math.sqrt(low * high)
    if middle == 0:
        return parts
    least_low = min(low, middle / FLOOR_FACTOR) if middle < FLOOR_US else low
    least_high = max(high, min(middle, FLOOR_US) * FLOOR_FACTOR)
    if least_low == low and least_high == high:
        return parts
    return tuple(
        replace(part, low_us=part.low_us * (least_low / low), high_us=part.high_us * (least_high / high))
        for part in parts
    )
