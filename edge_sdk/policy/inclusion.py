"""The probability of each candidate to be on a slate that is drawn."""

from __future__ import annotations

from functools import reduce
from typing import Final

import numpy as np
import numpy.typing as npt

from edge_sdk.types import F64, I64

_STEP: Final = 0.2  # of the quadrature, in log time; halving it changes nothing above 1e-12
_TAIL: Final = 1e-14  # probability left out at its lower end
_WORST: Final = -60.0  # an offer so many units below the best is drawn as if it were just so far (1e-26)
Counts = npt.NDArray[np.float64]  # (n, Q): the probability of 0, 1, … arrivals, at each of Q times


def _arrivals_within(rates: F64, groups: I64, limits: I64, places: int) -> F64:
    """The probability of each candidate to get one of the places.

    Args:
        rates: (n,) of arrival.
        groups: (n,) category of each.
        limits: by group, how many of it may get a place.
        places: on the list.
    """
    times = np.exp(np.arange(np.log(_TAIL / rates.max()), np.log(-np.log(_TAIL) / rates.min()) + _STEP, _STEP))
    arrived = -np.expm1(-rates[:, None] * times)
    density = rates[:, None] * times * np.exp(-rates[:, None] * times) * _STEP  # of one's own time, in its logarithm
    result = np.zeros(len(rates))
    kinds = np.unique(groups)
    members = [np.flatnonzero(groups == kind) for kind in kinds.tolist()]
    quotas = [int(min(limits[kind], places)) for kind in kinds.tolist()]
    steps = [[np.stack([1.0 - arrived[i], arrived[i]]) for i in group.tolist()] for group in members]
    taken = [_capped(_product(step, places), quota, places) for step, quota in zip(steps, quotas, strict=True)]
    for group, quota, step, elsewhere in zip(members, quotas, steps, _without_each(taken, places), strict=True):
        room = np.cumsum(elsewhere, axis=0)  # at most so many places taken by other groups
        for i, others in zip(group.tolist(), _without_each(step, places), strict=True):
            before = others[:quota]  # of one's own group, fewer than its quota
            free = sum(before[a] * room[min(places - 1 - a, len(room) - 1)] for a in range(len(before)))
            result[i] = float((density[i] * free).sum())
    return np.minimum(result, 1.0)


def _times(one: Counts, other: Counts, size: int) -> Counts:
    """The distribution of a sum of two counts, up to `size` - 1; what goes beyond is left out."""
    product = np.zeros((min(len(one) + len(other) - 1, size), one.shape[1]))
    for a in range(min(len(one), size)):
        end = min(len(other), len(product) - a)
        product[a : a + end] += one[a] * other[:end]
    return product


def _product(counts: list[Counts], size: int) -> Counts:
    return reduce(lambda one, other: _times(one, other, size), counts)


def _without_each(counts: list[Counts], size: int) -> list[Counts]:
    """The distribution of the sum of all but each one."""
    nothing = np.ones((1, counts[0].shape[1]))
    before, after = [nothing], [nothing]
    for one in counts[:-1]:
        before.append(_times(before[-1], one, size))
    for one in reversed(counts[1:]):
        after.append(_times(after[-1], one, size))
    return [_times(one, other, size) for one, other in zip(before, reversed(after), strict=True)]


def _capped(counts: Counts, quota: int, places: int) -> Counts:
    """Places that a group takes: no more than its quota, however many arrive."""
    if quota >= places:
        return counts  # so many arrivals fill the list anyway: their probability is left out
    capped = counts[: quota + 1].copy()
    if len(capped) > quota:
        capped[quota] = 1.0 - capped[:quota].sum(axis=0)
    return capped
