"""In what circumstances an operation runs: each is an assumption with a name, not a forecast of how often it holds."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

ScenarioName = Literal["typical", "half-clock", "cold", "busy", "little-core"]


class UnknownScenarioError(Exception):
    """There is no scenario of this name."""

    def __init__(self, name: str) -> None:
        near = difflib.get_close_matches(name, SCENARIOS, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}? " if near else ""
        super().__init__(f"{name}: no such scenario; {hint}there are {', '.join(SCENARIOS)}")


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is assumed besides the profile.

    Attributes:
        name: What `--scenario` takes.
        assumption: In a sentence, for everything that prints a figure of it.
        clock_fraction: Of the highest clock, (low, high).
        share: By how much longer the wall clock runs than the work, (low, high): others use the core, too.
        cold: The caches hold nothing of the app when the operation starts.
        little: The system runs the app on the slowest core.
    """

    name: ScenarioName
    assumption: str
    clock_fraction: tuple[float, float] = (1.0, 1.0)
    share: tuple[float, float] = (1.0, 1.0)
    cold: bool = False
    little: bool = False


_ALL: Final = (
    Scenario("typical", "the main core at its highest clock, caches warm from the call before, nothing else running"),
    Scenario("half-clock", "the governor or heat holds the main core at 0.4 to 0.6 of its highest clock", (0.4, 0.6)),
    Scenario(
        "cold",
        "the first rank after a wake-up: the base decision is new, every line is read from memory",
        cold=True,
    ),
    Scenario("busy", "other work takes between none and half of the core's time", share=(1.0, 2.0)),
    Scenario("little-core", "the system runs the app on the slowest core, at that core's highest clock", little=True),
)
SCENARIOS: Final[Mapping[str, Scenario]] = MappingProxyType({scenario.name: scenario for scenario in _ALL})


def find_scenarios(names: Sequence[str]) -> tuple[Scenario, ...]:
    """The scenarios of these names, `typical` always first; all of them where no name is given.

    Raises:
        UnknownScenarioError: No scenario is named so.
    """
    for name in names:
        if name not in SCENARIOS:
            raise UnknownScenarioError(name)
    return tuple(scenario for scenario in _ALL if not names or scenario.name == "typical" or scenario.name in names)
