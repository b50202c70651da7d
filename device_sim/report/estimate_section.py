"""The report's section on estimates: the interval of each operation on each device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import groupby
from typing import Final

from matplotlib.axes import Axes

from cloud_export.html.canvas import ACCENT, INK, MUTED, SECOND, as_svg, canvas, legend_above, row_label
from cloud_export.html.markup import definitions, figure, section, table
from device_sim.bench.bench_words import duration
from device_sim.bench.plot import log_time_axis
from device_sim.report.estimate_types import TYPICAL, DeviceEstimates, Estimates, Interval
from device_sim.report.placeholder import missing

TITLE: Final = "Estimated latency on phones"
_OPERATIONS: Final[Mapping[str, str]] = {"rank": "rank", "rank_new_base": "rank, new base", "record": "record"}
_PICTURES: Final = (
    ("rank", "Estimated: rank", "One decision with a base decision that the engine has seen before."),
    ("record", "Estimated: record", "One event written; below 100 µs nothing better than a factor of two is claimed."),
)
_LINE = 18
_LONGEST_LABEL = 36


def estimate_section(estimates: Estimates | None, why_none: str = "") -> str:
    """Returns the section: pictures of rank and record, all intervals, and the scenarios' assumptions.

    Args:
        estimates: The estimates; None = there are none.
        why_none: The reason, if estimating was tried.
    """
    if estimates is None or not estimates.devices:
        return missing(
            TITLE,
            why_none or "No estimates were given.",
            "device-sim estimate scene.edge --device all --json estimates.json\n"
            "device-sim report --estimates estimates.json --out report.html",
        )
    pictures = "".join(
        figure(title, words, _intervals(estimates, operation, title))
        for operation, title, words in _PICTURES
        if any(device.interval(operation) for device in estimates.devices)
    )
    remarks = "".join(f"<p class=note>{escape(remark)}</p>" for remark in estimates.remarks)
    words = (
        "Every bar is an interval: the true time of an undisturbed call is expected between its ends. Devices are "
        "grouped by class, the slowest first; on the axis, equal steps are equal factors."
    )
    return section(
        TITLE,
        f"<p>{words}</p>{remarks}"
        f'<div class="charts two">{pictures}</div>{_table(estimates)}{_scenarios(estimates)}'
        f"<p class=note>{escape(estimates.caution)}</p>",
    )


def span(interval: Interval | None) -> str:
    """Returns an interval as text with two digits: "0.9 to 2.1 ms"."""
    if interval is None:
        return "–"
    low, high = duration(_coarse(interval.low_us)), duration(_coarse(interval.high_us))
    number, _, unit = low.partition(" ")
    return f"{number if high.endswith(f' {unit}') else low} to {high}"


def _intervals(estimates: Estimates, operation: str, description: str) -> str:
    groups = [
        (kind, list(devices)) for kind, devices in groupby(_ordered(estimates), lambda one: one.profile.device_class)
    ]
    rows = sum(2 * len(devices) + 1 for _, devices in groups)
    figure_, axes = canvas(_LINE * rows, left=0.02, right=0.05, bottom=44, top=24)
    line = 0
    for kind, devices in groups:
        row_label(axes, 0, line, kind, "left", colour=MUTED)
        for device in devices:
            _draw_device(axes, line + 1, device, operation, list(estimates.scenarios))
            line += 2
        line += 1
    axes.plot([], [], color=ACCENT, linewidth=8, label=f"{TYPICAL} scenario")
    axes.plot([], [], color=SECOND, linewidth=1.5, label="all scenarios")
    axes.set_ylim(rows - 0.4, -0.6)
    axes.set(yticks=[], xlabel="estimated time of one call")
    log_time_axis(axes)
    legend_above(axes, columns=2)
    return as_svg(figure_, f"estimates-{operation}", f"{description}: an interval for each device, by class")


def _draw_device(axes: Axes, line: int, device: DeviceEstimates, operation: str, scenarios: Sequence[str]) -> None:
    """The device's name and figures on one line, its intervals on the next: both fit a phone's width."""
    row_label(axes, 0.02, line, _short(device.profile.title), "left", colour=INK)
    around = [one for name in scenarios if (one := device.interval(operation, name)) is not None]
    if around:
        ends = [min(one.low_us for one in around), max(one.high_us for one in around)]
        axes.plot(ends, [line + 0.85] * 2, color=SECOND, linewidth=1.5, solid_capstyle="butt")
    typical = device.interval(operation)
    if typical is not None:
        bar = [typical.low_us, typical.high_us]
        axes.plot(bar, [line + 0.85] * 2, color=ACCENT, linewidth=8, solid_capstyle="butt")
        row_label(axes, 1, line, span(typical), "right", colour=INK)


def _ordered(estimates: Estimates) -> list[DeviceEstimates]:
    """Classes as the file has them; within one, the slowest first."""
    classes = list(dict.fromkeys(device.profile.device_class for device in estimates.devices))

    def place(device: DeviceEstimates) -> tuple[int, float]:
        interval = device.interval("rank")
        return classes.index(device.profile.device_class), -interval.high_us if interval else 0.0

    return sorted(estimates.devices, key=place)


def _table(estimates: Estimates) -> str:
    operations = [name for name in _OPERATIONS if any(one.interval(name) for one in estimates.devices)]
    rows = [
        [
            f"{device.profile.title}, {device.main_core}",
            *(span(device.interval(operation)) for operation in operations),
        ]
        for device in _ordered(estimates)
    ]
    return table(["Estimated, typical scenario", *(_OPERATIONS[name] for name in operations)], rows)


def _scenarios(estimates: Estimates) -> str:
    others = [name for name in estimates.scenarios if name != TYPICAL]
    assumed = definitions(
        "What each scenario assumes", [(name, scenario.assumption) for name, scenario in estimates.scenarios.items()]
    )
    if not others:
        return assumed
    heads = ["Estimated: rank", *estimates.scenarios]
    rows = [[device.profile.title, *_by_scenario(device, estimates.scenarios)] for device in _ordered(estimates)]
    return f"{assumed}<details><summary>Rank in every scenario</summary>{table(heads, rows)}</details>"


def _by_scenario(device: DeviceEstimates, scenarios: Sequence[str] | Mapping[str, object]) -> Iterator[str]:
    return (span(device.interval("rank", name)) for name in scenarios)


def _coarse(us: float) -> float:
    """Two digits: an interval's ends are not known better."""
    return float(f"{us:.1e}")


def _short(words: str) -> str:
    return words if len(words) <= _LONGEST_LABEL else f"{words[: _LONGEST_LABEL - 1]}…"
