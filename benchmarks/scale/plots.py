"""Draws a curve: medians with their lowest and highest round, and the straight line through them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes

from benchmarks.scale.curve import Curve, unit
from benchmarks.scale.words import LABELS, amount
from cloud_export.html.canvas import ACCENT, BAD, GOOD, LINE, SECOND, as_svg, canvas, legend_above

_COLOURS: Final = (ACCENT, BAD, GOOD, SECOND)
_MARKERS: Final = "osD^"  # so that lines differ in more than colour


def picture(curve: Curve, figures: Sequence[str]) -> str:
    """Returns an inline SVG of figures that share a unit.

    Args:
        curve: the rows.
        figures: one to four of its figures.
    """
    lines = (len(figures) + 1) // 2  # of the legend
    drawn, axes = canvas(210, left=0.13, right=0.03, bottom=46, top=18 * lines + 6)
    for place, figure in enumerate(figures):
        _series(axes, curve, figure, _COLOURS[place], _MARKERS[place])
    _axes(axes, curve, figures)
    legend_above(axes, 2)
    words = f"{', '.join(LABELS[figure] for figure in figures)} in {unit(figures[0])} against {curve.title.lower()}"
    return as_svg(drawn, f"{curve.name} {' '.join(figures)}", words)


def _series(axes: Axes, curve: Curve, figure: str, colour: str, marker: str) -> None:
    sizes = np.array([row[curve.over] for row in curve.rows])
    medians = np.array([row[figure] for row in curve.rows])
    lows, highs = (np.array([row.get(f"{figure}_{end}", row[figure]) for row in curve.rows]) for end in ("low", "high"))
    axes.vlines(sizes, lows, highs, color=colour, linewidth=1.2)
    fit = next((fit for fit in curve.fits if fit.figure == figure), None)
    if fit is None:
        axes.plot(sizes, medians, color=colour, linewidth=1)
    else:
        along = np.geomspace(sizes[sizes > 0][0], sizes[-1], 60)
        along = along if sizes[0] else np.append(0.0, along)
        fitted = fit.a + fit.b * along
        axes.plot(along[fitted > 0], fitted[fitted > 0], color=colour, linewidth=1)
    axes.plot(sizes, medians, color=colour, marker=marker, markersize=5, linestyle="none", label=LABELS[figure])


def _axes(axes: Axes, curve: Curve, figures: Sequence[str]) -> None:
    names = [f"{figure}{end}" for figure in figures for end in ("", "_low", "_high")]
    values = [row[name] for row in curve.rows for name in names if name in row]
    _size_axis(axes, [row[curve.over] for row in curve.rows], curve.title.lower())
    if max(values) > 8 * min(values):
        axes.set_yscale("log")
        axes.set_ylim(min(values) * 0.7, max(values) * 1.4)
        steps = (1.0,) if max(values) > 100 * min(values) else (1.0, 2.0, 5.0)
        axes.yaxis.set_major_locator(mpl.ticker.LogLocator(subs=steps))
        axes.yaxis.set_minor_locator(mpl.ticker.NullLocator())
    else:
        axes.set_ylim(0, max(values) * 1.1)
    axes.yaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: _short(value)))
    axes.grid(axis="y", color=LINE, linewidth=0.8)
    axes.set_axisbelow(True)


def _size_axis(axes: Axes, sizes: Sequence[float], label: str) -> None:
    """Makes the x axis logarithmic; a size of 0, where it was measured, is placed before the smallest size."""
    if sizes[0]:
        axes.set_xscale("log")
        axes.set_xlim(sizes[0] * 0.8, sizes[-1] * 1.25)
    else:
        axes.set_xscale("symlog", linthresh=sizes[1], linscale=0.5)
        axes.set_xlim(-0.2 * sizes[1], sizes[-1] * 1.25)
    if not sizes[0] or sizes[-1] < 1000 * sizes[0]:
        axes.set_xticks(sizes)
    axes.set_xlabel(label)
    axes.xaxis.set_minor_locator(mpl.ticker.NullLocator())
    axes.xaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: _short(value)))


def _short(value: float) -> str:
    """Returns a tick's label: "20", "1,024", "5k", "1M"."""
    for letter, size in (("M", 1e6), ("k", 1e3)):
        if abs(value) >= size and value % (size / 10) == 0:
            return f"{value / size:g}{letter}"
    return f"{value:,.0f}" if abs(value) >= 1 else amount(value)
