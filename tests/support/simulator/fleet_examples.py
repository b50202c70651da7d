"""Makes a fleet result by hand, for tests of everything that reads one."""

from __future__ import annotations

from datetime import date

from device_sim.fleet.arms import ARMS
from device_sim.fleet.closed_loop import ArmLog, Row
from device_sim.fleet.figures import arm_figures, gap_closed, lifts, runtime_figures
from device_sim.fleet.network_watch import NetworkWatch
from device_sim.fleet.phone import EngineTally
from device_sim.fleet.result import FleetResult, Settings

SETTINGS = Settings(devices=2, days=2, seed=1, panel_users=30, panel_days=3, start=date(2026, 1, 5))
VALUES = {"base": 0.5, "rules": 0.5, "uploaded": 0.625, "device": 0.75, "oracle": 1.0, "random": 0.25}


def row(user: int, value: float, *, day: int = 3, session: int = 1) -> Row:
    """A decision of which the oracle would have made 1; day 3 is the fleet's first."""
    return Row(day=day, user=user, session=session, seen=6, value=value, oracle_value=1.0, clicks=1, conversions=0)


def hand_made() -> FleetResult:
    """Two users, one decision each on each day; every arm with its value of VALUES."""
    logs = {
        name: ArmLog(rows=[row(user, value, day=day) for day in (3, 4) for user in (0, 1)])
        for name, value in VALUES.items()
    }
    rows = {name: log.rows for name, log in logs.items()}
    tally = EngineTally(open_s=[0.01, 0.03], rank_s=[0.0002, 0.0004], events=40)
    return FleetResult(
        settings=SETTINGS,
        arms=tuple(arm_figures(arm.name, logs[arm.name], SETTINGS, ("bought",)) for arm in ARMS),
        lifts=lifts(rows, SETTINGS),
        gap_closed=gap_closed(rows, SETTINGS),
        cap_violations=0,
        uploaded_bytes=0,
        runtime=runtime_figures(tally, logs["device"], 2.0, [100, 300]),
        traffic=NetworkWatch().traffic(),
        seconds={"all": 1.5},
        versions={"python": "3.11.0"},
        bundle_sha256="0" * 64,
    )
