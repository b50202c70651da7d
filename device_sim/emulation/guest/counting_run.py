"""Runs each operation in loops of N and 2N rounds, under marks that the instruction counter sees.

    python -m device_sim.emulation.guest.counting_run FOLDER [stopped-clock]

FOLDER holds `plan.json` and `bundle.edge`; the program writes `loops.json` there, which says what
each dump counted. Each operation has three loops, each in both lengths:

| loop | each round |
|---|---|
| idle | the preparation of the operation, and a function that does nothing |
| plain | the preparation, and the operation |
| staged | the same with probes: a region for each stage |
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

PROBE_COST: Final = "probe"  # the pseudo-operation that measures what a probe itself costs
WARM_UPS: Final = 200
RECORDS: Final = 2 * PENDING_MAX  # memory takes in events in batches of PENDING_MAX: a loop has whole batches
STOPPED_CLOCK: Final = "stopped-clock"  # the word after FOLDER that stops the clock
OPENINGS: Final = 1
EXPLANATIONS: Final = 32


@dataclass(frozen=True, slots=True)
class Loop:
    """What one dump of the counter belongs to. Only every second dump belongs to a loop.

    Attributes:
        operation: Such as `rank`.
        loop: `idle`, `plain` or `staged`.
        length: How many rounds.
        entries: How often each stage was begun, in a staged loop. The other loops count for the stage `engine` only.
    """

    operation: str
    loop: str
    length: int
    entries: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Measured:
    """An operation, its preparation, and how often they are repeated."""

    name: str
    before: Callable[[], None]
    operate: Callable[[], None]
    repetitions: int
    warm_ups: int = WARM_UPS
    settle: Callable[[], None] = lambda: None
    probes: Sequence[Probe] = PROBES


def measure(measured: Measured, nothing: Callable[[], None]) -> Iterator[Loop]:
    """Runs all loops of one operation."""
    once, twice = measured.repetitions, 2 * measured.repetitions
    for loop, function, probes in (
        ("idle", nothing, ()),
        ("plain", measured.operate, ()),
        ("staged", measured.operate, measured.probes),
    ):
        with wrapped(probes) as entered:  # before the warm-up: the interpreter specialises the wrapped calls
            repeat(measured.before, function, measured.warm_ups)
            for length in (once, twice):
                measured.settle()
                before = dict(entered.times)
                markers.dump()  # the counts up to here belong to no loop
                enter(region_of("engine"))
                repeat(measured.before, function, length)
                markers.dump()
                entries = {stage: times - before[stage] for stage, times in entered.times.items()}
                yield Loop(measured.name, loop, length, entries)


def repeat(before: Callable[[], None], operate: Callable[[], None], count: int) -> None:
    """Runs the loop that is counted."""
    for _ in range(count):
        before()
        operate()


def main(folder: Path) -> None:
    """Runs every operation that the plan names, and writes which dump belongs to which loop."""
    plan, loops = read_plan(folder), list[Loop]()
    for name in (PROBE_COST, *plan["operations"]):
        workload = Workload(plan, folder / "bundle.edge", folder / f"state-{name}")
        if not loops:  # all libraries are loaded now
            markers.report_images()
        gc.collect()
        gc.freeze()
        gc.disable()  # the moment of a collection depends on everything that the process allocated before
        loops += measure(_measured(name, workload, plan["repetitions"]), workload.nothing)
        gc.enable()
        workload.ask()  # raises if the decisions had become unusable
        workload.close()
    (folder / "loops.json").write_text(json.dumps([asdict(loop) for loop in loops]), encoding="utf-8")


def _measured(name: str, workload: Workload, count: int) -> Measured:
    settle = workload.settle
    if name == PROBE_COST:
        return Measured(name, workload.nothing, workload.call_empty, count, probes=OWN_COST)
    if name == "record":
        return Measured(name, workload.advance, workload.record, RECORDS, settle=settle)
    if name == "open_close":  # closing is the preparation of the next opening
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
    """Returns a preparation that is counted for no stage: it would meet other caches after an operation than alone."""

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
