"""Inclusion probabilities: how probable each candidate is on a slate drawn by Plackett–Luce under category limits."""

from __future__ import annotations

from functools import reduce
from typing import Final

import numpy as np
import numpy.typing as npt

from edge_sdk.types import F64, I64

_STEP: Final = 0.2  # of the quadrature, in log time; a step of half the size changes no result by more than 1e-12
_TAIL: Final = 1e-14  # probability left out at the lower end of the quadrature
LOWEST_LOGIT: Final = -60.0  # below the best offer's; an offer further below is drawn with this logit (1e-26)
Counts = npt.NDArray[np.float64]  # (n, Q): the probability of 0, 1, … arrivals, at each of Q times


def arrivals_within(rates: F64, groups: I64, limits: I64, places: int) -> F64:
    """Returns the probability of each candidate to get one of the places, (n,).

    Args:
        rates: (n,) arrival rates.
        groups: (n,) category of each candidate.
        limits: by group, how many of its candidates may get a place.
        places: number of places on the list.
    """
    times = np.exp(np.arange(np.log(_TAIL / rates.max()), np.log(-np.log(_TAIL) / rates.min()) + _STEP, _STEP))
    arrived = -np.expm1(-rates[:, None] * times)
    density = (
        rates[:, None] * times * np.exp(-rates[:, None] * times) * _STEP
    )  # of the own arrival time, in its logarithm
    result = np.zeros(len(rates))
    kinds = np.unique(groups)
    members = [np.flatnonzero(groups == kind) for kind in kinds.tolist()]
    quotas = [int(min(limits[kind], places)) for kind in kinds.tolist()]
    steps = [[np.stack([1.0 - arrived[i], arrived[i]]) for i in group.tolist()] for group in members]
    taken = [_capped(_product(step, places), quota, places) for step, quota in zip(steps, quotas, strict=True)]
    for group, quota, step, elsewhere in zip(members, quotas, steps, _without_each(taken, places), strict=True):
        others_take = np.cumsum(elsewhere, axis=0)  # probability that other groups take at most so many places
        for i, others in zip(group.tolist(), _without_each(step, places), strict=True):
            before = others[:quota]  # fewer earlier arrivals of the own group than its quota
            last = len(others_take) - 1
            free = sum(before[a] * others_take[min(places - 1 - a, last)] for a in range(len(before)))
            result[i] = float((density[i] * free).sum())
    return np.minimum(result, 1.0)


def _times(one: Counts, other: Counts, size: int) -> Counts:
    """Returns the distribution of a sum of two counts, up to `size` - 1; larger sums are left out."""
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
