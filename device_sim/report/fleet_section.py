"""The report's section on the fleet: the lift of adjusting on the phone by day, and each arm's regret."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Final

import matplotlib as mpl

from cloud_export.html.canvas import ACCENT, INK, LINE, MUTED, SECOND, as_svg, canvas, legend_above
from cloud_export.html.markup import definitions, figure, section, table
from cloud_export.report.words import plain
from device_sim.fleet.result import FleetResult, Range
from device_sim.report.placeholder import missing

TITLE: Final = "A simulated fleet in closed loop"
_ARMS: Final[Mapping[str, tuple[str, str, str]]] = {  # label, colour, line
    "base": ("base", SECOND, "-"),
    "device": ("device", ACCENT, "-"),
    "oracle": ("oracle", INK, ":"),
}
_MEANINGS: Final[Mapping[str, str]] = {
    "base": "the cloud's ranking of last midnight; dates and eligibility alone hold",
    "rules": "the same order, and the phone keeps caps and cooldowns",
    "uploaded": "the same, from a cloud that is sent every event at midnight",
    "device": "the phone's engine adjusts the ranking from what only it knows",
    "oracle": "the best order under the same rules, from the true probabilities",
    "random": "any order that the rules allow",
}


def fleet_section(result: FleetResult | None) -> str:
    """Returns the section: two pictures, the figures that must be zero, and the arms' totals.

    Args:
        result: The result of `device-sim fleet --json`; None = there is none.
    """
    if result is None:
        return missing(
            TITLE,
            "No fleet was given.",
            "device-sim fleet --json fleet.json\ndevice-sim report --fleet fleet.json --out report.html",
        )
    settings = result.settings
    words = (
        f"{settings.devices:,} simulated phones over {settings.days} days, each with a real engine; the cloud's "
        f"ranking is refreshed once a day. Shown offers that broke a rule: {result.cap_violations:,}. "
        f"Bytes sent by the processes that ran the engines: {result.uploaded_bytes:,}."
    )
    return section(
        TITLE,
        f'<p>{escape(words)}</p><div class="charts two">'
        + figure(
            "Lift over the base, by day",
            "How much more value a decision has than under the cloud's ranking alone, with 95% intervals over users.",
            _lifts(result),
        )
        + figure(
            "Cumulative regret",
            "What each arm has lost against the oracle, which knows the true probabilities: flatter is better.",
            _regret(result),
        )
        + f"</div>{_table(result)}",
    )


def _lifts(result: FleetResult) -> str:
    figure_, axes = canvas(220, left=0.13, right=0.03, bottom=44, top=26)
    for name, (label, colour, line) in _ARMS.items():
        days = sorted(
            (lift for lift in result.lifts if lift.arm == name and lift.over == "base" and lift.day is not None),
            key=lambda lift: lift.day or 0,
        )
        if not days:
            continue
        at = [lift.day or 0 for lift in days]
        axes.plot(
            at,
            [100 * lift.relative.mean for lift in days],
            line,
            color=colour,
            marker="o",
            markersize=4,
            linewidth=2,
            label=label,
        )
        bounds = [_bounds(lift.relative) for lift in days]
        axes.fill_between(
            at, [low for low, _ in bounds], [high for _, high in bounds], color=colour, alpha=0.18, linewidth=0
        )
    axes.axhline(0, color=MUTED, linewidth=1)
    axes.yaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: _percent(value)))
    return _by_day(figure_, axes, "fleet-lift", "Lift of device and oracle over the base by day, with 95% intervals")


def _regret(result: FleetResult) -> str:
    figure_, axes = canvas(220, left=0.13, right=0.03, bottom=44, top=26)
    for arm in result.arms:
        if arm.name in _ARMS:
            label, colour, line = _ARMS[arm.name]
            axes.plot(
                [0, *(one.day or 0 for one in arm.days)],
                [0.0, *(one.cumulative_regret for one in arm.days)],
                line,
                color=colour,
                marker="o",
                markersize=4,
                linewidth=2,
                label=label,
            )
    axes.yaxis.set_major_formatter(mpl.ticker.FuncFormatter(lambda value, _: plain(value)))
    return _by_day(figure_, axes, "fleet-regret", "Cumulative regret to the oracle of base, device and oracle by day")


def _by_day(figure_: mpl.figure.Figure, axes: mpl.axes.Axes, name: str, description: str) -> str:
    axes.xaxis.set_major_locator(mpl.ticker.MaxNLocator(7, integer=True))
    axes.set_xlabel("day")
    axes.grid(axis="y", color=LINE, linewidth=0.8)
    legend_above(axes, columns=3)
    return as_svg(figure_, name, description)


def _bounds(interval: Range) -> tuple[float, float]:
    low = interval.mean if interval.low is None else interval.low
    high = interval.mean if interval.high is None else interval.high
    return 100 * low, 100 * high


def _table(result: FleetResult) -> str:
    lifts = {lift.arm: lift.relative for lift in result.lifts if lift.over == "base" and lift.day is None}
    rows = [
        [
            arm.name,
            f"{arm.total.value_per_decision:.3f}",
            _with_interval(lifts[arm.name]) if arm.name in lifts else "–",
            f"{arm.total.cumulative_regret:,.0f}",
            f"{arm.total.clicks:,}",
            f"{arm.total.conversions:,}",
            f"{sum(arm.rules_broken.values()):,}",
        ]
        for arm in result.arms
    ]
    heads = ["Arm", "Value a decision", "Lift over base", "Regret", "Clicks", "Conversions", "Rules broken"]
    runtime, closed = result.runtime, result.gap_closed
    gap = f"The device closes {_share(closed)} of the gap between base and oracle. " if closed else ""
    note = (
        f"{gap}On the machine that simulated them: {runtime.rank_decisions_per_s:,.0f} decisions a second in rank "
        f"alone, {runtime.loop_decisions_per_s:,.0f} with everything around it."
    )
    place = next((place for place, arm in enumerate(result.arms, start=1) if arm.name == "device"), 0)
    known = [(arm.name, _MEANINGS[arm.name]) for arm in result.arms if arm.name in _MEANINGS]
    meanings = definitions("What each arm is", known)
    return table(heads, rows, marked=place) + f"<p class=note>{escape(note)}</p>" + meanings


def _with_interval(interval: Range) -> str:
    if interval.low is None or interval.high is None:
        return _signed(interval.mean)
    return f"{_signed(interval.mean)} ({_signed(interval.low)} to {_signed(interval.high)})"


def _percent(value: float) -> str:
    return f"{value:+.0f}%".replace("-", "−") if value else "0"


def _signed(share: float) -> str:
    return f"{share:+.1%}".replace("-", "−")


def _share(interval: Range) -> str:
    if interval.low is None or interval.high is None:
        return f"{interval.mean:.0%}"
    return f"{interval.mean:.0%} ({interval.low:.0%} to {interval.high:.0%})"
