"""Prints the figures of `benchmarks.speed` as a table and returns them as JSON."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.speed.rounds import Row
from benchmarks.targets import Target
from cloud_export.evaluate.speed import processor
from cloud_export.json_types import JsonValue

# Figure, and the rows whose ratio it is.
_RATIOS = (
    ("rank_over_litert", "rank", "litert"),
    ("model_over_c", "model", "c"),
    ("rank_over_typical", "rank", "typical"),
)
_ALSO = ("rank_five", "rank_all", "rank_new_event")  # the cost of building the result is not to be hidden
_OURS = "rank"
_SUFFIXES = ((128, ""), (32, "_32"))


def ratios(rows: Sequence[Row]) -> dict[str, JsonValue]:
    """Returns the ratios, among them those with targets; None where a competitor is missing."""
    found: dict[str, JsonValue] = {}
    for window, suffix in _SUFFIXES:
        for name, mine, theirs in _RATIOS:
            found[f"{name}{suffix}"] = _ratio(rows, window, mine, theirs)
            for also in _ALSO if mine == _OURS else ():
                found[f"{name.replace('rank', also, 1)}{suffix}"] = _ratio(rows, window, also, theirs)
    return found


def as_json(rows: Sequence[Row]) -> dict[str, JsonValue]:
    """Returns one object a window: the identity and the figures of each competitor."""
    windows: dict[str, JsonValue] = {}
    for window, _ in _SUFFIXES:
        windows[f"window_{window}"] = {row.peer.key: _row_json(rows, row) for row in rows if row.window == window}
    return {
        "machine": f"{processor()}, Python {platform.python_version()}, {platform.system()} {platform.machine()}",
        **windows,
    }


def print_rows(rows: Sequence[Row]) -> None:
    """Prints one table a window."""
    for window in sorted({row.window for row in rows}, reverse=True):
        print(f"\nwindow {window}")
        print(f"{'':36} {'median µs':>10} {'p10 to p90':>18} {'÷ LiteRT':>9} {'÷ rank':>8} {'difference':>11}")
        for row in rows:
            if row.window == window:
                print(_line(rows, row))


def print_targets(found: Mapping[str, JsonValue], wanted: Mapping[str, Target]) -> None:
    """Prints each figure beside its target."""
    print()
    for name, value in found.items():
        shown = "missing" if value is None else _number(value)
        figure = float(value) if isinstance(value, int | float) else None
        verdict = wanted[name].verdict(figure) if name in wanted else ""
        print(f"{name:36} {shown:>10}   {verdict}".rstrip())


def _line(rows: Sequence[Row], row: Row) -> str:
    if row.median_us is None:
        return f"{row.peer.label:36} missing: {row.missing}"
    low, high = np.percentile(row.medians_us, [10, 90])
    difference = "other model" if row.difference is None else f"{row.difference:.1e}"
    to_litert, to_ours = (_ratio(rows, row.window, row.peer.key, key) for key in ("litert", _OURS))
    spread = f"{low:.1f} to {high:.1f}"
    note = f"   {row.note}" if row.note else ""
    return (
        f"{row.peer.label:36} {row.median_us:10.1f} {spread:>18} {_shown(to_litert):>9} {_shown(to_ours):>8} "
        f"{difference:>11}{note}"
    )


def _number(value: JsonValue) -> str:
    if isinstance(value, float):
        return f"{value:,.3f}" if value < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _shown(ratio: float | None) -> str:
    return "–" if ratio is None else f"{ratio:.2f}"


def _row_json(rows: Sequence[Row], row: Row) -> dict[str, JsonValue]:
    about: dict[str, JsonValue] = {"label": row.peer.label, "versions": row.versions}
    if row.median_us is None:
        return about | {"missing": row.missing}
    low, high = np.percentile(row.medians_us, [10, 90]).tolist()
    return about | {
        "median_us": row.median_us,
        "p10_us": low,
        "p90_us": high,
        "over_litert": _ratio(rows, row.window, row.peer.key, "litert"),
        "over_rank": _ratio(rows, row.window, row.peer.key, _OURS),
        "difference": row.difference,
        "note": row.note,
    }


def _ratio(rows: Sequence[Row], window: int, mine: str, theirs: str) -> float | None:
    by_key = {row.peer.key: row for row in rows if row.window == window}
    if mine not in by_key or theirs not in by_key:
        return None
    return by_key[mine].ratio_to(by_key[theirs])
