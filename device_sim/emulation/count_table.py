"""A count as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table

from device_sim.counts.counts import IMAGES, INSTRUCTION_CLASSES, STAGES, BundleCounts, Counts
from device_sim.emulation.counting import LEFT_OVER_MAX, Counted

_LINES_SHOWN = 5


def operations_table(counts: BundleCounts) -> Table:
    """Each operation: instructions, whose code they are, the stages, cache misses."""
    title = (
        f"{counts.scene} on {counts.core}: instructions of one operation ({counts.candidates} candidates, "
        f"a window of {counts.window})"
    )
    table = Table("", title=title, title_justify="left")
    for name in counts.operations:
        table.add_column(name, justify="right")
    totals = [operation.total() for operation in counts.operations.values()]
    table.add_row("instructions", *(f"{total.instructions:,.0f}" for total in totals), style="bold")
    for image in IMAGES:
        parts = [operation.total(image=image) for operation in counts.operations.values()]
        table.add_row(f"  of {image}", *(_share(part, total) for part, total in zip(parts, totals, strict=True)))
    others = [f"{not_onnxruntime(counts, name):.1%}" for name in counts.operations]
    table.add_row("not ONNX Runtime", *others, end_section=True)
    for stage in STAGES:
        parts = [operation.total(stage=stage) for operation in counts.operations.values()]
        table.add_row(stage, *(f"{part.instructions:,.0f}" for part in parts))
    if counts.caches is not None:
        table.add_section()
        for level in ("l1i_misses", "l1d_misses", "l2_misses", "l3_misses"):
            table.add_row(level.replace("_", " "), *(_misses(getattr(total, level)) for total in totals))
    return table


def mix_table(counts: BundleCounts) -> Table:
    """The instructions of each class."""
    table = Table("class", title="instruction mix", title_justify="left")
    for name in counts.operations:
        table.add_column(name, justify="right")
    totals = [operation.total() for operation in counts.operations.values()]
    for kind in INSTRUCTION_CLASSES:
        table.add_row(kind, *(f"{total.of(kind) / max(total.instructions, 1.0):.1%}" for total in totals))
    return table


def conformance_lines(found: Counted) -> Iterator[str]:
    """Whether the core decides as it should, and whether the stages add up."""
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


def not_onnxruntime(counts: BundleCounts, operation: str) -> float:
    """The share of an operation's instructions that is Python, numpy and their libraries rather than ONNX Runtime."""
    found = counts.operations[operation]
    return 1.0 - found.total(image="onnxruntime").instructions / max(found.total().instructions, 1.0)


def _share(part: Counts, whole: Counts) -> str:
    return f"{part.instructions / max(whole.instructions, 1.0):.1%}"


def _misses(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"
