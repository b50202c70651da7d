"""Inclusion probabilities: how probable each candidate is on a slate drawn by Plackett–Luce under category limits.

Candidates arrive at independent exponential times; Plackett–Luce is the order of such arrivals. Given the arrival time
of one candidate, the number of earlier arrivals of each category is a Poisson-binomial count. The integral over the
candidate's own arrival time is a trapezoid sum in the logarithm of the time.

A candidate arrives within a few powers of e around its mean time. So the sum runs over those times alone, and logits
may be any distance apart: a candidate that has certainly arrived by then takes its place, one that certainly has not
takes none.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import reduce
from typing import Final

import numpy as np
import numpy.typing as npt

from edge_sdk.types import F64, I64

# The step of the quadrature, in log time. The number of arrivals passes `places` within about 1 / sqrt(places), and the
# step follows that. A step of half the size changes no result by more than 1e-12.
_LONGEST_STEP: Final = 0.2
_STEP_OF_ONE_PLACE: Final = 0.75
_TAIL: Final = 1e-14  # probability left out at each end of a candidate's own arrival times
_EARLIEST: Final = float(np.log(_TAIL))  # in log time, relative to the mean: no candidate arrives earlier
_LATEST: Final = float(np.log(-np.log(_TAIL)))  # every candidate has arrived by then
_BLOCK_NUMBERS: Final = 1 << 20  # numbers in each of the two largest arrays of a block of times: 8 MB
Counts = npt.NDArray[np.float64]  # (n, Q): the probability of 0, 1, … arrivals, at each of Q times


def arrivals_within(logits: F64, groups: I64, limits: I64, places: int) -> F64:
    """Returns the probability of each candidate to get one of the places, (n,).

    Args:
        logits: (n,) logarithms of the arrival rates; finite, any distance apart.
        groups: (n,) category of each candidate.
        limits: by group, how many of its candidates may get a place.
        places: number of places on the list.
    """
    sizes = np.bincount(groups, minlength=len(limits))
    quotas = np.minimum(limits, sizes)
    if int(quotas.sum()) > places:
        return _of_shared_places(logits, groups, np.minimum(quotas, places), places)
    result = np.ones(len(logits))  # there is a place for every candidate that its category's limit lets through
    for group in np.flatnonzero(quotas < sizes).tolist():
        members, quota = np.flatnonzero(groups == group), int(quotas[group])
        alone = np.zeros(len(members), np.int64)
        result[members] = _of_shared_places(logits[members], alone, quotas[[group]], quota) if quota else 0.0
    return result


def _of_shared_places(logits: F64, groups: I64, quotas: I64, places: int) -> F64:
    """Returns the same where more candidates compete than there are places, (n,)."""
    result = np.zeros(len(logits))
    order = np.argsort(-logits, kind="stable")
    ahead = np.zeros(len(quotas), np.int64)  # candidates of earlier clusters, by group
    step = min(_LONGEST_STEP, _STEP_OF_ONE_PLACE / math.sqrt(places))
    for cluster in _clusters(logits, order):
        mean = logits[cluster[0]] - logits[cluster]  # log of the mean arrival time, relative to the first candidate's
        for times in _blocks(float(mean[-1]), step, len(cluster) * places):
            is_come = mean + _LATEST < times[0]
            came = ahead + np.bincount(groups[cluster[is_come]], minlength=len(quotas))
            left = places - int(np.minimum(came, quotas).sum())
            if left <= 0:
                return np.minimum(result, 1.0)
            is_active = ~is_come & (mean + _EARLIEST <= times[-1])
            active = cluster[is_active]
            quotas_left = np.maximum(quotas - came, 0)
            arriving = _arriving(times - mean[is_active, None], groups[active], quotas_left, left)
            result[active] += step * arriving
        ahead += np.bincount(groups[cluster], minlength=len(quotas))
    return np.minimum(result, 1.0)


def _clusters(logits: F64, order: I64) -> Iterator[I64]:
    """Returns the candidates cut where all before a gap arrive before all after it, best first."""
    gaps = -np.diff(logits[order])
    return iter(np.split(order, np.flatnonzero(gaps > _LATEST - _EARLIEST) + 1))


def _blocks(latest_mean: float, step: float, numbers: int) -> Iterator[F64]:
    """Returns the times of the quadrature for a cluster, in blocks: log times relative to its first candidate's mean.

    Args:
        latest_mean: log of the largest mean arrival time.
        step: between two times.
        numbers: how many numbers each time needs in memory.
    """
    count = int((latest_mean + _LATEST - _EARLIEST) / step) + 2
    longest = int(2 * (_LATEST - _EARLIEST) / step)  # a longer block has more candidates that may arrive in it
    size = max(1, min(longest, _BLOCK_NUMBERS // numbers))
    for start in range(0, count, size):
        yield _EARLIEST + np.arange(start, min(start + size, count), dtype=np.float64) * step


def _arriving(times: F64, groups: I64, quotas: I64, places: int) -> F64:
    """Returns the density of each candidate to arrive and get a place, summed over Q times, (n,).

    Args:
        times: (n, Q) log times relative to each candidate's mean.
        groups: (n,) category of each candidate.
        quotas: by group, how many of its candidates may still get a place.
        places: places that are left, at least 1.
    """
    passed = np.exp(times)
    density = passed * np.exp(-passed)  # of the own arrival time, in its logarithm
    arrived = -np.expm1(-passed)
    result = np.zeros(len(times))
    kinds = [kind for kind in np.unique(groups).tolist() if quotas[kind]]
    if not kinds:
        return result
    members = [np.flatnonzero(groups == kind) for kind in kinds]
    limits = [int(min(quotas[kind], places)) for kind in kinds]
    steps = [[np.stack([1.0 - arrived[i], arrived[i]]) for i in group.tolist()] for group in members]
    taken = [_capped(_product(step, places), limit, places) for step, limit in zip(steps, limits, strict=True)]
    for group, limit, step, elsewhere in zip(members, limits, steps, _without_each(taken, places), strict=True):
        others_take = np.cumsum(elsewhere, axis=0)  # probability that other groups take at most so many places
        for i, others in zip(group.tolist(), _without_each(step, places), strict=True):
            before = others[:limit]  # fewer earlier arrivals of the own group than its quota
            last = len(others_take) - 1
            free = sum(before[a] * others_take[min(places - 1 - a, last)] for a in range(len(before)))
            result[i] = float((density[i] * free).sum())
    return result


def _times(one: Counts, other: Counts, size: int) -> Counts:
    """Returns the distribution of a sum of two counts, up to `size` - 1; larger sums are left out."""
    if len(one) > len(other):
        one, other = other, one  # one step for each number of the shorter
    product = np.zeros((min(len(one) + len(other) - 1, size), one.shape[1]))
    for a in range(min(len(one), size)):
        end = min(len(other), len(product) - a)
        product[a : a + end] += one[a] * other[:end]
    return product


def _product(counts: list[Counts], size: int) -> Counts:
    return reduce(lambda one, other: _times(one, other, size), counts)


def _without_each(counts: list[Counts], size: int) -> list[Counts]:
    """Returns for each count the distribution of the sum of all other counts."""
    nothing = np.ones((1, counts[0].shape[1]))
    before, after = [nothing], [nothing]
    for one in counts[:-1]:
        before.append(_times(before[-1], one, size))
    for one in reversed(counts[1:]):
        after.append(_times(after[-1], one, size))
    return [_times(one, other, size) for one, other in zip(before, reversed(after), strict=True)]


def _capped(counts: Counts, quota: int, places: int) -> Counts:
    """Returns the distribution of the places that a group takes: at most its quota, however many arrive."""
    if quota >= places:
        return counts  # so many arrivals fill the list anyway: their probability is left out
    capped = counts[: quota + 1].copy()
    if len(capped) > quota:
        capped[quota] = 1.0 - capped[:quota].sum(axis=0)
    return capped
