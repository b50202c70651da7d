"""Latency by condition as a picture: one row a condition, the calls from their 1st to their 99th percentile."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cloud_export.plot_canvas import ACCENT, INK, LINE, MUTED, SECOND, as_svg, canvas, row_label, write_picture
from device_sim.host.bench_types import LADDER, TIMED, Bench, Latency

CONDITION_LABELS: Final = {"quiet": "quiet", "neighbour": "busy neighbour", "same_cpu": "neighbour, same CPU",
                           "quota": "half a CPU (quota)"}  # fmt: skip
OPERATION_LABELS: Final = {"record": "record", "rank": "rank, known base", "rank_new_base": "rank, new base"}
DESCRIPTION: Final = "Latencies of record and rank on the benched machine under each condition"


def latencies_svg(bench: Bench) -> str:
    """The picture for a page."""
    return as_svg(_drawn(bench), "bench", DESCRIPTION)


def write_plot(bench: Bench, path: Path) -> None:
    """The picture as a file of its own.

    Args:
        bench: what was measured.
        path: its suffix says what it becomes: .svg or .png.

    Raises:
        OSError: The file cannot be written.
    """
    write_picture(_drawn(bench), path, DESCRIPTION)


def _drawn(bench: Bench) -> Figure:
    conditions = [one for one in bench.conditions if one.operations]
    rows = len(TIMED) * (len(conditions) + 1)
    figure, axes = canvas(19 * rows, left=0.36, right=0.14, bottom=44)
    row = 0
    for operation in TIMED:
        row_label(axes, -0.55, row, OPERATION_LABELS[operation], "left", colour=INK)
        for condition in conditions:
            row += 1
            row_label(axes, -0.03, row, CONDITION_LABELS[condition.name], "right", colour=MUTED)
            _row(axes, row, condition.operations[operation], ACCENT if condition.name == "quiet" else SECOND)
        row += 1
    axes.set(xscale="log", xlabel="microseconds a call (each gridline is ten times the last)", yticks=[])
    low, high = axes.get_xlim()
    axes.set_xlim(10 ** math.floor(math.log10(low)), high * 1.1)
    axes.set_ylim(rows - 0.3, -0.7)
    axes.xaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: f"{value:,.10g}"))
    axes.xaxis.set_minor_locator(mpl.ticker.NullLocator())
    axes.grid(axis="x", color=LINE, linewidth=0.8)
    axes.set_axisbelow(True)
    return figure


def _row(axes: Axes, row: int, latency: Latency, colour: str) -> None:
    ladder = dict(zip(LADDER, latency.ladder_us, strict=True))
    axes.plot([ladder[1], ladder[99]], [row, row], color=colour, linewidth=1.5)
    axes.plot([ladder[5], ladder[95]], [row, row], color=colour, linewidth=6)
    axes.plot([ladder[50]], [row], color=INK, marker="|", markersize=10, markeredgewidth=2)
    row_label(axes, 1.02, row, f"{latency.p50_us:,.3g}", "left", colour=INK)
