"""What `device-sim fleet` found: one JSON file, written whole or not at all.

A *value* is a sum of true probabilities, click + 0.5 · conversion, over the offers that a user saw: the expected
outcome of what was shown, without the luck of the draw.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import ClassVar, Final

from device_sim.files import Frozen, JsonFile

FORMAT: Final = 1


class FleetFileError(Exception):
    """A result file is not usable; the message names the file, the field and the fix."""


class Settings(Frozen):
    """What was asked for."""

    devices: int
    days: int
    seed: int
    panel_users: int
    panel_days: int
    start: date  # the panel's first day; the fleet's is `panel_days` later


class Range(Frozen):
    """A figure with its 95% interval, from resampling whole users; low and high are None where it is not known."""

    mean: float
    low: float | None
    high: float | None


class Figures(Frozen):
    """What one arm's users saw and did, on one day or on all.

    Attributes:
        day: 1 = the fleet's first; None = all days.
        sessions: That had at least one decision.
        decisions: Pages that were asked for.
        seen: Offers that users scrolled to.
        value: Of what was seen.
        oracle_value: Of what the oracle would have shown at the very same moments, under the same rules.
        value_per_decision: value / decisions.
        regret_per_decision: (oracle_value − value) / decisions; never negative while no rule is broken.
        cumulative_regret: oracle_value − value up to and with this day.
        clicks: That happened.
        conversions: That happened.
    """

    day: int | None
    sessions: int
    decisions: int
    seen: int
    value: float
    oracle_value: float
    value_per_decision: float
    regret_per_decision: float
    cumulative_regret: float
    clicks: int
    conversions: int


class Arm(Frozen):
    """One way to rank, lived through by the same users.

    Attributes:
        name: `base`, `rules`, `uploaded`, `device`, `oracle` or `random`; docs/fleet.md says what each is.
        days: In order.
        total: Of all days.
        rules_broken: How often a shown offer broke a rule of the scene, by the rule's name, counted by a ledger that
            the runtime knows nothing of; every rule is there, mostly with 0.
    """

    name: str
    days: tuple[Figures, ...]
    total: Figures
    rules_broken: Mapping[str, int]


class Lift(Frozen):
    """An arm's value per decision less that of another arm, on one day or on all.

    Attributes:
        arm: The one.
        over: The other.
        day: 1 = the fleet's first; None = all days.
        absolute: Difference of values per decision.
        relative: That, divided by the other's value per decision.
    """

    arm: str
    over: str
    day: int | None
    absolute: Range
    relative: Range


class Traffic(Frozen):
    """What the processes that ran the engines sent while they ran; every figure must be 0.

    Attributes:
        sockets_created: Sockets made by Python code.
        connections: Calls that look up a host, connect, bind or listen.
        bytes_sent: Bytes given to a socket.
        foreign_sockets: Sockets that the kernel lists for the process after a user's day and that were not open before
            all: also those that native code made.
        processes: How many were watched.
        watched: How, in words.
    """

    sockets_created: int
    connections: int
    bytes_sent: int
    foreign_sockets: int
    processes: int
    watched: str


class Runtime(Frozen):
    """What the devices' engines did.

    Attributes:
        engines_opened: One a session: the app was not running in between.
        open_ms_median: Of `Engine.open`, the bundle's golden vectors included.
        events_recorded: Into the devices' own logs.
        decisions: Calls of `Engine.rank`.
        errors: Decisions with an error code, by its name; empty = none.
        withheld: Offers that an engine took out and that the ledger would have allowed.
        rank_seconds: In `Engine.rank`, altogether.
        rank_us_median: Of one call, a new process's first ones included: half are a session's first decision.
        rank_decisions_per_s: decisions / rank_seconds.
        loop_seconds: Of the device arm: users, engines opened and closed, ledger.
        loop_decisions_per_s: decisions / loop_seconds.
        disk_bytes_median: Of a device's state folder at the end.
        disk_bytes_max: The same.
        disk_bytes_total: Of all devices.
    """

    engines_opened: int
    open_ms_median: float
    events_recorded: int
    decisions: int
    errors: Mapping[str, int]
    withheld: int
    rank_seconds: float
    rank_us_median: float
    rank_decisions_per_s: float
    loop_seconds: float
    loop_decisions_per_s: float
    disk_bytes_median: float
    disk_bytes_max: int
    disk_bytes_total: int


class FleetResult(JsonFile):
    """A whole run.

    Attributes:
        settings: What was asked for.
        arms: In the order in which they ran.
        lifts: Each arm over `base`, and `device` over `rules` and `uploaded`: all days together (day None), then each
            day.
        gap_closed: Share of the base→oracle gap that `device` closes, (device − base) / (oracle − base); None where
            the oracle is not above the base.
        cap_violations: Offers that the device arm showed against any rule; must be 0.
        uploaded_bytes: `traffic.bytes_sent`; must be 0.
        seconds: Of each part of the run.
        versions: python, numpy, onnxruntime, edge_sdk.
        bundle_sha256: Of the bundle that all devices ran.
    """

    file_error: ClassVar = FleetFileError
    file_fix: ClassVar = "give a file that `device-sim fleet --json` wrote, or run it again"
    file_format: ClassVar = FORMAT

    format: int = FORMAT
    settings: Settings
    arms: tuple[Arm, ...]
    lifts: tuple[Lift, ...]
    gap_closed: Range | None
    cap_violations: int
    uploaded_bytes: int
    runtime: Runtime
    traffic: Traffic
    seconds: Mapping[str, float]
    versions: Mapping[str, str]
    bundle_sha256: str

    def arm(self, name: str) -> Arm:
        """The arm of this name.

        Raises:
            KeyError: There is none.
        """
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise KeyError(name)

    def lift(self, arm: str, *, over: str = "base", day: int | None = None) -> Lift:
        """One lift.

        Raises:
            KeyError: There is none.
        """
        for lift in self.lifts:
            if (lift.arm, lift.over, lift.day) == (arm, over, day):
                return lift
        raise KeyError((arm, over, day))
