"""The fields that the report reads from the JSON file of `device-sim estimate`; others are ignored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from pydantic import ConfigDict, Field, model_validator

from device_sim.files import Frozen, JsonFile

FORMAT: Final = 1
TYPICAL: Final = "typical"


class EstimatesFileError(Exception):
    """A file of estimates is not usable; the message names the file, the field and the fix."""


class _Shown(Frozen):
    model_config = ConfigDict(extra="ignore")


class Interval(_Shown):
    """An operation's estimated time in a scenario, in microseconds."""

    operation: str
    scenario: str
    low_us: float = Field(gt=0)
    high_us: float = Field(gt=0)

    @model_validator(mode="after")
    def _ordered(self) -> Interval:
        if self.low_us > self.high_us:
            raise ValueError(f"low_us is {self.low_us}, above high_us {self.high_us}")
        return self


class CoreEstimates(_Shown):
    """The estimates on one of a device's cores."""

    core: str
    estimates: tuple[Interval, ...]


class Profile(_Shown):
    """The device, as its profile names it."""

    name: str
    title: str
    device_class: str = Field(alias="class")


class DeviceEstimates(_Shown):
    """All estimates of a device."""

    profile: Profile
    cores: tuple[CoreEstimates, ...]

    @property
    def main_core(self) -> str:
        """The core that runs an app in use."""
        return self.cores[0].core if self.cores else "no core"

    def interval(self, operation: str, scenario: str = TYPICAL) -> Interval | None:
        """Returns one interval, if it was estimated."""
        found = (one for core in self.cores for one in core.estimates)
        return next((one for one in found if (one.operation, one.scenario) == (operation, scenario)), None)


class Scenario(_Shown):
    """The assumption of a scenario."""

    assumption: str


class Bundle(_Shown):
    """The estimated bundle."""

    name: str
    scene: str
    size_bytes: int


class Estimates(JsonFile):
    """The file, as far as the report shows it."""

    model_config = ConfigDict(extra="ignore")
    file_error: ClassVar = EstimatesFileError
    file_fix: ClassVar = "give a file that `device-sim estimate --json` wrote, or estimate again"
    file_format: ClassVar = FORMAT

    format: int
    caution: str
    remarks: tuple[str, ...]
    bundle: Bundle
    scenarios: Mapping[str, Scenario]
    devices: tuple[DeviceEstimates, ...]
