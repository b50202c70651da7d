"""The figures of `benchmarks.speed.__main__` as a table and as JSON."""

from __future__ import annotations

import platform
from collections.abc import Sequence

import numpy as np

from benchmarks.speed.rounds import Row
from cloud_export.evaluate.speed import processor
from cloud_export.json_types import JsonValue

# Figure, its target at 128 and at 32, and the rows whose ratio it is.
_RATIOS = (
    ("rank_over_litert", 1.0, 1.6, "rank", "litert"),
    ("model_over_c", 1.8, 2.4, "model", "c"),
    ("rank_over_typical", 0.5, 0.5, "rank", "typical"),
)
_ALSO = ("rank_five", "rank_all", "rank_new_event")  # so that nobody can say that building the result was hidden
_OURS = "rank"
_OTHER_TARGETS: dict[str, JsonValue] = {
    "open_to_first_decision_ms": 20.0,
    "import_ms_beyond": 15.0,
    "memory_mb_beyond": 6.0,
    "bundle_bytes_2000": 300_000,
    "bundle_bytes_360": 120_000,
}
_SUFFIXES = ((128, ""), (32, "_32"))


def ratios(rows: Sequence[Row]) -> dict[str, JsonValue]:
    """The figures with targets; None where a competitor is missing."""
    found: dict[str, JsonValue] = {}
    for window, suffix in _SUFFIXES:
        for name, _, _, mine, theirs in _RATIOS:
            found[f"{name}{suffix}"] = _ratio(rows, window, mine, theirs)
            for also in _ALSO if mine == _OURS else ():
                found[f"{name.replace('rank', also, 1)}{suffix}"] = _ratio(rows, window, also, theirs)
    return found


def targets() -> dict[str, JsonValue]:
    """At most so much."""
    of_ratios: dict[str, JsonValue] = {
        f"{name}{suffix}": target
        for name, wide, narrow, _, _ in _RATIOS
        for (_, suffix), target in zip(_SUFFIXES, (wide, narrow), strict=True)
    }
    return of_ratios | _OTHER_TARGETS


def as_json(rows: Sequence[Row]) -> dict[str, JsonValue]:
    """One object a window: what each competitor is, and its figures."""
    windows: dict[str, JsonValue] = {}
    for window, _ in _SUFFIXES:
        windows[f"window_{window}"] = {row.peer.key: _row_json(rows, row) for row in rows if row.window == window}
    return {
        "machine": f"{processor()}, Python {platform.python_version()}, {platform.system()} {platform.machine()}",
        **windows,
    }


def print_rows(rows: Sequence[Row]) -> None:
    """One table a window, and then the ratios that have targets."""
    for window in sorted({row.window for row in rows}, reverse=True):
        print(f"\nwindow {window}")
        print(f"{'':36} {'median µs':>10} {'p10 to p90':>18} {'÷ LiteRT':>9} {'÷ rank':>8} {'difference':>11}")
        for row in rows:
            if row.window == window:
                print(_line(rows, row))


def print_targets(found: dict[str, JsonValue], wanted: dict[str, JsonValue]) -> None:
    """Each figure beside its target."""
    print()
    for name, value in found.items():
        target = wanted.get(name)
        shown = "missing" if value is None else _number(value)
        print(f"{name:36} {shown:>10}{_verdict(value, target)}")


def _verdict(value: JsonValue, target: JsonValue) -> str:
    if not isinstance(target, int | float):
        return ""
    verdict = "not known"
    if isinstance(value, int | float):
        verdict = "held" if value <= target else "MISSED"
    return f"   target: {_number(target)} at most   {verdict}"


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
