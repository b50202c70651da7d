"""The doors between a decision's stages: functions of `edge_sdk`, by name, that are wrapped while stages are counted.

`edge_sdk` itself carries no mark. What is behind no door is the stage `engine`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from device_sim.emulation import markers

STAGES: Final = ("window", "model", "policy", "result", "engine")  # those of device_sim.counts, in their order


@dataclass(frozen=True, slots=True)
class Probe:
    """A function that begins a stage; when it returns, the stage around it goes on.

    Attributes:
        stage: One of STAGES.
        module: Where the name is looked up when it is called.
        name: The function, or `Class.method`.
    """

    stage: str
    module: str
    name: str


ELSEWHERE: Final = 0  # the region of all that is not measured

PROBES: Final = (
    Probe("window", "edge_sdk.state.folder", "ingest_bodies"),  # what was recorded since the last decision
    Probe("window", "edge_sdk.decision.maker", "DecisionMaker._fill"),  # what the graph reads
    Probe("model", "edge_sdk.model.session", "BoundInputs.run"),
    Probe("policy", "edge_sdk.decision.maker", "arrange"),
    Probe("result", "edge_sdk.decision.maker", "DecisionMaker._decision"),
    Probe("result", "edge_sdk.decision.decision", "Decision._ranked"),  # what reading `decision.offers` makes
)

OWN_COST: Final = (Probe("window", "device_sim.emulation.guest.probes", "Empty.call"),)  # what a door itself costs


class Empty:
    """A function that does nothing: around it, all that is counted is the loop's and the door's."""

    def call(self) -> None:
        """Nothing."""


class Passed:
    """How often each stage was begun."""

    def __init__(self) -> None:
        self.times = dict.fromkeys(STAGES, 0)


_current = ELSEWHERE  # the region that is counted for; a module's global is the cheapest place


def enter(region: int) -> None:
    """Count for this region from here on."""
    global _current
    _current = region
    markers.enter(region)


def region_of(stage: str) -> int:
    """The region that a stage is counted in."""
    return 1 + STAGES.index(stage)


@contextmanager
def wrapped(probes: Sequence[Probe]) -> Iterator[Passed]:
    """While inside, what is behind each door counts for the region of its stage.

    Raises:
        LookupError: `edge_sdk` has no such door.
    """
    passed = Passed()
    former = [(*holder_of(probe), probe) for probe in probes]
    for holder, name, function, probe in former:
        setattr(holder, name, _through(function, probe.stage, passed))
    try:
        yield passed
    finally:
        for holder, name, function, _ in former:
            setattr(holder, name, function)


def holder_of(probe: Probe) -> tuple[Any, str, Callable[..., Any]]:
    """The module or class that holds the door's function, its name there, and the function.

    Raises:
        LookupError: there is none.
    """
    holder: Any = importlib.import_module(probe.module)
    *path, name = probe.name.split(".")
    for part in path:
        holder = getattr(holder, part, None)
    function = vars(holder).get(name) if holder is not None else None
    if not callable(function):
        raise LookupError(f"{probe.module} has no {probe.name}: fix the table in device_sim/emulation/guest/probes.py")
    return holder, name, function


def _through(function: Callable[..., Any], stage: str, passed: Passed) -> Callable[..., Any]:
    times, region = passed.times, region_of(stage)

    def probe(*args: Any, **keywords: Any) -> Any:
        around = _current
        if around == ELSEWHERE:  # before an operation, or between the loops
            return function(*args, **keywords)
        times[stage] += 1
        enter(region)
        try:
            return function(*args, **keywords)
        finally:
            enter(around)

    return probe
