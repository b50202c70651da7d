"""The result file of `device-sim fleet`.

A *value* is a sum of true probabilities, click + 0.5 · conversion, over the offers that a user saw: the expected
outcome, without the luck of the draw.
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
    """The settings of the run."""

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
    """The figures of one arm on one day or on all days.

    Attributes:
        day: 1 = the fleet's first; None = all days.
        sessions: Sessions with at least one decision.
        decisions: Decisions, one a page.
        seen: Offers that users scrolled to.
        value: The value of the seen offers.
        oracle_value: The value of the oracle's offers at the same moments, under the same rules.
        value_per_decision: value / decisions.
        regret_per_decision: (oracle_value − value) / decisions; never negative while no rule is broken.
        cumulative_regret: oracle_value − value up to and with this day.
        clicks: Clicks that were drawn.
        conversions: Conversions that were drawn.
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
    """One way to rank; all arms have the same users.

    Attributes:
        name: `base`, `rules`, `uploaded`, `device`, `oracle` or `random`; docs/fleet.md describes them.
        days: The figures by day, in order.
        total: The figures of all days.
        rules_broken: How often a shown offer broke a rule of the scene, by the rule's name, counted by the rule audit,
            which is independent of the runtime; every rule is there, mostly with 0.
    """

    name: str
    days: tuple[Figures, ...]
    total: Figures
    rules_broken: Mapping[str, int]


class Lift(Frozen):
    """An arm's value per decision minus that of another arm, on one day or on all days.

    Attributes:
        arm: The arm.
        over: The other arm.
        day: 1 = the fleet's first; None = all days.
        absolute: The difference of values per decision.
        relative: The difference divided by the other arm's value per decision.
    """

    arm: str
    over: str
    day: int | None
    absolute: Range
    relative: Range


class Traffic(Frozen):
    """The network activity of the processes that ran the engines; every figure must be 0.

    Attributes:
        sockets_created: Sockets made by Python code.
        connections: Calls that look up a host, connect, bind or listen.
        bytes_sent: Bytes given to a socket.
        foreign_sockets: New sockets in the kernel's list for the process after a user's day, those of native code too.
        processes: How many processes were watched.
        watched: The method, in words.
    """

    sockets_created: int
    connections: int
    bytes_sent: int
    foreign_sockets: int
    processes: int
    watched: str


class Runtime(Frozen):
    """The figures of the devices' engines.

    Attributes:
        engines_opened: One a session: the app does not run in between.
        open_ms_median: The median time of `Engine.open`, which plays the bundle's golden vectors.
        events_recorded: Events in the devices' own logs.
        decisions: Calls of `Engine.rank`.
        errors: Decisions with an error code, by its name; empty = none.
        withheld: Offers that an engine suppressed and that the rule audit allows.
        rank_seconds: The total time in `Engine.rank`.
        rank_us_median: The median time of one call; half of the calls are a session's first decision.
        rank_decisions_per_s: decisions / rank_seconds.
        loop_seconds: The time of the device arm: users, engines opened and closed, rule audit.
        loop_decisions_per_s: decisions / loop_seconds.
        disk_bytes_median: The median size of a device's state folder at the end.
        disk_bytes_max: The largest size.
        disk_bytes_total: The size of all state folders.
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
    """The result of a run.

    Attributes:
        settings: The settings of the run.
        arms: The arms in the order in which they ran.
        lifts: Each arm over `base`, and `device` over `rules` and `uploaded`: all days together (day None), then each
            day.
        gap_closed: Share of the base→oracle gap that `device` closes, (device − base) / (oracle − base); None where
            the oracle is not above the base.
        cap_violations: Offers that the device arm showed against a rule; must be 0.
        uploaded_bytes: `traffic.bytes_sent`; must be 0.
        seconds: The time of each part of the run.
        versions: The versions of python, numpy, onnxruntime and edge_sdk.
        bundle_sha256: The hash of the bundle that all devices ran.
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
        """Returns the arm of this name.

        Raises:
            KeyError: There is none.
        """
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise KeyError(name)

    def lift(self, arm: str, *, over: str = "base", day: int | None = None) -> Lift:
        """Returns one lift.

        Raises:
            KeyError: There is none.
        """
        for lift in self.lifts:
            if (lift.arm, lift.over, lift.day) == (arm, over, day):
                return lift
        raise KeyError((arm, over, day))
