"""Reads the blocks of a report, formats its numbers, and writes its headline and glossary.

The report is plain JSON; any block may be missing, and any number may be null.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from cloud_export.json_types import JsonValue, Report

MISSING = "–"
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

METRICS = {
    "ndcg5": ("NDCG@5", "how much of the possible gain the first five places collect, earlier places counting more"),
    "hr1": ("HR@1", "how often the first place is one the user responds to"),
    "gauc": ("GAUC", "how often a good candidate is ranked above another one within a decision; 0.5 is chance"),
}

RANKINGS = {
    "random": ("Random", "a shuffled order: the floor"),
    "popularity": ("Popularity", "what most users respond to, the same for everyone"),
    "base": ("Base (cloud, yesterday)", "the cloud's ranking from what it knew as of last midnight"),
    "device": (
        "Device",
        "the base plus the adjustment made on the phone, run through the packed bundle and the real Engine",
    ),
    "device_60s_late": ("Device, 60 s late", "the same model, when its events arrive 60 seconds late"),
    "base_realtime": ("Base in real time", "the cloud's ranker, fitted and fed with every event at once"),
    "realtime": ("Device on real-time base", "the device model, not retrained, on top of that real-time base"),
    "oracle": ("Oracle", "the simulator's true probabilities: no ranking can do better on average"),
}


def clean(value: JsonValue) -> JsonValue:
    """Returns the value as strict JSON: NaN and infinities become null, numpy scalars become Python's.

    Raises:
        TypeError: a value is no JSON value.
    """
    if isinstance(value, np.generic):
        return clean(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): clean(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [clean(inner) for inner in value]
    raise TypeError(f"the report contains a {type(value).__name__}: write it as text, a number, a list or a dict")


def block(source: Report, key: str) -> Report:
    """Returns the mapping at ``key``; empty if there is none."""
    value = source.get(key)
    return value if isinstance(value, Mapping) else {}


def rows(source: Report, key: str) -> list[Report]:
    """Returns the mappings listed at ``key``; empty if there are none."""
    value = source.get(key)
    if not isinstance(value, Sequence) or isinstance(value, str):
        return []
    return [row for row in value if isinstance(row, Mapping)]


def number(source: Report, key: str) -> float | None:
    """Returns the finite number at ``key``, or None."""
    value = source.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def text(source: Report, key: str) -> str:
    """Returns the value at ``key`` as one line of text; empty if there is none."""
    value = source.get(key)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return plain(number(source, key))
    return "" if value is None else " ".join(str(value).split())


def rankings_of(quality: Report) -> list[str]:
    """Returns the measured rankings: the known ones in the order of the glossary, then any other."""
    others = [name for name in quality if name not in RANKINGS and name != "device_minus_base"]
    return [name for name in (*RANKINGS, *others) if block(quality, name)]


def ranking_label(name: str) -> str:
    """Returns the displayed name of a ranking."""
    return RANKINGS.get(name, (name.replace("_", " "), ""))[0]


def plain(value: float | None) -> str:
    """Returns a number as text: whole numbers with thousands separators, others with three significant digits."""
    if value is None:
        return MISSING
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) < 1e-3:
        digits, power = f"{value:.1e}".split("e")
        return f"{digits}\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}10{str(int(power)).translate(_RAISED)}"
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


def share(value: float | None) -> str:
    """Returns a fraction as a percentage."""
    return MISSING if value is None else f"{_minus(f'{value * 100:.0f}')}%"


def size(bytes_: float | None) -> str:
    """Returns a size in bytes as text, in decimal kilobytes or megabytes."""
    if bytes_ is None:
        return MISSING
    if bytes_ < 1000:
        return f"{bytes_:.0f} B"
    return f"{plain(round(bytes_ / 1000))} KB" if bytes_ < 1e6 else f"{plain(bytes_ / 1e6)} MB"


def metric(value: float | None, *, signed: bool = False) -> str:
    """Returns a metric with three decimals."""
    if value is None:
        return MISSING
    return _minus(f"{value:+.3f}" if signed else f"{value:.3f}")


def span(interval: Report, *, signed: bool = False) -> str:
    """Returns the bounds of an interval: "0.409 to 0.415"."""
    low, high = number(interval, "low"), number(interval, "high")
    return MISSING if low is None or high is None else f"{metric(low, signed=signed)} to {metric(high, signed=signed)}"


def headline(report: Report) -> str:
    """Returns the result in one or two sentences that claim no more than the interval allows."""
    quality = block(report, "quality")
    base, device, change = (block(block(quality, name), "ndcg5") for name in ("base", "device", "device_minus_base"))
    before, after = number(base, "mean"), number(device, "mean")
    if before is None or after is None:
        return "This ranking was not compared with the cloud's, so this page claims nothing about its quality."
    where = _where(block(report, "data"))
    model = f"the phone-sized model{_model_size(report)}"
    low, high = number(change, "low"), number(change, "high")
    if low is None or high is None:
        return (
            f"{where}, {model} reaches NDCG@5 {metric(after)}, against {metric(before)} for yesterday's cloud ranking. "
            "There is no interval for the difference, so do not rely on it."
        )
    difference = f"({metric(number(change, 'mean'), signed=True)}, 95% interval {span(change, signed=True)})"
    if low > 0:
        return (
            f"{where}, {model} lifts NDCG@5 from {metric(before)} to {metric(after)} {difference} "
            "over yesterday's cloud ranking."
        )
    if high < 0:
        return (
            f"{where}, {model} makes the ranking worse: NDCG@5 falls from {metric(before)}, yesterday's cloud ranking, "
            f"to {metric(after)} {difference}. Do not release this bundle."
        )
    return (
        f"{where}, no difference was shown between {model} and yesterday's cloud ranking: NDCG@5 {metric(after)} "
        f"against {metric(before)} {difference}. The interval includes zero."
    )


def _where(data: Report) -> str:
    """Names the decisions and users of the comparison, as far as the report has them."""
    decisions, users = number(data, "test_decisions"), number(data, "test_users")
    if decisions is None:
        return "In the decisions it was tested on"
    by_users = "" if users is None else f" by {plain(users)} users"
    return f"In {plain(decisions)} decisions{by_users}, held back from training"


def _model_size(report: Report) -> str:
    parameters, bundle = number(report, "parameters"), number(report, "bundle_bytes")
    parts = [f"{plain(parameters)} parameters"] if parameters is not None else []
    parts += [size(bundle)] if bundle is not None else []
    return f" ({', '.join(parts)})" if parts else ""


def _minus(digits: str) -> str:
    """Writes a real minus sign, and none before a zero."""
    if digits.startswith("-") and float(digits) == 0:
        digits = digits[1:]
    return digits.replace("-", "−")
