"""Figures in words: with their unit, and no digit that was not measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from benchmarks.scale.curve import Curve, Fit, Row, unit

LABELS: Final[Mapping[str, str]] = {
    "rank_us": "rank",
    "rank_new_base_us": "rank, new base decision",
    "record_us": "record",
    "open_ms": "open to first decision",
    "resident_mb": "resident",
    "peak_mb": "peak",
    "bundle_mb": "bundle",
    "pack_s": "packing, in the cloud",
    "ranks_per_s": "ranks",
    "records_per_s": "records",
    "rank_p50_us": "rank, median",
    "rank_p99_us": "rank, 99th percentile",
    "record_p50_us": "record, median",
    "record_p99_us": "record, 99th percentile",
    "events_per_s": "reading and replay",
    "read_per_s": "reading",
    "replay_per_s": "replay",
    "read_s": "reading",
    "replay_s": "replay",
}


def amount(value: float) -> str:
    """Three digits, thousands set apart: 0.0123, 1.23, 123, 12,300."""
    if value == 0 or abs(value) >= 100:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{value:.3g}" if abs(value) >= 0.001 else f"{value:.1e}"


def head(figure: str) -> str:
    """A column's head: what it is and its unit."""
    return f"{LABELS[figure]}, {unit(figure)}"


def cell(row: Row, figure: str) -> str:
    """A median with its lowest and highest round, where there were several."""
    low, high = row.get(f"{figure}_low"), row.get(f"{figure}_high")
    spread = "" if low is None or high is None or low == high else f" ({amount(low)} to {amount(high)})"
    return f"{amount(row[figure])}{spread}"


def line(fit: Fit, curve: Curve) -> str:
    """A fit as a formula: "rank = 130 µs + 0.19 µs · events (every row within 2.0%)"."""
    sign = "−" if fit.b < 0 else "+"
    measure = unit(fit.figure)
    formula = f"{amount(fit.a)} {measure} {sign} {amount(abs(fit.b))} {measure} · {curve.each}s"
    return f"{LABELS[fit.figure]} = {formula} (every row within {fit.worst:.1%})"


def printed(curve: Curve) -> list[str]:
    """The lines of a table for the terminal: title, method, rows, fits, notes."""
    columns = [[curve.over, *(f"{row[curve.over]:,.0f}" for row in curve.rows)]]
    columns += [[head(figure), *(cell(row, figure) for row in curve.rows)] for figure in curve.figures]
    widths = [max(map(len, column)) for column in columns]
    lines = ["   ".join(text.rjust(width) for text, width in zip(texts, widths, strict=True))
             for texts in zip(*columns, strict=True)]  # fmt: skip
    fits = [f"  {line(fit, curve)}" for fit in curve.fits]
    return [curve.title, f"  {curve.method}", *lines, *fits, *(f"  {note}" for note in curve.notes), ""]
