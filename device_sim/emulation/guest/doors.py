"""The doors between a decision's stages: functions of `edge_sdk`, by name, that are wrapped while stages are counted.

`edge_sdk` itself carries no mark. What is behind no door is the stage `engine`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from device_sim.emulation.guest import marking

STAGES: Final = ("window", "model", "policy", "result", "engine")  # those of device_sim.counts, in their order


@dataclass(frozen=True, slots=True)
class Door:
    """A function that begins a stage; when it returns, the stage around it goes on.

    Attributes:
        stage: One of STAGES.
        module: Where the name is looked up when it is called.
        name: The function, or `Class.method`.
    """

    stage: str
    module: str
    name: str


DOORS: Final = (
    Door("window", "edge_sdk.state_folder", "take_in_bodies"),  # what was recorded since the last decision
    Door("window", "edge_sdk.deciding", "DecisionMaker._fill"),  # memory.fill_window, memory.fill_counters
    Door("model", "edge_sdk.ranker", "BoundCall.run"),
    Door("policy", "edge_sdk.deciding", "arrange"),
    Door("result", "edge_sdk.deciding", "DecisionMaker._decision"),
    Door("result", "edge_sdk.decision", "Decision._ranked"),  # what reading `decision.offers` makes
)

OWN_COST: Final = (Door("window", "device_sim.emulation.guest.doors", "Empty.call"),)  # what a door itself costs


class Empty:
    """A function that does nothing: around it, all that is counted is the loop's and the door's."""

    def call(self) -> None:
        """Nothing."""


class Passed:
    """How often each stage was begun."""

    def __init__(self) -> None:
        self.times = [0] * len(STAGES)


@contextmanager
def wrapped(doors: Sequence[Door], first_region: int) -> Iterator[Passed]:
    """While inside, each door counts for region `first_region` + the place of its stage in STAGES.

    Raises:
        LookupError: `edge_sdk` has no such door.
    """
    passed = Passed()
    former = [(*holder_of(door), door) for door in doors]
    for holder, name, function, door in former:
        setattr(holder, name, _through(function, first_region, STAGES.index(door.stage), passed))
    try:
        yield passed
    finally:
        for holder, name, function, _ in former:
            setattr(holder, name, function)


def holder_of(door: Door) -> tuple[Any, str, Callable[..., Any]]:
    """The module or class that holds the door's function, its name there, and the function.

    Raises:
        LookupError: there is none.
    """
    holder: Any = importlib.import_module(door.module)
    *path, name = door.name.split(".")
    for part in path:
        holder = getattr(holder, part, None)
    function = vars(holder).get(name) if holder is not None else None
    if not callable(function):
        raise LookupError(f"{door.module} has no {door.name}: mend the table in device_sim/emulation/guest/doors.py")
    return holder, name, function


def _through(
    function: Callable[..., Any], first_region: int, stage: int, passed: Passed
) -> Callable[..., Any]:
    times, enter, region = passed.times, marking.enter, first_region + stage

    def door(*args: Any, **keywords: Any) -> Any:
        around = marking.current
        times[stage] += 1
        enter(region)
        try:
            return function(*args, **keywords)
        finally:
            enter(around)

    return door
