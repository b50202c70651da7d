"""Computes the result's figures from the decisions of the arms.

Shapes: D decisions, U users, C columns of sums.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median

import numpy as np
import numpy.typing as npt

from cloud_export.evaluate.intervals import Interval, interval_of, resampled
from device_sim.fleet.closed_loop import ArmLog, Row
from device_sim.fleet.phone import EngineTally
from device_sim.fleet.result import Arm, Figures, Lift, Range, Runtime, Settings

RESAMPLES = 2000
F64 = npt.NDArray[np.float64]
_Figure = Callable[[F64], F64]  # (R, C) sums -> (R,) figures


def arm_figures(name: str, log: ArmLog, settings: Settings, rules: Sequence[str]) -> Arm:
    """Returns an arm's figures by day and in total."""
    days: list[Figures] = []
    regret = 0.0
    for number in range(1, settings.days + 1):
        rows = _of_day(log.rows, settings, number)
        regret += sum(row.oracle_value - row.value for row in rows)
        days.append(_figures(rows, number, regret))
    return Arm(
        name=name,
        days=tuple(days),
        total=_figures(log.rows, None, regret),
        rules_broken={rule: log.broken[rule] for rule in rules},
    )


def lifts(rows: Mapping[str, Sequence[Row]], settings: Settings) -> tuple[Lift, ...]:
    """Returns the lift of every arm over `base`, and of the device over its alternatives; in total, then by day."""
    pairs = [(name, "base") for name in rows if name != "base"]
    pairs += [("device", over) for over in ("rules", "uploaded") if over in rows]
    found = []
    for day in (None, *range(1, settings.days + 1)):
        of_day = {name: _of_day(of_arm, settings, day) for name, of_arm in rows.items()}
        found += [_lift(of_day, arm, over, day, settings) for arm, over in pairs]
    return tuple(lift for lift in found if lift is not None)


def gap_closed(rows: Mapping[str, Sequence[Row]], settings: Settings) -> Range | None:
    """Returns (device − base) / (oracle − base) of values per decision; None where the oracle is not above the base."""
    if not {"base", "device", "oracle"} <= set(rows):
        return None
    sums = np.concatenate([_user_sums(rows[name], settings) for name in ("base", "device", "oracle")], axis=1)

    def share(columns: F64) -> F64:
        base, device, oracle = (_ratio(columns[:, i], columns[:, i + 1]) for i in (0, 2, 4))
        return _ratio(device - base, oracle - base)

    return _range(sums, share, settings)


def runtime_figures(tally: EngineTally, log: ArmLog, loop_seconds: float, disk_bytes: Sequence[int]) -> Runtime:
    """Returns the figures of the engines."""
    rank_seconds, decisions = sum(tally.rank_s), len(tally.rank_s)
    return Runtime(
        engines_opened=len(tally.open_s),
        open_ms_median=median(tally.open_s or [0.0]) * 1e3,
        events_recorded=tally.events,
        decisions=decisions,
        errors=dict(tally.errors),
        withheld=log.withheld,
        rank_seconds=rank_seconds,
        rank_us_median=median(tally.rank_s or [0.0]) * 1e6,
        rank_decisions_per_s=decisions / rank_seconds if decisions else 0.0,
        loop_seconds=loop_seconds,
        loop_decisions_per_s=decisions / loop_seconds,
        disk_bytes_median=float(median(disk_bytes)),
        disk_bytes_max=max(disk_bytes),
        disk_bytes_total=sum(disk_bytes),
    )


def _figures(rows: Sequence[Row], day: int | None, cumulative_regret: float) -> Figures:
    value, oracle_value = sum(row.value for row in rows), sum(row.oracle_value for row in rows)
    count = max(len(rows), 1)
    return Figures(
        day=day,
        sessions=len({row.session for row in rows}),
        decisions=len(rows),
        seen=sum(row.seen for row in rows),
        value=value,
        oracle_value=oracle_value,
        value_per_decision=value / count,
        regret_per_decision=(oracle_value - value) / count,
        cumulative_regret=cumulative_regret,
        clicks=sum(row.clicks for row in rows),
        conversions=sum(row.conversions for row in rows),
    )


def _lift(rows: Mapping[str, Sequence[Row]], arm: str, over: str, day: int | None, settings: Settings) -> Lift | None:
    sums = np.concatenate([_user_sums(rows[name], settings) for name in (arm, over)], axis=1)

    def difference(columns: F64) -> F64:
        return _ratio(columns[:, 0], columns[:, 1]) - _ratio(columns[:, 2], columns[:, 3])

    def relative(columns: F64) -> F64:
        return _ratio(difference(columns), _ratio(columns[:, 2], columns[:, 3]))

    absolute, share = _range(sums, difference, settings), _range(sums, relative, settings)
    if absolute is None or share is None:  # a day without sessions
        return None
    return Lift(arm=arm, over=over, day=day, absolute=absolute, relative=share)


def _range(sums: F64, figure: _Figure, settings: Settings) -> Range | None:
    """Returns a figure of sums over users (U, C) with an interval from resampling whole users; None = not known."""
    mean = float(figure(sums.sum(axis=0)[None, :])[0])
    found: Interval = interval_of(mean, figure(resampled(sums, RESAMPLES, settings.seed)))
    if np.isnan(found.mean):
        return None
    return Range(mean=found.mean, low=found.low, high=found.high)


def _user_sums(rows: Sequence[Row], settings: Settings) -> F64:
    """Returns value and number of decisions of each user, (U, 2): the same users in every arm, absent ones too."""
    sums = np.zeros((settings.devices, 2))
    for row in rows:
        sums[row.user] += (row.value, 1.0)
    return sums


def _of_day(rows: Sequence[Row], settings: Settings, number: int | None) -> Sequence[Row]:
    return rows if number is None else [row for row in rows if row.day == settings.panel_days + number - 1]


def _ratio(above: F64, below: F64) -> F64:
    """Returns above / below; NaN where below is not positive."""
    quotient = np.full(below.shape, np.nan)
    np.divide(above, below, out=quotient, where=below > 0)
    return quotient
