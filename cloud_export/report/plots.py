"""Draws the report's plots on `html.canvas`."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl

from cloud_export.html.canvas import (
    ACCENT,
    BAD,
    GOOD,
    INK,
    LINE,
    MUTED,
    QUIET,
    SECOND,
    as_svg,
    canvas,
    draw_legend,
    row_label,
)
from cloud_export.json_types import Report
from cloud_export.report.words import block, metric, number, ranking_label, rankings_of, rows, text

_BAR_COLOUR = {"device": ACCENT, "base": SECOND}


def ranking_bars(quality: Report, key: str, description: str) -> str:
    """Draws one bar with its interval for each ranking, and a line at the base's height.

    Args:
        quality: the report's ``quality`` block.
        key: the metric.
        description: text of the picture, for screen readers.
    """
    names = [name for name in rankings_of(quality) if number(block(block(quality, name), key), "mean") is not None]
    figure, axes = canvas(24 * len(names) + 30, left=0.43, right=0.12)
    for row, name in enumerate(names):
        interval = block(block(quality, name), key)
        mean = number(interval, "mean") or 0.0
        axes.barh(row, mean, height=0.62, color=_BAR_COLOUR.get(name, QUIET))
        low, high = number(interval, "low"), number(interval, "high")
        if low is not None and high is not None:
            axes.plot([low, high], [row, row], color=INK, linewidth=1.4, marker="|", markersize=7)
        row_label(axes, -0.03, row, ranking_label(name), "right", colour=INK if name in _BAR_COLOUR else MUTED)
        row_label(axes, 1.03, row, metric(mean), "left", colour=INK)
    base = number(block(block(quality, "base"), key), "mean")
    if base is not None:
        axes.axvline(base, color=SECOND, linewidth=1, linestyle=(0, (3, 3)))
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, max([number(block(block(quality, n), key), "high") or 0.0 for n in names] + [1e-9]) * 1.02)
    axes.set_yticks([])
    axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    return as_svg(figure, f"bars-{key}", description)


def by_events(groups: Sequence[Report], description: str) -> str:
    """Draws the quality of base and device by the number of events in the session so far.

    Args:
        groups: the report's ``quality_by_events`` rows.
        description: text of the picture, for screen readers.
    """
    figure, axes = canvas(210, left=0.1, right=0.03, bottom=44)
    for key, colour, marker in (("base", SECOND, "s"), ("device", ACCENT, "o")):
        values = [number(group, key) for group in groups]
        heights = [float("nan") if value is None else value for value in values]
        axes.plot(range(len(groups)), heights, color=colour, marker=marker, linewidth=2, markersize=6, label=key)
    axes.set_xticks(range(len(groups)), [text(group, "events") for group in groups], parse_math=False)
    axes.set_xlabel("events in the session so far")
    axes.margins(x=0.06, y=0.15)
    axes.grid(axis="y", color=LINE, linewidth=0.8)
    draw_legend(axes)
    return as_svg(figure, "by-events", description)


def waterfall(example: Report, description: str) -> str:
    """Draws how one offer came from its base logit to its score: a step for each contribution, from top to bottom.

    Args:
        example: one of the report's ``explanation_examples``.
        description: text of the picture, for screen readers.
    """
    steps = waterfall_steps(example)
    figure, axes = canvas(38 * len(steps), left=0.02, right=0.16, bottom=44)
    for row, (label, start, end) in enumerate(steps):
        total = row in (0, len(steps) - 1)
        colour = SECOND if row == 0 else ACCENT if total else GOOD if end >= start else BAD
        axes.barh(row + 0.2, end - start, left=start, height=0.42, color=colour)
        if row + 1 < len(steps):
            axes.plot([end, end], [row + 0.41, row + 0.99], color=MUTED, linewidth=1)
        row_label(axes, 0.0, row - 0.22, _shortened(label), "left", colour=INK)
        row_label(axes, 1.02, row + 0.2, metric(end if total else end - start, signed=True), "left", colour=INK)
    axes.axvline(0, color=MUTED, linewidth=1)
    axes.set_ylim(len(steps) - 0.4, -0.5)
    axes.margins(x=0.02)
    axes.set_yticks([])
    axes.set_xlabel("logit, before it becomes a probability")
    return as_svg(figure, f"waterfall-{text(example, 'offer')}", description)


def waterfall_steps(example: Report) -> list[tuple[str, float, float]]:
    """Returns (label, from, to) of each step, first and last from 0; the contributions not listed are one step."""
    base, score = number(example, "base_logit") or 0.0, number(example, "score")
    steps, level = [("Cloud's ranking (base logit)", 0.0, base)], base
    for row in rows(example, "contributions"):
        following = level + (number(row, "value") or 0.0)
        steps.append((text(row, "label"), level, following))
        level = following
    if score is not None and abs(score - level) > 5e-4:
        steps.append(("all other contributions together", level, score))
    return [*steps, ("Score on the phone", 0.0, level if score is None else score)]


def calibration(bins: Sequence[Report], description: str) -> str:
    """Draws observed against predicted probability, with intervals; the diagonal is perfect calibration.

    Args:
        bins: the rows of one objective in the report's ``calibration`` block.
        description: text of the picture, for screen readers.
    """
    figure, axes = canvas(300, left=0.12, right=0.04, bottom=44)
    points = [
        (x, y, row)
        for row in bins
        if (x := number(row, "predicted")) is not None and (y := number(row, "observed")) is not None
    ]
    top = 1.08 * max([value for x, y, row in points for value in (x, y, number(row, "high") or 0.0)] + [1e-6])
    axes.plot([0, top], [0, top], color=MUTED, linewidth=1, linestyle=(0, (3, 3)))
    for x, _, row in points:
        low, high = number(row, "low"), number(row, "high")
        if low is not None and high is not None:
            axes.plot([x, x], [low, high], color=ACCENT, linewidth=1.6)
    axes.plot([x for x, _, _ in points], [y for _, y, _ in points], color=ACCENT, marker="o", markersize=5, linewidth=0)
    axes.set(xlim=(0, top), ylim=(0, top), xlabel="predicted (across) and observed (up) probability")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(mpl.ticker.MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axes.grid(color=LINE, linewidth=0.8)
    return as_svg(figure, "calibration", description)


def training_curve(epochs: Sequence[Report], description: str) -> str:
    """Draws training and validation loss by epoch.

    Args:
        epochs: the report's ``training`` rows.
        description: text of the picture, for screen readers.
    """
    figure, axes = canvas(300, left=0.13, right=0.03, bottom=44)
    for key, label, colour in (("loss", "training", SECOND), ("validation_loss", "validation", ACCENT)):
        points = [
            (x, y) for row in epochs if (x := number(row, "epoch")) is not None and (y := number(row, key)) is not None
        ]
        if points:
            axes.plot(*zip(*points, strict=True), color=colour, marker="o", markersize=4, linewidth=2, label=label)
    axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(6, integer=True))
    axes.set(xlabel="epoch", ylabel="loss")
    axes.grid(axis="y", color=LINE, linewidth=0.8)
    draw_legend(axes)
    return as_svg(figure, "training", description)


def _shortened(label: str) -> str:
    return label if len(label) <= 52 else f"{label[:51]}…"
