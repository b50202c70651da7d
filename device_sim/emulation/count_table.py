"""The tables and lines that `device-sim count` prints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich import box
from rich.table import Table

from device_sim.counts.counts import IMAGES, INSTRUCTION_CLASSES, STAGES, BundleCounts, Counts
from device_sim.emulation.counting import LEFT_OVER_MAX, Counted
from device_sim.emulation.differences import LEVELS

_LINES_SHOWN = 5


def count_tables(counts: BundleCounts) -> Iterator[Table]:
    """Yields tables with one row an operation: instructions by image, by stage, cache misses; then the mix."""
    where = f"{counts.scene} on {counts.core}"
    totals = {name: operation.total() for name, operation in counts.operations.items()}
    by_image = _table(f"{where}: instructions, and whose code they are", ("instructions", *IMAGES))
    for name, operation in counts.operations.items():
        shares = (_share(operation.total(image=image), totals[name]) for image in IMAGES)
        by_image.add_row(name, f"{totals[name].instructions:,.0f}", *shares)
    yield by_image
    by_stage = _table(f"{where}: instructions by stage", STAGES)
    for name, operation in counts.operations.items():
        by_stage.add_row(name, *(f"{operation.total(stage=stage).instructions:,.0f}" for stage in STAGES))
    yield by_stage
    if counts.caches is not None:
        misses = _table(f"{where}: lines missing in caches", [level.removesuffix("_misses") for level in LEVELS])
        for name, total in totals.items():
            misses.add_row(name, *(_misses(getattr(total, level)) for level in LEVELS))
        yield misses
    mix = _table(f"{where}: instruction mix", counts.operations)
    for kind in INSTRUCTION_CLASSES:
        if any(total.of(kind) for total in totals.values()):
            mix.add_row(kind, *(f"{total.of(kind) / max(total.instructions, 1.0):.1%}" for total in totals.values()))
    yield mix


def summary_line(counts: BundleCounts, operation: str) -> str:
    """Returns one operation's figures as a sentence."""
    total = counts.operations[operation].total().instructions
    return (
        f"{operation}: {total:,.0f} instructions with {counts.candidates} candidates and a window of {counts.window}, "
        f"{outside_onnxruntime(counts, operation):.1%} of them outside ONNX Runtime (Python, numpy, their libraries)"
    )


def conformance_lines(found: Counted) -> Iterator[str]:
    """Yields lines on whether the core makes the expected decisions, and whether the stages add up."""
    agreement = found.conformance
    yield f"self-test: {agreement.self_test_vectors} golden vectors of the bundle passed on the core"
    if agreement.golden_decisions:
        yield (
            f"golden decisions: {agreement.golden_decisions} played, {len(agreement.golden_differences)} differences, "
            f"largest of a score {agreement.golden_largest:.1e}"
        )
    else:
        yield "golden decisions: NOT PLAYED, there is no folder of them here; give one with --golden"
    yield (
        f"the same workload here and there: {agreement.same_order} of {agreement.decisions} decisions in the same "
        f"order, largest difference of a score {agreement.largest:.1e}"
    )
    for line in agreement.golden_differences[:_LINES_SHOWN]:
        yield f"  {line}"
    if not agreement.holds:
        yield "THE CORE DECIDES OTHERWISE: its counts are written, but they are not of what this machine computes"
    for name, part in found.left_over.items():
        if abs(part) > LEFT_OVER_MAX:
            yield f"{name}: the stages differ from the total by {part:.1%} (up to {LEFT_OVER_MAX:.0%} is usual)"


def outside_onnxruntime(counts: BundleCounts, operation: str) -> float:
    """Returns the share of an operation's instructions outside ONNX Runtime (Python, numpy and their libraries)."""
    found = counts.operations[operation]
    return 1.0 - found.total(image="onnxruntime").instructions / max(found.total().instructions, 1.0)


def _table(title: str, columns: Iterable[str]) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)  # narrow: no lines between columns
    table.add_column("", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _share(part: Counts, whole: Counts) -> str:
    return f"{part.instructions / max(whole.instructions, 1.0):.1%}"


def _misses(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"
