"""Estimates a bundle on devices: the estimates of each device and their evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from device_sim.cores import COUNTS_CORE
from device_sim.counts.counts import BundleCounts
from device_sim.estimate.choose_counts import BundleIdentity, ChosenCounts, choose_counts
from device_sim.estimate.cycle_model import Calibration
from device_sim.estimate.estimate import CoreCost, Estimate, core_cost, estimate_device
from device_sim.estimate.profile import Core, Profile
from device_sim.estimate.scalar_ipc import ScalarIpc
from device_sim.estimate.scenarios import Scenario

OPERATIONS: Final = ("record", "rank", "rank_new_base")

CAUTION: Final = (
    "Estimated from counted instructions, not measured on a phone. Not promised: tail latency, energy, heat, "
    "scheduling, more than one thread, GPU or NPU; below 100 µs nothing better than a factor of two. "
    "See docs/device_sim.md."
)


@dataclass(frozen=True, slots=True)
class CoreAnswer:
    """One core of a device: the chosen counts, the core's costs, and the estimates."""

    chosen: ChosenCounts
    cost: CoreCost
    estimates: tuple[Estimate, ...]


@dataclass(frozen=True, slots=True)
class DeviceAnswer:
    """The estimates on one device.

    Attributes:
        cores: The main core, and the little one if a scenario needs it and the device has one.
    """

    profile: Profile
    cores: tuple[CoreAnswer, ...]

    @property
    def estimates(self) -> tuple[Estimate, ...]:
        """The estimates of all cores."""
        return tuple(estimate for core in self.cores for estimate in core.estimates)

    def estimate(self, operation: str, scenario: str) -> Estimate | None:
        """Returns one estimate; None = it was not counted or does not apply."""
        wanted = (one for one in self.estimates if (one.operation, one.scenario) == (operation, scenario))
        return next(wanted, None)


@dataclass(frozen=True, slots=True)
class Answer:
    """The estimates of a bundle on all requested devices."""

    bundle: BundleIdentity
    scenarios: tuple[Scenario, ...]
    devices: tuple[DeviceAnswer, ...]
    calibration: Calibration
    scalar_ipc: ScalarIpc

    @property
    def remarks(self) -> tuple[str, ...]:
        """The remarks on the chosen counts, each once."""
        cores = (core for device in self.devices for core in device.cores)
        return tuple(dict.fromkeys(remark for core in cores for remark in core.chosen.remarks))


def kernels_of(profiles: Sequence[Profile], scenarios: Sequence[Scenario]) -> tuple[str, ...]:
    """Returns the cores whose kernels must be counted for these devices, little cores only if a scenario needs them."""
    cores = [profile.main for profile in profiles]
    if any(scenario.little for scenario in scenarios):
        cores += [profile.little for profile in profiles if profile.little is not None]
    return tuple(sorted({COUNTS_CORE[core.name] for core in cores}))


def answer(
    bundle: BundleIdentity,
    profiles: Sequence[Profile],
    counted: Sequence[BundleCounts],
    scenarios: Sequence[Scenario],
    *,
    calibration: Calibration,
    scalar_ipc: ScalarIpc,
    any_scene: bool = False,
) -> Answer:
    """Estimates OPERATIONS of a bundle on devices.

    Args:
        bundle: The bundle.
        profiles: The devices.
        counted: The available counts; the most similar ones for each core are used.
        scenarios: The scenarios.
        calibration: The cycle models.
        scalar_ipc: The ranges for scalar code.
        any_scene: Whether counts of other scenes may be used.

    Raises:
        NoCountsError: There are no counts for the bundle.
        UnknownCoreError: A core has no cycle model.
        ScalarIpcError: A core has no range for scalar code.
        CountsWithoutCachesError: The counts lack the cache misses that the cycle model needs.
    """

    def on_core(profile: Profile, core: Core, asked: Sequence[Scenario]) -> CoreAnswer:
        chosen = choose_counts(bundle, core.name, counted, any_scene=any_scene)
        cost = core_cost(core, calibration, scalar_ipc)
        return CoreAnswer(chosen, cost, estimate_device(profile, chosen.counts, cost, asked, OPERATIONS))

    def on_device(profile: Profile) -> DeviceAnswer:
        main = on_core(profile, profile.main, [scenario for scenario in scenarios if not scenario.little])
        little = [scenario for scenario in scenarios if scenario.little]
        if profile.little is None or not little:
            return DeviceAnswer(profile, (main,))
        return DeviceAnswer(profile, (main, on_core(profile, profile.little, little)))

    devices = tuple(on_device(profile) for profile in profiles)
    return Answer(bundle, tuple(scenarios), devices, calibration, scalar_ipc)
