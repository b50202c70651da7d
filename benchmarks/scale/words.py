"""Writes figures in words, with their unit and without digits that were not measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from benchmarks.scale.curve import Curve, Fit, Row, unit

LABELS: Final[Mapping[str, str]] = {
    "rank_us": "rank",
    "rank_new_base_us": "rank on a new base",
    "record_us": "record",
    "open_ms": "open",
    "resident_mb": "resident",
    "peak_mb": "peak",
    "bundle_mb": "bundle",
    "pack_s": "packing",
    "ranks_per_s": "ranks",
    "records_per_s": "records",
    "rank_p50_us": "rank p50",
    "rank_p99_us": "rank p99",
    "record_p50_us": "record p50",
    "record_p99_us": "record p99",
    "events_per_s": "both",
    "read_per_s": "reading",
    "replay_per_s": "replay",
    "read_s": "reading",
    "replay_s": "replay",
}

_STEPS: Final[Mapping[str, int]] = {"each ": 1, "a thousand ": 1000, "a million ": 1_000_000}


def amount(value: float) -> str:
    """Returns three digits, thousands set apart: 0.0123, 1.23, 123, 12,300."""
    if value == 0 or abs(value) >= 100:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{value:.3g}" if abs(value) >= 0.001 else f"{value:.1e}"


def head(figure: str) -> str:
    """Returns a column's head: the figure's name and its unit."""
    return f"{LABELS[figure]}, {unit(figure)}"


def cell(row: Row, figure: str) -> str:
    """Returns a median with its lowest and highest round, where they differ."""
    low, high = (amount(row.get(f"{figure}_{end}", row[figure])) for end in ("low", "high"))
    return amount(row[figure]) + (f" ({low} to {high})" if low != high else "")


def line(fit: Fit, curve: Curve) -> str:
    """Returns a fit as a formula: "rank = 130 µs + 0.19 µs for each event (every row within 2.0%)"."""
    sign = "−" if fit.b < 0 else "+"
    measure = unit(fit.figure)
    step = next((name for name in _STEPS if abs(fit.b) * _STEPS[name] >= 0.01), "a million ")
    formula = f"{amount(fit.a)} {measure} {sign} {amount(abs(fit.b) * _STEPS[step])} {measure} for {step}{curve.each}"
    formula += "s" if _STEPS[step] > 1 else ""
    return f"{LABELS[fit.figure]} = {formula} (every row within {fit.worst:.1%})"


def printed(curve: Curve) -> list[str]:
    """Returns the lines of a table for the terminal: title, method, rows, fits, notes."""
    columns = [[curve.over, *(f"{row[curve.over]:,.0f}" for row in curve.rows)]]
    columns += [[head(figure), *(cell(row, figure) for row in curve.rows)] for figure in curve.figures]
    widths = [max(map(len, column)) for column in columns]
    lines = [
        "   ".join(text.rjust(width) for text, width in zip(texts, widths, strict=True))
        for texts in zip(*columns, strict=True)
    ]
    fits = [f"  {line(fit, curve)}" for fit in curve.fits]
    return [curve.title, f"  {curve.method}", *lines, *fits, *(f"  {note}" for note in curve.notes), ""]
