"""Names the operations that take more instructions than the committed baseline, by stage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from device_sim.bench.compare import Line, changed_versions, compared_counts
from device_sim.counts.counts import STAGES, BundleCounts
from tests.support.paths import GOLDEN

BASELINE: Final = GOLDEN / "instructions.json"
RENEW: Final = f"run `make instructions` and commit {Path(*BASELINE.parts[-3:])}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict of the gate.

    Attributes:
        lines: An operation a line, and what else a reader has to know.
        risen: Of each operation that takes too many instructions now: by how much, in which stages, and the fix.
    """

    lines: tuple[str, ...]
    risen: tuple[str, ...]


def other_versions(baseline: BundleCounts, now: BundleCounts) -> str:
    """Which versions differ of what is not this repository's: their code takes instructions too; empty = none."""
    ours = {"edge_sdk"}
    then, found = ({name: of for name, of in one.versions.items() if name not in ours} for one in (baseline, now))
    return changed_versions(then, found)


def judged(baseline: BundleCounts, now: BundleCounts) -> Verdict:
    """Set a count beside the baseline.

    Raises:
        NotComparableError: another workload, or an operation was not counted.
    """
    compared = compared_counts({baseline.core: baseline}, {now.core: now})
    found = list(zip(baseline.operations, compared, strict=True))
    lines = [_line(operation, line) for operation, line in found]
    if baseline.bundle_sha256 != now.bundle_sha256:
        lines.append(f"the golden bundle is another than the baseline's: {RENEW}")
    risen = [_risen(operation, line, baseline, now) for operation, line in found if line.outcome == "rose"]
    return Verdict(tuple(lines), tuple(risen))


def lowest(counts: Sequence[BundleCounts]) -> BundleCounts:
    """Of each operation the count with fewest instructions.

    In one place a count is the same to the instruction. In folders with other names, or after a change to code that is
    never called, other addresses moved `rank` by up to 0.6%. More work is more everywhere.
    """
    fewest = {
        name: min((one.operations[name] for one in counts), key=lambda operation: operation.total().instructions)
        for name in counts[0].operations
    }
    return counts[0].model_copy(update={"operations": fewest})


def _line(operation: str, line: Line) -> str:
    fell = f"; it fell: {RENEW}" if line.outcome == "fell" else ""
    return f"{operation}: {line.new:,.0f} instructions, {line.change:+.2%} of the baseline's {line.old:,.0f}{fell}"


def _risen(operation: str, line: Line, baseline: BundleCounts, now: BundleCounts) -> str:
    grown = sorted(_grown_stages(operation, baseline, now), reverse=True)
    stages = ", ".join(f"{stage} by {more:,.0f} ({old:,.0f} → {new:,.0f})" for more, stage, old, new in grown)
    return (
        f"{operation} takes {line.change:.2%} more instructions: {line.old:,.0f} → {line.new:,.0f}, at most "
        f"{line.tolerance:.1%} more pass; what grew: {stages}. If it is meant, {RENEW}"
    )


def _grown_stages(
    operation: str, baseline: BundleCounts, now: BundleCounts
) -> Iterator[tuple[float, str, float, float]]:
    for stage in STAGES:
        old, new = (one.operations[operation].total(stage=stage).instructions for one in (baseline, now))
        if new > old:
            yield new - old, stage, old, new
