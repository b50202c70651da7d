"""Runs each operation in loops of N and 2N under marks: `python -m device_sim.emulation.guest.counting_run FOLDER`.

FOLDER holds `plan.json` and `bundle.edge`; `regions.json` is written there: what each region's counts are of. Of each
operation there are three loops, each in both lengths:

| loop | what is repeated |
|---|---|
| idle | what goes before the operation, and a function that does nothing |
| plain | what goes before, and the operation |
| staged | the same with wrapped doors: a region for each stage |
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from device_sim.emulation.guest.doors import DOORS, OWN_COST, STAGES, Door, wrapped
from device_sim.emulation.guest.marking import ELSEWHERE, enter
from device_sim.emulation.guest.workload import Plan, Workload, WorkloadError, read_plan
from edge_sdk.config import PENDING_MAX

DOOR: Final = "door"  # the pseudo-operation that tells what a door itself costs
WARM_UPS: Final = 200
RECORDS: Final = 2 * PENDING_MAX  # memory takes in what was recorded each PENDING_MAX events: each loop holds it whole
OPENINGS: Final = 2


@dataclass(frozen=True, slots=True)
class Region:
    """What a region's counts are of."""

    region: int
    operation: str
    loop: str
    length: int  # how often the loop ran
    stage: str  # of a staged loop; else empty


@dataclass(frozen=True, slots=True)
class Measured:
    """An operation and how it is repeated."""

    name: str
    before: Callable[[], None]
    operate: Callable[[], None]
    repetitions: int
    warm_ups: int = WARM_UPS
    settle: Callable[[], None] = lambda: None
    doors: Sequence[Door] = DOORS


@dataclass(slots=True)
class Recorder:
    """Gives out regions and remembers what they are of."""

    regions: list[Region] = field(default_factory=list)
    passes: dict[str, dict[int, dict[str, int]]] = field(default_factory=dict)  # operation, length, stage: times begun

    def measure(self, measured: Measured, nothing: Callable[[], None]) -> None:
        """All loops of one operation."""
        self._loops(measured, "idle", nothing)
        self._loops(measured, "plain", measured.operate)
        by_length = self.passes[measured.name] = {}
        first = len(self.regions) + 1
        with wrapped(measured.doors, first):  # Python's own caches must get used to the doors
            repeat(measured.before, measured.operate, measured.warm_ups)
        for length in (measured.repetitions, 2 * measured.repetitions):
            measured.settle()
            first = len(self.regions) + 1
            for stage in STAGES:
                self._next(measured.name, "staged", length, stage)
            with wrapped(measured.doors, first) as passed:
                enter(first + STAGES.index("engine"))
                repeat(measured.before, measured.operate, length)
                enter(ELSEWHERE)
            by_length[length] = dict(zip(STAGES, passed.times, strict=True))

    def _loops(self, measured: Measured, loop: str, function: Callable[[], None]) -> None:
        repeat(measured.before, function, measured.warm_ups)
        for length in (measured.repetitions, 2 * measured.repetitions):
            measured.settle()
            enter(self._next(measured.name, loop, length))
            repeat(measured.before, function, length)
            enter(ELSEWHERE)

    def _next(self, operation: str, loop: str, length: int, stage: str = "") -> int:
        region = len(self.regions) + 1
        self.regions.append(Region(region, operation, loop, length, stage))
        return region


def repeat(before: Callable[[], None], operate: Callable[[], None], count: int) -> None:
    """The loop that is counted."""
    for _ in range(count):
        before()
        operate()


def main(folder: Path) -> None:
    """Run every operation that the plan names, and say which region is what."""
    plan, recorder = read_plan(folder), Recorder()
    for name in (DOOR, *plan["operations"]):
        workload = Workload(plan, folder / "bundle.edge", folder / f"state-{name}")
        workload.ask()
        gc.collect()
        gc.freeze()
        gc.disable()  # when it would run depends on all that the process has allocated before
        recorder.measure(_measured(name, workload, plan), workload.nothing)
        gc.enable()
        if name != "open_close":
            workload.ask()  # what was counted were decisions to the end
        workload.close()
    result = {"regions": [asdict(region) for region in recorder.regions], "passes": recorder.passes}
    (folder / "regions.json").write_text(json.dumps(result), encoding="utf-8")


def _measured(name: str, workload: Workload, plan: Plan) -> Measured:
    count, settle = plan["repetitions"], workload.settle
    if name == DOOR:
        return Measured(name, workload.nothing, workload.pass_door, count, doors=OWN_COST)
    if name == "record":
        return Measured(name, workload.advance, workload.record, RECORDS, settle=settle)
    if name == "open_close":
        return Measured(name, workload.close, workload.open, OPENINGS, warm_ups=1)
    before, operate = {
        "rank": (workload.go_on, workload.rank),
        "rank_new_base": (workload.go_on_with_new_base, workload.rank),
        "rank_cold": (workload.go_on_cold, workload.rank),
        "explain": (workload.go_on_and_rank, workload.explain),
    }[name]
    return Measured(name, before, operate, count, settle=settle)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except WorkloadError as problem:
        sys.exit(str(problem))
