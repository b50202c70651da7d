"""Checks the settings of a fleet before any work."""

from __future__ import annotations

from datetime import date
from typing import Final

from device_sim.fleet.result import Settings

DEVICES_MAX: Final = 20_000  # each has a state folder of 100 KiB and some seconds of work
DAYS_MAX: Final = 60
PANEL_USERS_MAX: Final = 20_000
PANEL_DAYS_MAX: Final = 60
SEED_MAX: Final = 2**32 - 1
START: Final = date(2026, 1, 5)


class FleetSettingsError(ValueError):
    """A number is out of range; the message names the option and the range."""

    def __init__(self, name: str, value: int, low: int, high: int) -> None:
        super().__init__(f"--{name.replace('_', '-')} is {value}: give a number from {low} to {high}")


def checked_settings(*, devices: int, days: int, seed: int, panel_users: int, panel_days: int) -> Settings:
    """Returns the checked settings.

    Raises:
        FleetSettingsError: A number is out of range.
    """
    given = {"devices": devices, "days": days, "seed": seed, "panel_users": panel_users, "panel_days": panel_days}
    bounds = {
        "devices": (1, DEVICES_MAX),
        "days": (1, DAYS_MAX),
        "seed": (0, SEED_MAX),
        "panel_users": (20, PANEL_USERS_MAX),
        "panel_days": (3, PANEL_DAYS_MAX),  # two to learn from, one to check the graphs on
    }
    for name, value in given.items():
        low, high = bounds[name]
        if not low <= value <= high:
            raise FleetSettingsError(name, value, low, high)
    return Settings(**given, start=START)
