"""The report's section on instructions: each operation on each core, by stage and by library."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from cloud_export.html.canvas import INK, MUTED, as_svg, canvas, legend_above, row_label
from cloud_export.html.markup import figure, section, table
from device_sim.counts.counts import IMAGES, STAGES, BundleCounts, Image, Operation, Stage
from device_sim.report.colours import toned
from device_sim.report.placeholder import missing

TITLE: Final = "Where the instructions go"
OPERATIONS: Final[Mapping[str, str]] = {
    "record": "record",
    "rank": "rank",
    "rank_new_base": "rank, new base",
    "rank_cold": "rank, cold caches",
}
_STAGES: Final[Mapping[Stage, str]] = {
    "window": "window",
    "model": "model",
    "policy": "policy",
    "result": "result",
    "engine": "rest of the call",
}
_IMAGES: Final[Mapping[Image, str]] = {
    "onnxruntime": "ONNX Runtime",
    "numpy": "numpy",
    "python": "Python",
    "libc": "libc",
    "other": "other",
}
_ROW = 21


@dataclass(frozen=True, slots=True)
class Bar:
    """One operation: its parts add up to all of it."""

    label: str
    parts: Mapping[str, float]

    @property
    def total(self) -> float:
        """Instructions."""
        return sum(self.parts.values())


def instructions_section(counted: Sequence[BundleCounts]) -> str:
    """Two pictures and the totals.

    Args:
        counted: one entry a bundle and core; empty = nothing was counted.
    """
    if not counted:
        return missing(
            TITLE,
            "No counts were given, and none are shipped with this program.",
            "device-sim setup\ndevice-sim count scene.edge --core cortex-a55 --out counts.json\n"
            "device-sim report --counts counts.json --out report.html",
        )
    stages = [(core, [_by_stage(*pair) for pair in pairs]) for core, pairs in _by_core(counted)]
    images = [(core, [_by_image(*pair) for pair in pairs]) for core, pairs in _by_core(counted)]
    return section(
        TITLE,
        f"<p>{_meaning(counted)}</p>"
        '<div class="charts two">'
        + figure(
            "By stage",
            "What the runtime was doing, as shares of a call; at the right, the instructions of the whole call.",
            stacked_bars(stages, "stages", "Shares of the instructions of each operation by stage of the call"),
        )
        + figure(
            "By image",
            "Whose machine code ran, as shares of the same calls: what is not ONNX Runtime is the interpreter's cost.",
            stacked_bars(images, "images", "Shares of the instructions of each operation by machine code image"),
        )
        + f"</div>{_table(counted)}",
    )


def stacked_bars(groups: Sequence[tuple[str, Sequence[Bar]]], name: str, description: str) -> str:
    """Draws bars of equal length, each divided into its parts.

    Args:
        groups: A heading and the bars below it.
        name: The picture's name within the page.
        description: The text alternative of the picture.
    """
    kinds = list(dict.fromkeys(part for _, bars in groups for bar in bars for part in bar.parts))
    colours, rows = toned(kinds), sum(len(bars) + 1 for _, bars in groups)
    figure_, axes = canvas(_ROW * rows, left=0.3, right=0.13, bottom=26, top=42)
    row = 0
    for heading, bars in groups:
        row_label(axes, -0.52, row, heading, "left", colour=INK)
        for bar in bars:
            row += 1
            row_label(axes, -0.03, row, bar.label, "right", colour=MUTED)
            row_label(axes, 1.03, row, short_count(bar.total), "left", colour=INK)
            at = 0.0
            for kind in kinds:
                share = bar.parts.get(kind, 0.0) / bar.total if bar.total else 0.0
                axes.barh(row, share, left=at, height=0.68, color=colours[kind], linewidth=0)
                at += share
        row += 1
    for kind in kinds:
        axes.barh(0, 0, color=colours[kind], label=kind)
    axes.set(xlim=(0, 1), ylim=(rows - 0.4, -0.6), yticks=[])
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25%", "50%", "75%", "100%"])
    legend_above(axes, columns=3)
    return as_svg(figure_, name, description)


def short_count(value: float) -> str:
    """Returns a count with three digits: "812", "20.1 k", "1.25 M"."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= size * 0.9995:
            return f"{value / size:.3g} {unit}"
    return f"{value:.0f}"


def _by_core(counted: Sequence[BundleCounts]) -> Iterator[tuple[str, list[tuple[str, Operation]]]]:
    scenes = {one.scene for one in counted}
    for one in counted:
        heading = one.core if len(scenes) == 1 else f"{one.scene}, {one.core}"
        names = [
            *(name for name in OPERATIONS if name in one.operations),
            *(name for name in sorted(one.operations) if name not in OPERATIONS),
        ]
        yield heading, [(OPERATIONS.get(name, name), one.operations[name]) for name in names]


def _by_stage(label: str, operation: Operation) -> Bar:
    return Bar(label, {_STAGES[stage]: operation.total(stage=stage).instructions for stage in STAGES})


def _by_image(label: str, operation: Operation) -> Bar:
    return Bar(label, {_IMAGES[image]: operation.total(image=image).instructions for image in IMAGES})


def _meaning(counted: Sequence[BundleCounts]) -> str:
    ranks = [one.operations["rank"] for one in counted if "rank" in one.operations]
    shares = [
        1 - rank.total(image="onnxruntime").instructions / rank.total().instructions
        for rank in ranks
        if rank.total().instructions
    ]
    words = (
        "Every instruction of the real runtime was counted on an emulated arm64 core; a count repeats, a time does not."
    )
    if not shares:
        return words
    low, high = f"{min(shares):.0%}", f"{max(shares):.0%}"
    return (
        f"{words} Of a rank, {low if low == high else f'{low} to {high}'} is not ONNX Runtime's code but the "
        "interpreter's and its libraries'."
    )


def _table(counted: Sequence[BundleCounts]) -> str:
    rows = [
        [f"{heading}: {name}", f"{operation.total().instructions:,.0f}", *_shares(operation)]
        for heading, pairs in _by_core(counted)
        for name, operation in pairs
    ]
    shape = {f"{one.candidates} candidates, a window of {one.window}, {one.items} items" for one in counted}
    versions = {", ".join(f"{name} {version}" for name, version in one.versions.items()) for one in counted}
    note = f"Counted with {'; '.join(sorted(shape))}; {'; '.join(sorted(versions))}."
    figures = table(["Operation", "Instructions", *_IMAGES.values()], rows)
    return f"<p class=note>{escape(note)}</p><details><summary>All counts</summary>{figures}</details>"


def _shares(operation: Operation) -> list[str]:
    whole = operation.total().instructions or 1.0
    return [f"{operation.total(image=image).instructions / whole:.0%}" for image in IMAGES]
