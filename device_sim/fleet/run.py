"""Runs a fleet: one population → a panel that the cloud learns from → all arms on the same fleet → figures."""

from __future__ import annotations

import hashlib
import platform
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time
from pathlib import Path
from time import perf_counter

import numpy as np
import polars as pl

import edge_sdk
from cloud_export.errors import CloudError
from cloud_export.models.base_ranker import ProgressFactory
from cloud_export.scene.load import Scene
from device_sim.fleet.arms import ARMS, ArmRules
from device_sim.fleet.closed_loop import ArmLife, ArmLog, FleetDays, Refresh
from device_sim.fleet.cloud import Cloud, train_cloud
from device_sim.fleet.event_routing import EventRouter, UserDevice
from device_sim.fleet.figures import arm_figures, gap_closed, lifts, runtime_figures
from device_sim.fleet.network_watch import NetworkWatch, watching
from device_sim.fleet.phone import EngineTally, Phone
from device_sim.fleet.result import FleetResult, Settings
from device_sim.fleet.rule_audit import RuleAudit, Rules, rules_of
from device_sim.population import constants as m
from device_sim.population.people import NO_DUE_DAY, People, part_of, users_frame
from device_sim.population.population import PopulationConfig, live, new_world, tables
from device_sim.population.sessions import World
from edge_sdk import BaseDecision
from edge_sdk.model.onnx_runtime import onnxruntime

_MARK = "made_by_device-sim_fleet"


class ForeignFolderError(CloudError):
    """The folder for the phones' state contains other files."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"{folder} was not made by device-sim fleet, and would be emptied; give another --out")


@dataclass(slots=True)
class Fleet:
    """The common start of all arms."""

    world: World  # of the fleet's users only, on their first midnight; an arm copies the people
    users: pl.DataFrame
    rules: Rules
    cloud: Cloud
    days: FleetDays
    epoch_ms: int
    devices: Path  # the folder of the phones' state folders


@dataclass(frozen=True, slots=True)
class ArmRun:
    """The outcome of one arm's run."""

    arm: ArmRules
    log: ArmLog
    tally: EngineTally
    seconds: float
    disk_bytes: Sequence[int]


def run_fleet(
    settings: Settings, scene: Scene, folder: Path, stage: ProgressFactory, *, arms: Sequence[ArmRules] = ARMS
) -> FleetResult:
    """Runs all arms and returns the result.

    Args:
        settings: The settings of the run.
        scene: The scene of the devices.
        folder: Gets the panel's log, scene.edge, scene.pub, and `devices/`, the phones' state folders (emptied first).
        stage: Shows progress.
        arms: The arms; `base` and `device` are among them.

    Raises:
        CloudError: The panel is too small to learn from, or the scene has a rule that the audit cannot check.
        EdgeError: The bundle does not open (a defect of this program).
        OSError: The folder cannot be written.
    """
    seconds: dict[str, float] = {}
    start_s = perf_counter()
    fleet = prepare_fleet(settings, scene, folder, stage, seconds)
    runs = []
    with watching() as watch:
        for arm in arms:
            runs.append(live_arm(fleet, arm, watch, stage(f"arm {arm.name}")))
            seconds[f"arm {arm.name}"] = round(runs[-1].seconds, 2)
    seconds["all"] = round(perf_counter() - start_s, 2)
    rows = {run.arm.name: run.log.rows for run in runs}
    device = next(run for run in runs if run.arm.name == "device")
    traffic = watch.traffic()
    return FleetResult(
        settings=settings,
        arms=tuple(arm_figures(run.arm.name, run.log, settings, fleet.rules.names) for run in runs),
        lifts=lifts(rows, settings),
        gap_closed=gap_closed(rows, settings),
        cap_violations=sum(device.log.broken.values()),
        uploaded_bytes=traffic.bytes_sent,
        runtime=runtime_figures(device.tally, device.log, device.seconds, device.disk_bytes),
        traffic=traffic,
        seconds=seconds,
        versions=_versions(),
        bundle_sha256=hashlib.sha256(fleet.cloud.packed.path.read_bytes()).hexdigest(),
    )


def live_arm(fleet: Fleet, arm: ArmRules, watch: NetworkWatch, progress: Callable[[int, int], None]) -> ArmRun:
    """Simulates one arm; the people of `fleet` stay unchanged."""
    start_s = perf_counter()
    tally, users = EngineTally(), fleet.users.height
    has_phones = arm.order is None
    devices = [
        UserDevice(RuleAudit(fleet.rules), _phone(fleet, user, tally) if has_phones else None) for user in range(users)
    ]
    router = EventRouter(devices, fleet.world.catalogue.names, fleet.epoch_ms, uploads=arm.uploads)
    world = replace(fleet.world, people=part_of(fleet.world.people, np.arange(users)))
    done, whole = 0, users * fleet.days.count

    def after_user() -> None:
        nonlocal done
        done += 1
        if has_phones:
            watch.look()
        progress(done, whole)

    log = ArmLife(arm, world, router, fleet.days, fleet.epoch_ms).live(_refresh(fleet, arm), after_user)
    seconds = perf_counter() - start_s
    disk = [device.phone.disk_bytes() for device in devices if device.phone is not None]
    return ArmRun(arm, log, tally, seconds, disk)


def emptied(devices: Path) -> None:
    """Makes the folder of the phones' state, or empties it after an earlier run.

    Raises:
        ForeignFolderError: The folder contains files of another program.
        OSError: The folder cannot be made or emptied.
    """
    mark = devices / _MARK
    if devices.exists():
        if not mark.exists() and any(devices.iterdir()):
            raise ForeignFolderError(devices)
        shutil.rmtree(devices)
    devices.mkdir(parents=True)
    mark.write_text("The state folders of simulated phones; the next run of device-sim fleet removes them.\n")


def prepare_fleet(
    settings: Settings, scene: Scene, folder: Path, stage: ProgressFactory, seconds: dict[str, float]
) -> Fleet:
    """Makes the population, simulates the panel's days and trains the cloud; `seconds` gets the time of each part.

    Raises:
        CloudError, OSError: As `run_fleet`.
    """
    emptied(folder / "devices")
    start_s = perf_counter()
    config = PopulationConfig(
        users=settings.panel_users + settings.devices,
        days=settings.panel_days + settings.days,
        seed=settings.seed,
        start=settings.start,
    )
    everyone = new_world(config)
    numbers = np.arange(config.users)
    fleet_people = _on_day(part_of(everyone.people, numbers[settings.panel_users :]), settings.panel_days)
    panel_world = replace(everyone, people=part_of(everyone.people, numbers[: settings.panel_users]))
    bar = stage("the panel's days")
    live(panel_world, settings.start, settings.panel_days, after_day=lambda day: bar(day, settings.panel_days))
    panel = tables(panel_world, config)
    seconds["panel"] = round(perf_counter() - start_s, 2)
    start_s = perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    rules = rules_of(scene, panel.offers)  # before the long part: it refuses scenes
    cloud = train_cloud(scene, panel, folder, seed=settings.seed, stage=stage)
    seconds["training"] = round(perf_counter() - start_s, 2)
    return Fleet(
        world=replace(everyone, people=fleet_people),
        users=users_frame(everyone.people)[settings.panel_users :],  # their names go on after the panel's
        rules=rules,
        cloud=cloud,
        days=FleetDays(settings.start, settings.panel_days, settings.days, settings.seed),
        epoch_ms=round(datetime.combine(settings.start, time(), UTC).timestamp() * 1000),
        devices=folder / "devices",
    )


def _on_day(fleet: People, day: int) -> People:
    """Returns people as drawn, on a later first midnight: due dates move by as many days."""
    return replace(fleet, due_day=np.where(fleet.due_day == NO_DUE_DAY, NO_DUE_DAY, fleet.due_day + day))


def _phone(fleet: Fleet, user: int, tally: EngineTally) -> Phone:
    packed = fleet.cloud.packed
    return Phone(fleet.devices / fleet.users["user"][user], packed.path, packed.public_key, tally)


def _refresh(fleet: Fleet, arm: ArmRules) -> Refresh:
    def refresh(day: int, router: EventRouter) -> list[BaseDecision]:
        midnight_ms = fleet.epoch_ms + day * m.DAY_MS
        return fleet.cloud.refresh(fleet.users, router.known(), midnight_ms, uploaded=arm.uploads)

    return refresh


def _versions() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "onnxruntime": onnxruntime.__version__,
        "edge_sdk": edge_sdk.__version__,
    }
