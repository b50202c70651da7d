"""Renders all curves on one page that loads nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from benchmarks.scale.curve import Curve, unit
from benchmarks.scale.limits import Limit
from benchmarks.scale.plots import picture
from benchmarks.scale.words import LABELS, amount, cell, head, line
from cloud_export.html.markup import definitions, figure, section, table
from cloud_export.html.page import page

_TITLE = "Edge SDK: how costs grow"
_HOW = (
    "Points are medians over rounds; the strokes through them reach from the lowest round to the highest. All sizes "
    "take turns within each round, in one process, so that whatever disturbs the machine disturbs all of them. Lines "
    "are the straight line a + b · size with the least squares of relative errors, drawn on logarithmic axes."
)


def render(curves: Sequence[Curve], found: Sequence[Limit], machine: Mapping[str, str | int]) -> str:
    """Returns the page as text; the same figures give the same page."""
    by_name = {curve.name: curve for curve in curves}
    body = (
        _tiles(by_name)
        + f"<p class=note>{escape(_HOW)}</p>"
        + "".join(_section(curve) for curve in curves)
        + section("Where growing ends", _limits(found))
        + section("Measured on", definitions("", [(name, str(value)) for name, value in machine.items()], kind="facts"))
    )
    return page(_TITLE, _headline(by_name), body)


def _headline(curves: Mapping[str, Curve]) -> str:
    window, history = curves["window"], curves["history"]
    fit = window.fits[0]
    longest = history.rows[-1]
    ratio = longest["rank_us"] / history.rows[0]["rank_us"]
    return (
        f"A decision costs {amount(fit.a)} µs and {amount(fit.b)} µs for each event in its window; after "
        f"{longest[history.over]:,.0f} events of history it costs {ratio:.2f} times what it costs after none."
    )


def _tiles(curves: Mapping[str, Curve]) -> str:
    """Returns the answer of each question in one figure."""
    candidates, items, threads, log = (curves[name] for name in ("candidates", "items", "threads", "log"))
    largest, last_log = items.rows[-1], log.rows[-1]
    tiles = [
        (f"{amount(1000 * candidates.fits[0].b)} ns", "for each further candidate of a decision"),
        (
            f"× {largest['rank_us'] / items.rows[0]['rank_us']:.2f}",
            f"rank with {largest[items.over]:,.0f} items instead of {items.rows[0][items.over]:,.0f}",
        ),
        (
            f"× {threads.rows[-1]['ranks_per_s'] / threads.rows[0]['ranks_per_s']:.2f}",
            f"decisions a second from {threads.rows[-1][threads.over]:.0f} threads instead of one",
        ),
        (
            f"{amount(last_log['events_per_s'])}/s",
            f"events read and replayed by cloud-export from a log of {last_log[log.over]:,.0f}",
        ),
    ]
    return (
        '<section><div class="tiles">'
        + "".join(f"<div><b>{escape(value)}</b><span>{escape(words)}</span></div>" for value, words in tiles)
        + "</div></section>"
    )


def _section(curve: Curve) -> str:
    """Returns the pictures, table, fits and notes of one question; a single picture has the rest beside it."""
    pictures = "".join(
        figure(", ".join(LABELS[name] for name in names).capitalize(), unit(names[0]), picture(curve, names))
        for names in curve.plots
    )
    rows = [[f"{row[curve.over]:,.0f}", *(cell(row, name) for name in curve.figures)] for row in curve.rows]
    notes = "".join(f"<li>{escape(words)}</li>" for words in (*(line(fit, curve) for fit in curve.fits), *curve.notes))
    words = table([curve.title, *map(head, curve.figures)], rows) + (f"<ul class=note>{notes}</ul>" if notes else "")
    if len(curve.plots) == 1:
        pictures, words = f"{pictures}<div>{words}</div>", ""
    return section(curve.title, f'<p>{escape(curve.method)}</p><div class="charts two">{pictures}</div>{words}')


def _limits(found: Sequence[Limit]) -> str:
    """Returns the limits as a list: sentences do not fit a table of figures."""
    words = [(f"{limit.at} {limit.what}", limit.happens) for limit in found]
    return definitions("Each limit was exceeded while this page was made, unless noted otherwise", words)
