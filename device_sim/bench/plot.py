"""Draws latency by condition: one row a condition, the calls from their 1st to their 99th percentile."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cloud_export.html.canvas import ACCENT, INK, LINE, MUTED, SECOND, as_svg, canvas, row_label, write_picture
from device_sim.bench.bench_types import LADDER, TIMED, Bench, Latency
from device_sim.bench.bench_words import CONDITION_LABELS, OPERATION_LABELS, duration

DESCRIPTION: Final = "Latencies of record and rank on the benched machine under each condition"


def latencies_svg(bench: Bench) -> str:
    """Returns the picture as SVG for a page."""
    return as_svg(_drawn(bench), "bench", DESCRIPTION)


def write_plot(bench: Bench, path: Path) -> None:
    """Writes the picture as a file of its own.

    Args:
        bench: the figures.
        path: the file; its suffix, .svg or .png, decides the format.

    Raises:
        OSError: The file cannot be written.
    """
    write_picture(_drawn(bench), path, DESCRIPTION)


def _drawn(bench: Bench) -> Figure:
    conditions = [one for one in bench.conditions if one.operations]
    rows = len(TIMED) * (len(conditions) + 1)
    figure, axes = canvas(19 * rows, left=0.34, right=0.17, bottom=44)
    row_label(axes, 1.02, 0, "median", "left", colour=MUTED)
    row = 0
    for operation in TIMED:
        row_label(axes, -0.68, row, OPERATION_LABELS[operation], "left", colour=INK)
        for condition in conditions:
            row += 1
            row_label(axes, -0.03, row, CONDITION_LABELS[condition.name], "right", colour=MUTED)
            _row(axes, row, condition.operations[operation], ACCENT if condition.name == "quiet" else SECOND)
        row += 1
    axes.set(yticks=[], xlabel="time of one call")
    axes.set_ylim(rows - 0.3, -0.7)
    log_time_axis(axes)
    return figure


def log_time_axis(axes: Axes) -> None:
    """Makes the x axis logarithmic in microseconds; to be called after everything is drawn."""
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.set_xlim(low * 0.8, high * 1.1)
    steps = (1.0,) if high > 100 * low else (1.0, 2.0, 5.0)
    axes.xaxis.set_major_locator(mpl.ticker.LogLocator(subs=steps, numticks=9))
    axes.xaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: duration(value)))
    axes.xaxis.set_minor_locator(mpl.ticker.NullLocator())
    axes.grid(axis="x", color=LINE, linewidth=0.8)
    axes.set_axisbelow(True)


def _row(axes: Axes, row: int, latency: Latency, colour: str) -> None:
    ladder = dict(zip(LADDER, latency.ladder_us, strict=True))
    axes.plot([ladder[1], ladder[99]], [row, row], color=colour, linewidth=1.5, solid_capstyle="butt")
    axes.plot([ladder[5], ladder[95]], [row, row], color=colour, linewidth=7, solid_capstyle="butt")
    axes.plot([ladder[50]], [row], color=INK, marker="|", markersize=10, markeredgewidth=2)
    row_label(axes, 1.02, row, duration(latency.p50_us), "left", colour=INK)
