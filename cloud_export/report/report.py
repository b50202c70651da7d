"""Writes the report of an export: ``report.json``, ``report.html``, and a table for the terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from rich.markup import escape as escape_markup
from rich.table import Table

from cloud_export.atomic_write import write_whole
from cloud_export.html.page import page
from cloud_export.json_types import JsonValue, Report
from cloud_export.report import sections
from cloud_export.report.words import (
    METRICS,
    block,
    clean,
    headline,
    metric,
    number,
    ranking_label,
    rankings_of,
    share,
    span,
    text,
)

__all__ = ["JsonValue", "Report", "render_html", "summary_table", "write_report"]


def write_report(report: Report, folder: Path) -> None:
    """Writes ``report.json`` and ``report.html``, each in one step: no reader sees half a file.

    Args:
        report: plain JSON values and numpy scalars; any block may be missing; NaN is written as null.
        folder: created if it does not exist.

    Raises:
        TypeError: the report contains a value that is no JSON value.
        OSError: the folder cannot be written.
    """
    cleaned = _cleaned(report)
    folder.mkdir(parents=True, exist_ok=True)
    as_json = json.dumps(cleaned, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_whole(folder / "report.json", as_json + "\n")
    write_whole(folder / "report.html", render_html(cleaned))


def render_html(report: Report) -> str:
    """Returns the page; the same report gives the same page.

    Args:
        report: as for ``write_report``.

    Raises:
        TypeError: the report contains a value that is no JSON value.
    """
    cleaned = _cleaned(report)
    scene = text(cleaned, "scene")
    title = f"Edge SDK report: {scene}" if scene else "Edge SDK report"
    body = "".join(
        section(cleaned)
        for section in (
            sections.tiles,
            sections.quality,
            sections.freshness,
            sections.session_events,
            sections.explanations,
            sections.speed,
            sections.calibration_and_training,
            sections.facts,
            sections.method,
        )
    )
    return page(title, headline(cleaned), body)


def summary_table(report: Report) -> Table:
    """Returns the rankings and their intervals as a table, the headline below."""
    cleaned = _cleaned(report)
    quality = block(cleaned, "quality")
    closed = number(cleaned, "oracle_gap_closed")
    words = headline(cleaned) + (f" Gap to the oracle closed: {share(closed)}." if closed is not None else "")
    table = Table(
        title=escape_markup(f"Scene {text(cleaned, 'scene')}".rstrip()), caption=words, caption_justify="left"
    )
    table.add_column("ranking", no_wrap=True)
    for label, _ in METRICS.values():
        table.add_column(label, justify="right")
    for name in rankings_of(quality):
        table.add_row(escape_markup(ranking_label(name)), *_cells(block(quality, name), signed=False))
    if change := block(quality, "device_minus_base"):
        table.add_section()
        table.add_row("Device − base", *_cells(change, signed=True), style="bold")
    return table


def _cells(figures: Report, *, signed: bool) -> list[str]:
    """Mean and interval of each metric, one above the other's bounds."""
    intervals = [block(figures, key) for key in METRICS]
    return [
        f"{metric(number(interval, 'mean'), signed=signed)}\n[dim]{span(interval, signed=signed)}[/dim]"
        for interval in intervals
    ]


def _cleaned(report: Report) -> Report:
    cleaned = clean(report)
    if not isinstance(cleaned, Mapping):
        raise TypeError("the report must be a dict of its blocks")
    return cleaned
