"""Ranking metrics: computes a figure per decision over ragged decisions, and their table for the report.

Shapes: D decisions, M candidates of all decisions laid end to end, K of them with a known relevance.
A metric has one figure per decision, NaN where it is undefined; means and intervals leave those decisions out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cloud_export.evaluate.intervals import (
    Interval,
    bootstrap_difference,
    bootstrap_mean,
    interval_of,
    per_user,
    ratio,
    resampled,
    weighted,
)

__all__ = [
    "Interval",
    "Rankings",
    "auc_by_decision",
    "bootstrap_difference",
    "bootstrap_mean",
    "gap_closed",
    "gauc",
    "hit_rate_at_1",
    "ndcg_at",
    "quality",
    "random_scores",
    "spearman",
]

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True, eq=False)
class Rankings:
    """The outcomes of the candidates of D decisions, concatenated.

    Raises:
        ValueError: the arrays do not fit together, or a relevance is negative.
    """

    user: I32  # (D,) user of each decision
    offsets: I64  # (D + 1,) decision d has the candidates offsets[d]:offsets[d + 1]
    relevance: F32  # (M,) ≥ 0; NaN = unknown (not shown), and then the candidate is left out

    def __post_init__(self) -> None:
        if self.offsets.shape != (self.user.size + 1,):
            raise ValueError(
                f"offsets has shape {self.offsets.shape}, expected ({self.user.size + 1},): one more than users"
            )
        if self.offsets[0] != 0 or self.offsets[-1] != self.relevance.size or bool(np.any(np.diff(self.offsets) < 0)):
            raise ValueError(f"offsets must rise from 0 to {self.relevance.size}, the number of relevances")
        if bool(np.any(self.relevance < 0)):
            raise ValueError("relevance must be ≥ 0: write NaN where it is unknown")


def ndcg_at(rankings: Rankings, scores: Scores, k: int = 5) -> F64:
    """Returns the normalised discounted cumulative gain of the first k places.

    DCG@k = Σ_{place ≤ k} relevance / log2(place + 1), divided by the DCG@k of the best possible order. The measure is
    that of Järvelin & Kekäläinen (2002), "Cumulated gain-based evaluation of IR techniques", with linear gain and the
    now usual discount log2(place + 1), which lowers the second place already (theirs starts with the third).

    Args:
        rankings: D decisions, M candidates.
        scores: (M,) higher is better; ties go to the lower candidate index, as on the device.
        k: the number of places that count.

    Returns:
        (D,) between 0 and 1; NaN where no known candidate has a positive relevance.

    Raises:
        ValueError: scores has another shape than the relevances or contains NaN.
    """
    known = _known(rankings, scores)
    reached = _cumulated_gain(known, known.scores, k)
    possible = _cumulated_gain(known, known.relevance, k)
    return np.minimum(ratio(reached, possible), 1.0)  # rounding may pass 1 by one bit


def hit_rate_at_1(rankings: Rankings, scores: Scores) -> F64:
    """Returns whether the first-placed known candidate has a positive relevance.

    Args:
        rankings: D decisions, M candidates.
        scores: (M,) higher is better; ties go to the lower candidate index, as on the device.

    Returns:
        (D,) 1 or 0; NaN where no known candidate has a positive relevance.

    Raises:
        ValueError: scores has another shape than the relevances or contains NaN.
    """
    known = _known(rankings, scores)
    order, place = _places(known, known.scores)
    first = order[place == 0]
    hit = np.full(known.decisions, np.nan)
    hit[known.decision[first]] = known.relevance[first] > 0
    hit[known.count(known.relevance > 0) == 0] = np.nan
    return hit


def auc_by_decision(rankings: Rankings, scores: Scores) -> tuple[F64, F64]:
    """Returns the area under the ROC curve of each decision: P(a positive outscores a negative), a tie counts half.

    Computed from average ranks (Mann & Whitney 1947): (Σ ranks of positives − p(p + 1)/2) / (p · n).

    Args:
        rankings: D decisions, M candidates; relevance > 0 is the positive class.
        scores: (M,) higher is better.

    Returns:
        (D,) the AUC, NaN where only one class is known; and (D,) its weight in ``gauc``: how many candidates are known.

    Raises:
        ValueError: scores has another shape than the relevances or contains NaN.
    """
    known = _known(rankings, scores)
    positive = known.relevance > 0
    positives, size = known.count(positive), known.count(np.ones(positive.size, dtype=np.bool_))
    rank = _average_ranks(known.decision, known.scores)
    rank_sum = np.bincount(known.decision[positive], weights=rank[positive], minlength=known.decisions)
    return ratio(rank_sum - positives * (positives + 1) / 2, positives * (size - positives)), size


def gauc(rankings: Rankings, scores: Scores) -> float:
    """Returns the grouped AUC: the mean of the users' AUC, weighted by each user's number of known candidates.

    From Zhou et al. (2018), "Deep Interest Network for Click-Through Rate Prediction". A user's AUC is here the mean of
    the AUC *inside* each of the user's decisions, weighted alike, so that candidates of different decisions are never
    compared; the two weighted means collapse to one over decisions. Decisions with a single known class are left out.

    Args:
        rankings: D decisions, M candidates.
        scores: (M,) higher is better.

    Returns:
        Between 0 and 1, a random order having 0.5; NaN if no decision has both classes.

    Raises:
        ValueError: scores has another shape than the relevances or contains NaN.
    """
    total, weight = weighted(*auc_by_decision(rankings, scores))
    return float(ratio(total.sum(), weight.sum()))


def gap_closed(base: float, device: float, oracle: float) -> float:
    """Returns the share of the gap from base to oracle that the device closes: (device − base) / (oracle − base).

    Returns:
        Below 0 if the device is worse than the base; NaN if the oracle is no better than the base.
    """
    return (device - base) / (oracle - base) if oracle > base else float("nan")


def spearman(a: Scores, b: Scores) -> float:
    """Returns Spearman's rank correlation: Pearson's correlation of the ranks, with average ranks for ties.

    Args:
        a: (n,)
        b: (n,)

    Returns:
        Between −1 and 1; NaN if either side is constant or shorter than two.
    """
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"a has shape {a.shape} and b {b.shape}: both must be one-dimensional and alike")
    one_group = np.zeros(a.size, dtype=np.int64)
    ranks = np.stack([_average_ranks(one_group, a), _average_ranks(one_group, b)])
    centred = ranks - (a.size + 1) / 2
    covariance = centred @ centred.T
    return float(ratio(covariance[0, 1], np.sqrt(covariance[0, 0] * covariance[1, 1])))


def random_scores(rankings: Rankings, *, seed: int) -> F32:
    """Returns the scores of a random ranking: (M,) uniform in [0, 1)."""
    return np.random.default_rng(seed).random(rankings.relevance.size, dtype=np.float32)


def quality(
    rankings: Rankings, scores: Mapping[str, Scores], *, resamples: int = 1000, seed: int = 0
) -> dict[str, dict[str, dict[str, float]]]:
    """Returns the three metrics of every ranking with their intervals: the ``quality`` block of the report.

    Args:
        rankings: D decisions, M candidates.
        scores: name of a ranking → (M,) its scores.
        resamples: the number of resamples; all figures use the same draws.
        seed: the seed of the draws.

    Returns:
        ``{name: {"ndcg5" | "hr1" | "gauc": {"mean", "low", "high"}}}``, and ``"device_minus_base"`` paired by user if
        the two are among the names.
    """
    figures = {name: _figures(rankings, of_ranking) for name, of_ranking in scores.items()}
    if "device" in figures and "base" in figures:
        pairs = zip(figures["device"].items(), figures["base"].values(), strict=True)
        figures["device_minus_base"] = {metric: (a - b, weight) for (metric, (a, weight)), (b, _) in pairs}
    columns = [column for metrics in figures.values() for pair in metrics.values() for column in weighted(*pair)]
    sums = per_user(np.stack(columns, axis=1), rankings.user) if columns else np.zeros((0, 0))
    drawn, whole = resampled(sums, resamples, seed), sums.sum(axis=0)
    intervals = iter(
        interval_of(float(ratio(whole[c], whole[c + 1])), ratio(drawn[:, c], drawn[:, c + 1])).to_dict()
        for c in range(0, len(columns), 2)
    )
    return {name: {metric: next(intervals) for metric in metrics} for name, metrics in figures.items()}


@dataclass(frozen=True, slots=True)
class _Known:
    """The candidates whose relevance is known, in decision order."""

    decisions: int  # D, decisions without a known candidate included
    decision: I64  # (K,) rising
    relevance: F64  # (K,)
    scores: F64  # (K,)

    def count(self, flags: Flags) -> F64:
        """Returns the number of flagged candidates of each decision, (D,)."""
        return np.bincount(self.decision[flags], minlength=self.decisions).astype(np.float64)


def _known(rankings: Rankings, scores: Scores) -> _Known:
    if scores.shape != rankings.relevance.shape:
        raise ValueError(f"scores has shape {scores.shape}, expected {rankings.relevance.shape}: one per candidate")
    known = ~np.isnan(rankings.relevance)
    kept = scores[known].astype(np.float64)
    if bool(np.isnan(kept).any()):
        raise ValueError("scores contains NaN, which cannot be ordered: fix what made it")
    decision = np.repeat(np.arange(rankings.user.size, dtype=np.int64), np.diff(rankings.offsets))
    return _Known(rankings.user.size, decision[known], rankings.relevance[known].astype(np.float64), kept)


def _places(known: _Known, by: F64) -> tuple[I64, I64]:
    """Returns the order of the candidates by decision, then descending, and the place (from 0) *in that order*."""
    order = np.lexsort((-by, known.decision))  # stable, so ties keep the candidate order
    return order, np.arange(order.size) - np.searchsorted(known.decision, known.decision)


def _cumulated_gain(known: _Known, by: F64, k: int) -> F64:
    """Returns DCG@k (D,) of the order by ``by``."""
    order, place = _places(known, by)
    counted = place < k
    gain = known.relevance[order[counted]] / np.log2(place[counted] + 2)
    return np.bincount(known.decision[counted], weights=gain, minlength=known.decisions).astype(np.float64)


def _average_ranks(group: I64, values: Scores) -> F64:
    """Returns ranks from 1 upwards within each group (rising); equal values have their average rank."""
    order = np.lexsort((values, group))
    start_of_group = np.searchsorted(group, group)
    ordered = values[order]
    fresh = np.r_[True, (ordered[1:] != ordered[:-1]) | (group[1:] != group[:-1])][: values.size]
    first = np.flatnonzero(fresh)
    last = np.r_[first[1:], values.size] - 1
    run = np.cumsum(fresh) - 1
    ranks = np.empty(values.size)
    ranks[order] = (first[run] + last[run]) / 2 - start_of_group + 1
    return ranks


def _figures(rankings: Rankings, scores: Scores) -> dict[str, tuple[F64, F64 | None]]:
    """Returns each metric's value and weight per decision."""
    return {
        "ndcg5": (ndcg_at(rankings, scores), None),
        "hr1": (hit_rate_at_1(rankings, scores), None),
        "gauc": auc_by_decision(rankings, scores),
    }
