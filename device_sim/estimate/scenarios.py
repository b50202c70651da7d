"""The scenarios of an estimate: assumptions with a name, not forecasts of how often they are true."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

ScenarioName = Literal["typical", "half-clock", "cold", "busy", "little-core"]


class UnknownScenarioError(Exception):
    """No scenario has this name."""

    def __init__(self, name: str) -> None:
        near = difflib.get_close_matches(name, SCENARIOS, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]}? " if near else ""
        super().__init__(f"{name}: no such scenario; {hint}there are {', '.join(SCENARIOS)}")


@dataclass(frozen=True, slots=True)
class Scenario:
    """The assumptions besides the profile.

    Attributes:
        name: The name for `--scenario`.
        assumption: The assumption as a sentence, printed with every figure.
        clock_fraction: The clock as a fraction of the highest clock, (low, high).
        share: Elapsed time / processor time, (low, high): other work uses the core, too.
        cold: Whether the caches are empty when the operation starts.
        little: Whether the system runs the app on the slowest core.
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
    """Returns the scenarios of these names, `typical` always first; all of them where no name is given.

    Raises:
        UnknownScenarioError: No scenario has this name.
    """
    for name in names:
        if name not in SCENARIOS:
            raise UnknownScenarioError(name)
    return tuple(scenario for scenario in _ALL if not names or scenario.name == "typical" or scenario.name in names)
