"""Derives the instructions of one operation from the counts of its loops.

Each operation has three loops of N and of 2N rounds (`guest/counting_run.py`). Starting and ending a loop, and the
marks around it, cost the same in both lengths, so (counts of 2N − counts of N) / N is the count of one round:

    plain round − idle round = the operation without probes              → the totals
    staged round of a stage  = that stage, and the cost of its probes    → how the totals divide

The cost of a probe is counted on a function that does nothing. One part of the cost falls on the stage around the
probe, the other part on the stage that the probe begins. After this cost is subtracted, the stages add up to the total,
except for what the wrapping changes otherwise; `StageSplit.left_over` is that difference. Totals are divided in the
proportions of the stages, class by class.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from device_sim.counts.counts import IMAGES, INSTRUCTION_CLASSES, STAGES, Counts, Image, Operation, Part, Stage
from device_sim.emulation.errors import EmulationError

F64 = npt.NDArray[np.float64]

LEVELS: Final = ("l1i_misses", "l1d_misses", "l2_misses", "l3_misses")
_CLASSES: Final = len(INSTRUCTION_CLASSES)
_DIGITS: Final = 3  # N rounds give no more
_ENGINE: Final = STAGES.index("engine")
_BEHIND: Final[Stage] = "window"  # the stage that the empty probe of the pseudo-operation begins
PROBE_COST: Final = "probe"  # the pseudo-operation, as guest/counting_run.py names it


class MissingLoopError(EmulationError):
    """The guest's list of loops does not fit the plugin's dumps."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the count of {what} is missing; run it again, and look whether the disk is full")


@dataclass(frozen=True, slots=True, eq=False)
class Loop:
    """One loop's counts.

    Attributes:
        operation: Such as `rank`.
        loop: `idle`, `plain` or `staged`.
        length: How many rounds.
        entries: How often each stage was begun by a probe.
        counts: (stages, images, classes and levels): STAGES, IMAGES, INSTRUCTION_CLASSES and LEVELS; a level that was
            not simulated is NaN. The other loops have all their counts in the stage `engine`.
    """

    operation: str
    loop: str
    length: int
    entries: Mapping[str, int]
    counts: F64


@dataclass(frozen=True, slots=True, eq=False)
class StageSplit:
    """The counts of one operation, divided by stage.

    Attributes:
        operation: The counts by stage and image.
        repetitions: N.
        left_over: (sum of the stages − total) / total in instructions, before the total was divided.
    """

    operation: Operation
    repetitions: int
    left_over: float


def tally(counts: Mapping[Image, Counts]) -> F64:
    """Returns counts by image as a table, (images, classes and levels)."""
    table = np.zeros((len(IMAGES), _CLASSES + len(LEVELS)))
    for row, image in zip(table, IMAGES, strict=True):
        found = counts.get(image, Counts(mix={}))
        row[:_CLASSES] = [found.mix.get(name, 0.0) for name in INSTRUCTION_CLASSES]
        row[_CLASSES:] = [getattr(found, level) or 0.0 for level in LEVELS]
    for column, level in enumerate(LEVELS, _CLASSES):
        if counts and all(getattr(found, level) is None for found in counts.values()):
            table[:, column] = np.nan
    return table


def split(loops: Sequence[Loop]) -> dict[str, StageSplit]:
    """Returns each operation's counts.

    Raises:
        MissingLoopError: A loop was not counted in both lengths.
    """
    names = dict.fromkeys(loop.operation for loop in loops if loop.operation != PROBE_COST)
    probe = _ProbeCost.of(loops)
    return {name: _split(loops, name, probe) for name in names}


@dataclass(frozen=True, slots=True, eq=False)
class _ProbeCost:
    """The cost of one probe on the stage around it and on the stage it begins, (images, classes and levels)."""

    around: F64
    behind: F64

    @classmethod
    def of(cls, loops: Sequence[Loop]) -> _ProbeCost:
        plain, staged = (_Round.of(loops, PROBE_COST, loop) for loop in ("plain", "staged"))
        around = staged.counts[_ENGINE] - plain.counts[_ENGINE]
        return cls(around, staged.counts[STAGES.index(_BEHIND)])


@dataclass(frozen=True, slots=True, eq=False)
class _Round:
    """The counts of one round of a loop."""

    counts: F64
    entries: Mapping[str, float]
    repetitions: int

    @classmethod
    def of(cls, loops: Sequence[Loop], operation: str, name: str) -> _Round:
        found = sorted((loop for loop in loops if (loop.operation, loop.loop) == (operation, name)), key=_length)
        if len(found) != 2 or found[1].length != 2 * found[0].length or not found[0].length:
            raise MissingLoopError(f"{operation}, {name} loop")
        once, twice = found
        names: tuple[str, ...] = STAGES
        entries = {stage: (twice.entries[stage] - once.entries[stage]) / once.length for stage in names}
        return cls((twice.counts - once.counts) / once.length, entries, once.length)


def _length(loop: Loop) -> int:
    return loop.length


def _split(loops: Sequence[Loop], name: str, probe: _ProbeCost) -> StageSplit:
    idle, plain, staged = (_Round.of(loops, name, loop) for loop in ("idle", "plain", "staged"))
    total = plain.counts[_ENGINE] - idle.counts[_ENGINE]
    stages = staged.counts.copy()
    stages[_ENGINE] -= idle.counts[_ENGINE]
    for index, stage in enumerate(STAGES):
        stages[index] -= staged.entries[stage] * probe.behind
        stages[_ENGINE] -= staged.entries[stage] * probe.around
    instructions = total[:, :_CLASSES].sum()
    left_over = (stages[:, :, :_CLASSES].sum() - instructions) / instructions
    return StageSplit(_operation(_divided(total, stages)), plain.repetitions, float(left_over))


def _divided(total: F64, stages: F64) -> F64:
    """Divides the total in the proportions of the stages; cells that no stage has go to the engine."""
    # Cells of a few instructions or misses may come out below 0, such as a miss less with the operation than without.
    total, stages = np.maximum(total, 0.0), np.maximum(stages, 0.0)
    whole = stages.sum(axis=0)
    is_empty = whole == 0
    stages[_ENGINE][is_empty] = 1.0
    divided: F64 = total * stages / np.where(is_empty, 1.0, whole)
    return divided


def _operation(table: F64) -> Operation:
    return Operation(
        parts=tuple(
            Part(stage=stage, image=image, counts=_counts(row))
            for stage, of_stage in zip(STAGES, table, strict=True)
            for image, row in zip(IMAGES, of_stage, strict=True)
            if np.nansum(row) > 0
        )
    )


def _counts(row: F64) -> Counts:
    mix = {name: round(float(value), _DIGITS) for name, value in zip(INSTRUCTION_CLASSES, row, strict=False) if value}
    misses = [None if np.isnan(value) else round(float(value), _DIGITS) for value in row[_CLASSES:]]
    return Counts(mix=mix, **dict(zip(LEVELS, misses, strict=True)))
