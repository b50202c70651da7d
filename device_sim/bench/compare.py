"""Compares a bench with an earlier one. Counts and sizes decide; times decide only on request.

Times on a shared machine vary by themselves, so they are only printed by default. Counts and sizes do not vary: a
difference of half a percent is a change in the program.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from device_sim.bench.bench_types import TIMED, Bench
from device_sim.counts.counts import BundleCounts

TOLERANCE: Final = 0.005
Outcome = Literal["same", "rose", "fell", "shown"]  # shown: the figure decides nothing
NO_COUNTS: Final = (
    "NO COUNTS WERE COMPARED: neither file holds any; give --counts FILE (of `device-sim count`) each time"
)


class NotComparableError(Exception):
    """The two files measure different things; the message names the difference and the fix."""

    def __init__(self, field: str, old: object, new: object, fix: str) -> None:
        self.field = field
        super().__init__(f"not comparable: {field} was {old} and is {new}; {fix}")


@dataclass(frozen=True, slots=True)
class Line:
    """One figure in the old and in the new file.

    Attributes:
        name: Such as `counts cortex-a55 rank`.
        unit: The unit of both figures.
        tolerance: The change that passes, as a share of the old figure; None = the figure decides nothing.
    """

    name: str
    old: float
    new: float
    unit: str
    tolerance: float | None

    @property
    def change(self) -> float:
        """The change as a share of the old figure."""
        return self.new / self.old - 1 if self.old else float(self.new > 0)

    @property
    def outcome(self) -> Outcome:
        """The meaning of the change."""
        if self.tolerance is None:
            return "shown"
        allowed = abs(self.old) * self.tolerance
        if self.new > self.old + allowed:
            return "rose"
        return "fell" if self.new < self.old - allowed else "same"


@dataclass(frozen=True, slots=True)
class Comparison:
    """All figures of both files, and notes for the reader."""

    lines: tuple[Line, ...]
    notes: tuple[str, ...]

    @property
    def regressions(self) -> tuple[Line, ...]:
        """The figures that fail the comparison."""
        return tuple(line for line in self.lines if line.outcome == "rose")


def compare(old: Bench, new: Bench, *, tolerance: float = TOLERANCE, time_tolerance: float | None = None) -> Comparison:
    """Compares two benches.

    Two bundles of one scene and shape are comparable although their bytes differ: the comparison is meant to find a
    larger or slower export. A note tells that they differ.

    Args:
        old: The baseline.
        new: The new measurement.
        tolerance: The allowed growth of a count or a size, as a share.
        time_tolerance: The same for times; None = times cause no failure.

    Raises:
        NotComparableError: Another scene or shape of bundle, another core, another workload, or counts missing now.
    """
    _check_workloads(old, new, times=time_tolerance is not None)
    lines = [
        *compared_counts(old.counts, new.counts, tolerance),
        Line("bundle", old.bundle.size_bytes, new.bundle.size_bytes, "bytes", tolerance),
        Line("state folder", old.memory.state_bytes, new.memory.state_bytes, "bytes", tolerance),
        *_times(old, new, time_tolerance),
        Line("memory beyond bare imports", old.memory.extra_bytes, new.memory.extra_bytes, "bytes", None),
    ]
    return Comparison(tuple(lines), tuple(_notes(old, new, lines)))


def compared_counts(
    old: Mapping[str, BundleCounts], new: Mapping[str, BundleCounts], tolerance: float = TOLERANCE
) -> Iterator[Line]:
    """Yields the instructions of each operation on each core of the baseline, in the order of `old`.

    Args:
        old: The baseline, by core.
        new: The new counts, by core.
        tolerance: The allowed growth of a count, as a share.

    Raises:
        NotComparableError: Another workload, or counts missing now.
    """
    if not old:
        return
    cores = "the counted core"
    for core, then in old.items():
        if core not in new:
            found = ", ".join(sorted(new)) or "not counted"
            raise NotComparableError(cores, core, found, f"give --counts FILE with the counts of {core}")
        now = new[core]
        for field in ("scene", "items", "candidates", "window"):
            fix = "count with the same workload, or renew the baseline"
            _same(f"{core}: the counted {field}", getattr(then, field), getattr(now, field), fix)
        for operation, counted in then.operations.items():
            if operation not in now.operations:
                raise NotComparableError(f"{core}: {operation}", "counted", "missing", "count all operations again")
            before, after = counted.total().instructions, now.operations[operation].total().instructions
            if not before or not after:  # a failed count must not look like a fast program
                fix = "no operation takes none: count again"
                raise NotComparableError(f"{core}: instructions of {operation}", before, after, fix)
            yield Line(f"counts {core} {operation}", before, after, "instructions", tolerance)


def changed_versions(old: Mapping[str, str], new: Mapping[str, str]) -> str:
    """Returns the differences, such as `numpy 2.4.6 → 2.5.0`; empty = nothing."""
    names = [name for name in (*old, *(name for name in new if name not in old)) if old.get(name) != new.get(name)]
    return ", ".join(f"{name} {old.get(name, 'none')} → {new.get(name, 'none')}" for name in names)


# ---- below: helpers ----


def _check_workloads(old: Bench, new: Bench, *, times: bool) -> None:
    again = "measure the old state again with this bundle and this program"
    for field in ("scene", "items", "offers", "window"):
        _same(f"the bundle's {field}", getattr(old.bundle, field), getattr(new.bundle, field), again)
    for field in ("id", "candidates"):
        _same(f"the workload's {field}", getattr(old.workload, field), getattr(new.workload, field), again)
    if times:
        fix = "compare times on one machine, or leave out --time-tolerance"
        _same("the machine", old.machine.processor, new.machine.processor, fix)
        _same("its number of CPUs", old.machine.cpus, new.machine.cpus, fix)


def _same(field: str, old: object, new: object, fix: str) -> None:
    if old != new:
        raise NotComparableError(field, old, new, fix)


def _times(old: Bench, new: Bench, tolerance: float | None) -> Iterator[Line]:
    for operation in TIMED:
        then, now = old.latency("quiet", operation), new.latency("quiet", operation)
        if then is not None and now is not None:
            for name in ("p50", "p95", "p99"):
                before, after = getattr(then, f"{name}_us"), getattr(now, f"{name}_us")
                yield Line(f"{operation} {name}", before, after, "µs", tolerance)
    yield Line("cold start", old.cold_start.total_ms.median, new.cold_start.total_ms.median, "ms", tolerance)


def _notes(old: Bench, new: Bench, lines: list[Line]) -> Iterator[str]:
    if not old.counts:
        yield (
            NO_COUNTS
            if not new.counts
            else ("NO COUNTS WERE COMPARED: the old file holds none, the new one does: renew the baseline")
        )
    elif added := sorted(set(new.counts) - set(old.counts)):
        yield f"not in the old file, so not compared: counts of {', '.join(added)}"
    if fell := [line.name for line in lines if line.outcome == "fell"]:
        yield f"lower than the baseline beyond the tolerance: {', '.join(fell)}: renew the baseline"
    if old.bundle.sha256 != new.bundle.sha256:
        yield "the bundle's bytes differ: what changed may be the export, the training or the runtime"
    for core in sorted(set(old.counts) & set(new.counts)):
        if changed := changed_versions(old.counts[core].versions, new.counts[core].versions):
            yield f"counted with other versions on {core}: {changed}"
    if changed := changed_versions(_machine(old), _machine(new)):
        yield f"measured on another machine: {changed}"


def _machine(bench: Bench) -> dict[str, str]:
    machine = bench.machine
    return {"processor": machine.processor, "CPUs": str(machine.cpus), "system": machine.system, **machine.versions}
