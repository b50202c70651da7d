"""The report's section on validation: the cycle model's predictions and unseen published times."""

from __future__ import annotations

from html import escape
from typing import Final

import matplotlib as mpl

from cloud_export.html.canvas import LINE, MUTED, QUIET, as_svg, canvas, legend_above
from cloud_export.html.markup import figure, section, table
from device_sim.estimate.cycle_model import Calibration
from device_sim.report.colours import marked, toned
from device_sim.report.placeholder import missing
from device_sim.validation.scored_points import ScoredPoint, ScoredPoints

TITLE: Final = "How far to trust the estimates"
BAND: Final = 0.2


def validation_section(points: ScoredPoints | None, calibration: Calibration | None) -> str:
    """Returns the section: the scatter of every model on every device, and the errors by core.

    Args:
        points: The result of `device-sim validate --write-points`; None = there is none.
        calibration: The calibration whose errors are shown; None = there is none.
    """
    if points is None or not points.points:
        nothing = missing(
            TITLE,
            "No validated points were given.",
            "device-sim validate --write-points validation.json\n"
            "device-sim report --validation validation.json --out report.html",
        )
        return nothing + (section("Errors by core", _table(calibration)) if calibration else "")
    within = sum(abs(point.ratio - 1) <= BAND for point in points.points) / len(points.points)
    words = (
        f"Published single-thread times of {len({point.model for point in points.points})} models on "
        f"{len({point.device for point in points.points})} devices, against what the cycle model predicts for each "
        "when it has not seen that model. This is the vector code's part of an estimate; the interpreter's part is a "
        "range of instructions per cycle and has no such test."
    )
    errors, note = "", ""
    if calibration is not None and calibration.published_sha256 == points.published_sha256:
        errors = _table(calibration)
    else:
        note = "The errors by core are not shown: the calibration at hand was fitted on another published table."
    sources = f"Published by: {'; '.join(points.sources)}."
    return section(
        TITLE,
        f"<p>{escape(words)}</p>"
        + figure(
            "Predicted against published",
            f"On the line a prediction is right; {within:.0%} of the points lie in the band of ±{BAND:.0%}.",
            _scatter(points.points),
        )
        + f"{errors}<p class=note>{escape(note)}</p><p class=note>{escape(sources)}</p>",
    )


def _scatter(points: tuple[ScoredPoint, ...]) -> str:
    cores = sorted({point.core for point in points})
    colours, shapes = toned(cores), marked(cores)
    lines = -(-len(cores) // 3)
    figure_, axes = canvas(300, left=0.13, right=0.04, bottom=44, top=18 * lines + 6)
    values = [value for point in points for value in (point.predicted_ms, point.predicted_ms / point.ratio)]
    ends = [min(values) * 0.7, max(values) * 1.4]
    axes.fill_between(
        ends,
        [end * (1 - BAND) for end in ends],
        [end * (1 + BAND) for end in ends],
        color=QUIET,
        alpha=0.5,
        linewidth=0,
    )
    axes.plot(ends, ends, color=MUTED, linewidth=1)
    for core in cores:
        mine = [point for point in points if point.core == core]
        axes.plot(
            [point.predicted_ms / point.ratio for point in mine],
            [point.predicted_ms for point in mine],
            shapes[core],
            color=colours[core],
            markersize=4.5,
            alpha=0.85,
            label=core,
        )
    axes.set(
        xscale="log", yscale="log", xlim=ends, ylim=ends, xlabel="published (across) and predicted (up), milliseconds"
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: f"{value:,.10g}"))
        axis.set_minor_locator(mpl.ticker.NullLocator())
    axes.grid(color=LINE, linewidth=0.8)
    axes.set_axisbelow(True)
    legend_above(axes, columns=3)
    return as_svg(figure_, "validation", "Predicted against published times, both on logarithmic axes, by core")


def _table(calibration: Calibration) -> str:
    rows = [
        [
            core,
            f"{len(model.devices)}",
            _errors(model.held_out_median, model.held_out_p90),
            _errors(model.unseen_device_median, model.unseen_device_p90),
            _errors(model.neither_seen_median, model.neither_seen_p90),
        ]
        for core, model in sorted(calibration.cores.items())
    ]
    heads = ["Core", "Devices", "New model", "New device", "Both new"]
    note = "Relative errors, median and 90th percentile, of fits that had not seen the model, the device, or either."
    return table(heads, rows) + f"<p class=note>{note}</p>"


def _errors(median: float | None, p90: float | None) -> str:
    return "–" if median is None or p90 is None else f"{median:.1%} (p90 {p90:.0%})"
