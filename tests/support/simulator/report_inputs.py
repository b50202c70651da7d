"""Makes inputs of the report with every field filled, so that the page can be searched for each."""

from __future__ import annotations

from datetime import date

from device_sim.estimate.cycle_model import Calibration, read_calibration
from device_sim.fleet.result import Arm, Figures, FleetResult, Lift, Range, Runtime, Settings, Traffic
from device_sim.report.estimate_types import (
    Bundle,
    CoreEstimates,
    DeviceEstimates,
    Estimates,
    Interval,
    Profile,
    Scenario,
)
from device_sim.report.page import Inputs
from device_sim.validation.scored_points import ScoredPoint, ScoredPoints
from tests.support.simulator.bench_files import bench_of, counts_of

DAYS = 3


def all_inputs() -> Inputs:
    """Everything."""
    return Inputs(
        estimates=estimates_of(),
        counts=(counts_of("cortex-a55"), counts_of("cortex-a76")),
        points=points_of(read_calibration().published_sha256),
        calibration=read_calibration(),
        fleet=fleet_of(),
        bench=bench_of(unavailable="the kernel has none"),
    )


def estimates_of(title: str = "Entry phone", scene: str = "wealth") -> Estimates:
    """Two devices, two scenarios."""
    return Estimates(
        format=1,
        caution="Estimated from counted instructions.",
        remarks=("counts of another core serve",),
        bundle=Bundle(name="scene.edge", scene=scene, size_bytes=135_824),
        scenarios={"typical": Scenario(assumption="undisturbed"), "cold": Scenario(assumption="caches empty")},
        devices=(_device(title, "entry", "cortex-a55", 2000.0), _device("Fast phone", "flagship", "cortex-a76", 400.0)),
    )


def points_of(published_sha256: str) -> ScoredPoints:
    """Four predictions of which three are within a fifth."""
    points = tuple(
        ScoredPoint(
            device="a board", core=core, model=model, predicted_ms=10.0 * ratio, ratio=ratio, unseen_device_ms=None,
            unseen_device_ratio=None,
        )
        for core, model, ratio in [
            ("cortex-a55", "alexnet", 1.1), ("cortex-a55", "vgg", 0.9), ("cortex-a76", "alexnet", 1.0),
            ("cortex-a76", "vgg", 1.5),
        ]
    )  # fmt: skip
    return ScoredPoints(sources=("a published table",), published_sha256=published_sha256, points=points)


def fleet_of(arm: str = "device") -> FleetResult:
    """Three arms over three days."""
    losses = {"base": 100.0, arm: 40.0, "oracle": 0.0}
    return FleetResult(
        settings=Settings(devices=120, days=DAYS, seed=1, panel_users=10, panel_days=5, start=date(2026, 1, 5)),
        arms=tuple(
            Arm(
                name=name,
                days=tuple(_figures(day, loss * day) for day in range(1, DAYS + 1)),
                total=_figures(None, loss * DAYS),
                rules_broken={"cap": 0},
            )
            for name, loss in losses.items()
        ),
        lifts=tuple(_lift(name, day) for name in (arm, "oracle") for day in (None, 1, 2, 3)),
        gap_closed=Range(mean=0.6, low=0.5, high=0.7),
        cap_violations=0,
        uploaded_bytes=0,
        runtime=Runtime(
            engines_opened=1, open_ms_median=10.0, events_recorded=1, decisions=300, errors={}, withheld=0,
            rank_seconds=0.1, rank_us_median=300.0, rank_decisions_per_s=3000.0, loop_seconds=3.0,
            loop_decisions_per_s=100.0, disk_bytes_median=1e5, disk_bytes_max=100_000, disk_bytes_total=100_000,
        ),
        traffic=Traffic(
            sockets_created=0, connections=0, bytes_sent=0, foreign_sockets=0, processes=1, watched="by a test"
        ),
        seconds={},
        versions={},
        bundle_sha256="0" * 64,
    )  # fmt: skip


def calibration_of_another_table() -> Calibration:
    """The shipped one, as if it had been fitted on something else."""
    return read_calibration().model_copy(update={"published_sha256": "f" * 64})


def _device(title: str, kind: str, core: str, rank_us: float) -> DeviceEstimates:
    sizes = {"rank": rank_us, "rank_new_base": rank_us * 2, "record": rank_us / 100}
    slower = {"typical": 1.0, "cold": 2.0}
    estimates = tuple(
        Interval(operation=operation, scenario=scenario, low_us=us * factor, high_us=us * factor * 2)
        for operation, us in sizes.items()
        for scenario, factor in slower.items()
    )
    profile = Profile.model_validate({"name": "a-phone", "title": title, "class": kind})
    return DeviceEstimates(profile=profile, cores=(CoreEstimates(core=core, estimates=estimates),))


def _figures(day: int | None, regret: float) -> Figures:
    return Figures(
        day=day, sessions=10, decisions=100, seen=300, value=60.0, oracle_value=60.0 + regret, value_per_decision=0.6,
        regret_per_decision=regret / 100, cumulative_regret=regret, clicks=20, conversions=5,
    )  # fmt: skip


def _lift(arm: str, day: int | None) -> Lift:
    ends = Range(mean=0.3, low=0.25 if day != 2 else None, high=0.35 if day != 2 else None)
    return Lift(arm=arm, over="base", day=day, absolute=ends, relative=ends)
