"""Computes means with bootstrap intervals by resampling whole users.

Shapes: D decisions, U users, C columns of sums that are resampled together, R resamples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]

CONFIDENCE = 0.95
_DRAWS_AT_ONCE = 4_000_000  # user draws held in memory at a time: 32 MB


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and its 95% percentile-bootstrap interval; three NaN where nothing was known."""

    mean: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float]:
        """Returns the form of the report: ``{"mean": …, "low": …, "high": …}``."""
        return {"mean": self.mean, "low": self.low, "high": self.high}


def bootstrap_mean(values: F64, weights: F64 | None, user: I32, *, resamples: int = 1000, seed: int) -> Interval:
    """Returns a weighted mean with a percentile-bootstrap interval over users (Efron & Tibshirani 1993, chapter 13).

    Whole users are drawn with replacement, because the decisions of one user are not independent.

    Args:
        values: (D,) NaN = left out.
        weights: (D,) ≥ 0; None = equal weights.
        user: (D,) user of each decision.
        resamples: the number of resamples.
        seed: the same seed and users give the same draws.

    Returns:
        The mean and an interval that contains it.
    """
    total, weight = weighted(values, weights)
    sums = per_user(np.stack([total, weight], axis=1), user)
    drawn = resampled(sums, resamples, seed)
    return interval_of(float(ratio(total.sum(), weight.sum())), ratio(drawn[:, 0], drawn[:, 1]))


def bootstrap_difference(
    a: F64, b: F64, weights: F64 | None, user: I32, *, resamples: int = 1000, seed: int
) -> Interval:
    """Returns the mean of a − b over the decisions where both are known, with an interval over the same users.

    Both sides use the same users, so differences between users cancel.

    Args:
        a: (D,) NaN = left out.
        b: (D,) the same decisions under the other ranking.
        weights: (D,) ≥ 0; None = equal weights.
        user: (D,) user of each decision.
        resamples: the number of resamples.
        seed: the same seed and users give the same draws.

    Returns:
        The mean difference and its interval.
    """
    return bootstrap_mean(a - b, weights, user, resamples=resamples, seed=seed)


def weighted(values: F64, weights: F64 | None) -> tuple[F64, F64]:
    """Returns weight × value (D,) and weight (D,), both 0 where the value is unknown."""
    weight = np.where(np.isnan(values), 0.0, 1.0 if weights is None else weights)
    return np.where(weight > 0, values, 0.0) * weight, weight


def per_user(columns: F64, user: I32) -> F64:
    """Returns the columns (D, C) summed per user, (U, C)."""
    users, row = np.unique(user, return_inverse=True)
    sums = [np.bincount(row, weights=column, minlength=users.size) for column in columns.T]
    return np.stack(sums, axis=1)


def resampled(sums: F64, resamples: int, seed: int) -> F64:
    """Returns the sums (R, C) over U users drawn with replacement."""
    users = sums.shape[0]
    if users == 0:
        return np.zeros((resamples, sums.shape[1]))
    generator = np.random.default_rng(seed)
    drawn = np.empty((resamples, sums.shape[1]))
    step = max(1, _DRAWS_AT_ONCE // users)
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        draws = generator.integers(users, size=(rows, users)) + np.arange(rows)[:, None] * users
        times = np.bincount(draws.ravel(), minlength=rows * users).reshape(rows, users)
        drawn[start : start + rows] = times.astype(np.float64) @ sums
    return drawn


def interval_of(mean: float, drawn: F64) -> Interval:
    """Returns the mean with the outer percentiles of the (R,) resampled means; NaN resamples are left out."""
    drawn = drawn[~np.isnan(drawn)]
    if np.isnan(mean) or drawn.size == 0:
        return Interval(float("nan"), float("nan"), float("nan"))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return Interval(mean, min(float(low), mean), max(float(high), mean))


def ratio(above: F64 | float, below: F64 | float) -> F64:
    """Returns above / below, NaN where below is not positive."""
    below = np.asarray(below, dtype=np.float64)
    quotient = np.full(below.shape, np.nan)
    np.divide(above, below, out=quotient, where=below > 0)
    return quotient
