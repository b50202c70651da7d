"""Runs each operation in loops of N and 2N under marks.

    python -m device_sim.emulation.guest.counting_run FOLDER [stopped-clock]

FOLDER holds `plan.json` and `bundle.edge`; `loops.json` is written there: what each dump's counts are of. Of each
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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from device_sim.emulation import markers
from device_sim.emulation.guest.probes import ELSEWHERE, OWN_COST, PROBES, Probe, enter, region_of, wrapped
from device_sim.emulation.guest.stopped_clock import stop_clock
from device_sim.emulation.guest.workload import Workload, WorkloadError, read_plan
from edge_sdk.limits import PENDING_MAX

PROBE: Final = "door"  # the pseudo-operation that tells what a door itself costs
WARM_UPS: Final = 200
RECORDS: Final = 2 * PENDING_MAX  # memory takes in what was recorded each PENDING_MAX events: each loop holds it whole
STOPPED_CLOCK: Final = "stopped-clock"  # the word after FOLDER that says so
OPENINGS: Final = 1
EXPLANATIONS: Final = 32


@dataclass(frozen=True, slots=True)
class Loop:
    """What the counter wrote at every second dump; the others come before the loops.

    Attributes:
        operation: Such as `rank`.
        loop: `idle`, `plain` or `staged`.
        length: How often it went round.
        passes: How often each stage was begun, in a staged loop. The others count for the stage `engine` alone.
    """

    operation: str
    loop: str
    length: int
    passes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Measured:
    """An operation and how it is repeated."""

    name: str
    before: Callable[[], None]
    operate: Callable[[], None]
    repetitions: int
    warm_ups: int = WARM_UPS
    settle: Callable[[], None] = lambda: None
    probes: Sequence[Probe] = PROBES


def measure(measured: Measured, nothing: Callable[[], None]) -> Iterator[Loop]:
    """Run all loops of one operation."""
    once, twice = measured.repetitions, 2 * measured.repetitions
    for loop, function, probes in (
        ("idle", nothing, ()),
        ("plain", measured.operate, ()),
        ("staged", measured.operate, measured.probes),
    ):
        with wrapped(probes) as passed:  # Python's own caches must get used to the doors: they warm up too
            repeat(measured.before, function, measured.warm_ups)
            for length in (once, twice):
                measured.settle()
                begun = dict(passed.times)
                markers.dump()  # what was counted up to here is of no loop
                enter(region_of("engine"))
                repeat(measured.before, function, length)
                markers.dump()
                passes = {stage: times - begun[stage] for stage, times in passed.times.items()}
                yield Loop(measured.name, loop, length, passes)


def repeat(before: Callable[[], None], operate: Callable[[], None], count: int) -> None:
    """The loop that is counted."""
    for _ in range(count):
        before()
        operate()


def main(folder: Path) -> None:
    """Run every operation that the plan names, and say which dump is of what."""
    plan, loops = read_plan(folder), list[Loop]()
    for name in (PROBE, *plan["operations"]):
        workload = Workload(plan, folder / "bundle.edge", folder / f"state-{name}")
        if not loops:  # all libraries are loaded now
            markers.report_images()
        gc.collect()
        gc.freeze()
        gc.disable()  # when it would run depends on all that the process has allocated before
        loops += measure(_measured(name, workload, plan["repetitions"]), workload.nothing)
        gc.enable()
        workload.ask()  # what was counted were decisions to the end
        workload.close()
    (folder / "loops.json").write_text(json.dumps([asdict(loop) for loop in loops]), encoding="utf-8")


def _measured(name: str, workload: Workload, count: int) -> Measured:
    settle = workload.settle
    if name == PROBE:
        return Measured(name, workload.nothing, workload.pass_door, count, probes=OWN_COST)
    if name == "record":
        return Measured(name, workload.advance, workload.record, RECORDS, settle=settle)
    if name == "open_close":  # closing cannot be told apart from what goes before the next opening
        return Measured(name, workload.close, workload.open, OPENINGS, warm_ups=1)
    if name == "explain":
        before = _apart(workload.go_on_and_rank, is_cold=False)
        return Measured(name, before, workload.explain, min(count, EXPLANATIONS), EXPLANATIONS, settle)
    before = {
        "rank": workload.go_on,
        "rank_new_base": workload.go_on_with_new_base,
        "rank_cold": workload.go_on_forgetful,
    }[name]
    return Measured(name, _apart(before, is_cold=name == "rank_cold"), workload.rank, count, settle=settle)


def _apart(before: Callable[[], None], *, is_cold: bool) -> Callable[[], None]:
    """What goes before, counted for no stage: after the operation it finds other caches than without it."""

    def apart() -> None:
        enter(ELSEWHERE)
        before()
        enter(region_of("engine"))
        if is_cold:
            markers.empty_caches()

    return apart


if __name__ == "__main__":
    if STOPPED_CLOCK in sys.argv[2:]:
        stop_clock()
    try:
        main(Path(sys.argv[1]))
    except WorkloadError as problem:
        sys.exit(str(problem))
