"""The result of one question: rows of figures over a size, straight lines through them, and notes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

Row = dict[str, float]  # the size, then each figure's median and its `_low` and `_high` round; names end in units


@dataclass(frozen=True, slots=True)
class Fit:
    """A figure as `a + b · size`, in the figure's own unit."""

    figure: str
    a: float
    b: float
    worst: float  # the largest deviation of a row from the line, as a share of the row


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """The answer to one question."""

    name: str
    title: str
    over: str  # the name of the size
    each: str  # one step of the size, in words
    figures: tuple[str, ...]
    rows: tuple[Row, ...]
    fits: tuple[Fit, ...] = ()
    notes: tuple[str, ...] = ()
    method: str = ""
    plots: tuple[tuple[str, ...], ...] = field(default=())  # figures that one picture shows together


def unit(figure: str) -> str:
    """Returns the unit that a figure's name ends in."""
    ends = {"us": "µs", "ms": "ms", "s": "s", "mb": "MB"}
    return "per s" if figure.endswith("_per_s") else ends[figure.split("_")[-1]]


def fitted(rows: Sequence[Row], over: str, figures: Sequence[str]) -> tuple[Fit, ...]:
    """Returns a straight line through each figure; none through a single row."""
    sizes = [row[over] for row in rows]
    return tuple(fit_line(figure, sizes, [row[figure] for row in rows]) for figure in figures if len(rows) > 1)


def fit_line(figure: str, sizes: Sequence[float], values: Sequence[float]) -> Fit:
    """Returns the line with the least squares of relative errors.

    Noise grows with the figure and sizes grow by factors, so absolute errors would weigh the largest size alone.

    Args:
        figure: its name.
        sizes: two different ones at least.
        values: all above 0.
    """
    measured = np.array(values, np.float64)
    columns = np.stack([np.ones(len(measured)), np.array(sizes, np.float64)], axis=1)
    # Sizes up to a million beside ones: brought to the same scale, so that the solver loses no digits.
    scale = np.abs(columns).max(0)
    weighted = columns / scale / measured[:, None]
    a, b = np.linalg.lstsq(weighted, np.ones(len(measured)), rcond=None)[0] / scale
    worst = float(np.abs((a + b * columns[:, 1]) / measured - 1).max())
    return Fit(figure, float(a), float(b), worst)
