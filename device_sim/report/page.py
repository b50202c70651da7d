"""The report page: one HTML file without external resources, of all available inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from cloud_export.html.markup import section
from cloud_export.html.page import page
from device_sim.bench.bench_types import Bench
from device_sim.counts.counts import BundleCounts
from device_sim.estimate.cycle_model import Calibration
from device_sim.fleet.result import FleetResult
from device_sim.report.bench_section import bench_section
from device_sim.report.estimate_section import estimate_section, span
from device_sim.report.estimate_types import DeviceEstimates, Estimates
from device_sim.report.fleet_section import fleet_section
from device_sim.report.instructions_section import instructions_section
from device_sim.report.validation_section import validation_section
from device_sim.validation.scored_points import ScoredPoints

NOT_SAID: Final = (
    "No time on a phone was taken: phones appear here as estimates from counted instructions, with their intervals.",
    "Tail latency: an estimate is of an undisturbed call; how often a phone disturbs one is not known.",
    "Energy and heat: a scenario assumes a lower clock, it does not say when a phone falls to it.",
    "Scheduling: which core a phone gives to an app, and when it moves it, is a scenario and not a forecast.",
    "GPU, NPU and more than one thread: the runtime uses one CPU thread, and nothing else was looked at.",
    "Ports: figures are of the Python runtime; what one in Kotlin, Swift, JavaScript or C needs was not counted.",
    "Real users: the fleet's users are simulated; their lift says what the method can do, not what a market will.",
)


@dataclass(frozen=True, slots=True)
class Inputs:
    """The inputs of the page; a missing input gets a section that tells how to make it.

    Attributes:
        why_no_estimates: Why estimating failed, if it was tried.
    """

    estimates: Estimates | None = None
    why_no_estimates: str = ""
    counts: Sequence[BundleCounts] = ()
    points: ScoredPoints | None = None
    calibration: Calibration | None = None
    fleet: FleetResult | None = None
    bench: Bench | None = None


def render(inputs: Inputs) -> str:
    """Returns the page as text; the same inputs give the same page."""
    limits = "".join(f"<li>{escape(words)}</li>" for words in NOT_SAID)
    body = (
        estimate_section(inputs.estimates, inputs.why_no_estimates)
        + instructions_section(inputs.counts)
        + validation_section(inputs.points, inputs.calibration)
        + fleet_section(inputs.fleet)
        + bench_section(inputs.bench)
        + section("What this page does not say", f"<ul>{limits}</ul>")
    )
    scene = inputs.estimates.bundle.scene if inputs.estimates else ""
    title = f"Edge SDK on simulated phones: {scene}" if scene else "Edge SDK on simulated phones"
    return page(title, _headline(inputs.estimates), body)


def _headline(estimates: Estimates | None) -> str:
    """Returns the headline: the estimates of the slowest and the fastest device."""
    devices = [device for device in estimates.devices if device.interval("rank")] if estimates else []
    if not devices:
        return "No latency was estimated, so this page claims none."
    first, last = _slowest(devices), _fastest(devices)
    if first == last:
        return f"Estimated: a decision takes {_on(first)}."
    return f"Estimated: a decision takes {_on(first)} and {_on(last)}."


def _on(device: DeviceEstimates) -> str:
    return f"{span(device.interval('rank'))} on {device.profile.title} ({device.main_core})"


def _slowest(devices: Sequence[DeviceEstimates]) -> DeviceEstimates:
    return max(devices, key=lambda device: _middle(device))


def _fastest(devices: Sequence[DeviceEstimates]) -> DeviceEstimates:
    return min(devices, key=lambda device: _middle(device))


def _middle(device: DeviceEstimates) -> float:
    """Returns the squared geometric middle of the interval, for ordering only."""
    interval = device.interval("rank")
    return interval.low_us * interval.high_us if interval else 0.0
