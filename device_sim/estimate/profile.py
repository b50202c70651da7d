"""The device profiles: the core that runs the app, its clock, caches and memory, each figure with its source.

`device_sim/profiles/*.toml` are the shipped ones; a user may give a file of their own in the same form.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, get_args

from pydantic import ConfigDict, Field, ValidationError, model_validator

from device_sim.cores import COUNTS_CORE, SAME_CORE
from device_sim.files import Frozen

SHIPPED: Final = Path(__file__).parents[1] / "profiles"

DeviceClass = Literal["box", "entry", "mid-range", "flagship"]
CLASSES: Final[tuple[DeviceClass, ...]] = get_args(DeviceClass)
CORES: Final = (*COUNTS_CORE, *SAME_CORE)

_SOURCE_CHARACTERS: Final = 12  # a shorter text is no source
_CLOCK_GHZ: Final = (0.1, 6.0)
_MEMORY_NS: Final = (10.0, 1000.0)


class ProfileError(Exception):
    """A profile is not usable or missing; the message ends with the fix."""


class UnknownDeviceError(ProfileError):
    """No shipped profile has this name."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        super().__init__(f"{name}: no such device; {hint}`device-sim estimate --list` shows all, a file.toml is yours")


class ProfileFileError(ProfileError):
    """A profile file is wrong; names the file, the field and the fix."""

    def __init__(self, file: Path, field: str, reason: str, fix: str) -> None:
        super().__init__(f"{file}: {field}: {reason}; {fix}")


class Figure(Frozen):
    """A figure with its source: `value`, or `low` and `high` where only a range is known."""

    low: float = Field(gt=0)
    high: float = Field(gt=0)
    source: str = Field(min_length=_SOURCE_CHARACTERS)

    @model_validator(mode="before")
    @classmethod
    def _value_is_both(cls, given: Any) -> Any:  # pydantic hands over whatever the file holds
        if isinstance(given, Mapping) and "value" in given and not {"low", "high"} & set(given):
            rest = {name: entry for name, entry in given.items() if name != "value"}
            return {**rest, "low": given["value"], "high": given["value"]}
        return given

    @model_validator(mode="after")
    def _ordered(self) -> Figure:
        if self.low > self.high:
            raise ValueError(f"low is {self.low}, high is {self.high}: the lower one comes first")
        return self

    def __str__(self) -> str:
        exact = self.low == self.high  # a range is known to two or three digits, a maker's figure to all
        return f"{self.low:g}" if exact else f"{self.low:.3g}–{self.high:.3g}"


class Name(Frozen):
    """A name with its source."""

    value: str
    source: str = Field(min_length=_SOURCE_CHARACTERS)


class Core(Frozen):
    """One kind of core of a device.

    Attributes:
        core: Arm's name of it, such as `cortex-a55`; one of CORES.
        clock_ghz: The highest clock the maker allows.
        l1i_kib: First instruction cache of one core; likewise data; then what the core has to itself or shares.
        l3_kib: None = there is none.
        memory_ns: Latency of a random read that no cache holds.
        scalar_ipc: Instructions per cycle of interpreted code, if known better than for the core in general.
    """

    core: Name
    clock_ghz: Figure
    l1i_kib: Figure
    l1d_kib: Figure
    l2_kib: Figure
    l3_kib: Figure | None = None
    memory_ns: Figure
    scalar_ipc: Figure | None = None

    @model_validator(mode="after")
    def _plausible(self) -> Core:
        if self.core.value not in CORES:
            near = difflib.get_close_matches(self.core.value, CORES, n=3)
            raise ValueError(f"core {self.core.value} is not known: {' or '.join(near or CORES)}")
        _within("clock_ghz", self.clock_ghz, _CLOCK_GHZ, "GHz")
        _within("memory_ns", self.memory_ns, _MEMORY_NS, "ns")
        return self

    @property
    def name(self) -> str:
        """Arm's name of the core, without the letters of variants that run code alike (AE, C)."""
        return SAME_CORE.get(self.core.value, self.core.value)


class Profile(Frozen):
    """One device.

    Attributes:
        name: The name for `--device`; the file's name without `.toml`.
        title: The device's usual name.
        device_class: `class` in the file: one of CLASSES.
        main: The core that an app in use runs on: the fastest.
        little: The slowest, where the system may put background work; None = all are alike.
    """

    model_config = ConfigDict(populate_by_name=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    title: str = Field(min_length=3)
    description: str = Field(min_length=20)
    device_class: DeviceClass = Field(alias="class")
    main: Core
    little: Core | None = None


def profile_names(folder: Path = SHIPPED) -> tuple[str, ...]:
    """Returns the names of the shipped profiles, sorted."""
    return tuple(sorted(file.stem for file in folder.glob("*.toml")))


def shipped_profiles() -> tuple[Profile, ...]:
    """Returns the shipped profiles, from the cheapest class to the dearest, then by name."""
    profiles = [read_profile(SHIPPED / f"{name}.toml") for name in profile_names()]
    return tuple(sorted(profiles, key=lambda profile: (CLASSES.index(profile.device_class), profile.name)))


def find_profiles(devices: Sequence[str]) -> tuple[Profile, ...]:
    """Returns the profiles that `--device` names, in that order, each once.

    Args:
        devices: Names of shipped profiles, paths of files that end in `.toml`, or `all`.

    Raises:
        UnknownDeviceError: No shipped profile has this name.
        ProfileFileError: A file is not usable.
    """
    found: dict[str, Profile] = {}
    for device in devices:
        for profile in shipped_profiles() if device == "all" else (_find(device),):
            found.setdefault(profile.name, profile)
    return tuple(found.values())


def read_profile(file: Path) -> Profile:
    """Reads and checks a profile file.

    Raises:
        ProfileFileError: It is not readable, not TOML, or a field is wrong.
    """
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
        profile = Profile.model_validate(table)
    except OSError as error:
        fix = "give a readable file, or a name that `device-sim estimate --list` shows"
        raise ProfileFileError(file, "the file", error.strerror or "not readable", fix) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ProfileFileError(file, "the file", f"it is not TOML: {error}", "fix that line") from error
    except ValidationError as error:
        raise _field_error(file, error) from error
    if profile.name != file.stem:
        raise ProfileFileError(file, "name", f"{profile.name} in a file named {file.stem}", "make the two agree")
    return profile


def _find(device: str) -> Profile:
    if device.endswith(".toml"):
        return read_profile(Path(device))
    known = profile_names()
    if device not in known:
        raise UnknownDeviceError(device, known)
    return read_profile(SHIPPED / f"{device}.toml")


def _field_error(file: Path, error: ValidationError) -> ProfileFileError:
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"]) or "the file"
    reason = first["msg"].removeprefix("Value error, ")
    fix = 'a figure is { value = …, source = "…" } or { low = …, high = …, source = "…" }; see docs/device_sim.md'
    return ProfileFileError(file, field, reason[0].lower() + reason[1:], fix)


def _within(field: str, figure: Figure, limits: tuple[float, float], unit: str) -> None:
    if figure.low < limits[0] or figure.high > limits[1]:
        raise ValueError(f"{field} is {figure} {unit}: plausible is {limits[0]:g} to {limits[1]:g}")
