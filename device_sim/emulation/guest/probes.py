"""The probes between a decision's stages: functions of `edge_sdk` that are wrapped, by name, while stages are counted.

`edge_sdk` itself contains no marks. Code outside all probed functions counts for the stage `engine`.
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
    """A function that begins a stage. When the function returns, the stage around it continues.

    Attributes:
        stage: One of STAGES.
        module: The module in which the caller looks the name up.
        name: The function, or `Class.method`.
    """

    stage: str
    module: str
    name: str

    def __str__(self) -> str:
        return f'Probe("{self.stage}", "{self.module}", "{self.name}")'


class ProbeTargetError(LookupError):
    """The runtime has no function that a row of PROBES names."""

    def __init__(self, probe: Probe) -> None:
        super().__init__(
            f"{probe.module} has no {probe.name}: fix the row {probe} of the table in "
            "device_sim/emulation/guest/probes.py, so that it names the function of edge_sdk that begins this stage"
        )


ELSEWHERE: Final = 0  # the region of everything that is not measured

# One row for each function. A decision calls each of them once, and none of them calls another.
PROBES: Final = (
    Probe(
        "window", "edge_sdk.state.memory_of_log", "ingest_bodies"
    ),  # memory ingests the events since the last decision
    Probe("window", "edge_sdk.decision.maker", "DecisionMaker.fill_inputs"),  # writes the graph's inputs
    Probe("model", "edge_sdk.model.session", "BoundInputs.run"),  # runs the graph
    Probe("policy", "edge_sdk.decision.maker", "apply_policy"),  # applies the policy to the scores
    Probe("result", "edge_sdk.decision.maker", "DecisionMaker.build_decision"),  # builds the decision
    Probe("result", "edge_sdk.decision.decision", "Decision.ranked"),  # builds `decision.offers` when it is read
)

OWN_COST: Final = (Probe("window", "device_sim.emulation.guest.probes", "Empty.call"),)  # what a probe itself costs


class Empty:
    """A function that does nothing: a count around it is the cost of the loop and of the probe."""

    def call(self) -> None:
        """Does nothing."""


class StageEntries:
    """How often each stage was begun."""

    def __init__(self) -> None:
        self.times = dict.fromkeys(STAGES, 0)


_current = ELSEWHERE  # the region that is counted for; a module's global is the cheapest place


def enter(region: int) -> None:
    """Counts for this region from here on."""
    global _current
    _current = region
    markers.enter(region)


def region_of(stage: str) -> int:
    """Returns the region that a stage is counted in."""
    return 1 + STAGES.index(stage)


@contextmanager
def wrapped(probes: Sequence[Probe]) -> Iterator[StageEntries]:
    """Wraps the probed functions within the block; each call counts for the region of its stage.

    Raises:
        ProbeTargetError: `edge_sdk` has no such function.
    """
    entries = StageEntries()
    former = [(*holder_of(probe), probe) for probe in probes]
    for holder, name, function, probe in former:
        setattr(holder, name, _through(function, probe.stage, entries))
    try:
        yield entries
    finally:
        for holder, name, function, _ in former:
            setattr(holder, name, function)


def holder_of(probe: Probe) -> tuple[Any, str, Callable[..., Any]]:
    """Returns the module or class that contains the probed function, the function's name there, and the function.

    Raises:
        ProbeTargetError: The module, the class or the function does not exist.
    """
    try:
        holder: Any = importlib.import_module(probe.module)
    except ModuleNotFoundError as error:
        raise ProbeTargetError(probe) from error
    *path, name = probe.name.split(".")
    for part in path:
        holder = getattr(holder, part, None)
    function = vars(holder).get(name) if holder is not None else None
    if not callable(function):
        raise ProbeTargetError(probe)
    return holder, name, function


def _through(function: Callable[..., Any], stage: str, entries: StageEntries) -> Callable[..., Any]:
    times, region = entries.times, region_of(stage)

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
