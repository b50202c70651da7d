"""Fits the shipped cycle models: the mean of many small non-negative fits.

A device has some two dozen published models. Three coefficients leave out terms that matter on some cores (which cache
level matters, whether memory instructions cost more than others); five or six, fitted at once on half of the models,
overfit. So each plausible small set of columns is fitted by itself, and the coefficients are averaged, which is linear
in the counts again. (Averaging over models instead of choosing one: Hoeting and others 1999, "Bayesian model
averaging"; here with equal weights.)

The sets: {fma, all others} or {fma, memory instructions, the rest}, each with every non-empty choice of the simulated
cache levels: 14 sets with three levels, 6 with two. The form was not pre-registered; docs/adr/0018-cycle-model.md
describes how it was found and checked.
"""

from __future__ import annotations

from itertools import chain, combinations
from typing import Final

import numpy as np

from device_sim.validation.fitting import Array, fit_relative_squares

COLUMNS: Final = ("fma", "memory", "rest", "l1_miss", "l2_miss", "l3_miss")
_MISSES: Final = (3, 4, 5)
# Columns in one group share one coefficient.
_INSTRUCTIONS: Final[tuple[tuple[tuple[int, ...], ...], ...]] = (((0,), (1, 2)), ((0,), (1,), (2,)))


def fit_averaged(columns: Array, target: Array) -> Array:
    """Returns the mean of the coefficients of all sets, each fitted by least squares of the relative error.

    Args:
        columns: Non-negative, in the order of COLUMNS, shape [points, 6]; a cache level that was not simulated is zero.
        target: Positive, shape [points].

    Returns:
        Shape [6].

    Raises:
        FitError: No points, or a solver gave up.
    """
    levels = [column for column in _MISSES if columns[:, column].any()]
    choices = chain.from_iterable(combinations(levels, size) for size in range(1, len(levels) + 1))
    sets = [(*instructions, *((level,) for level in chosen)) for chosen in choices for instructions in _INSTRUCTIONS]
    mean: Array = np.mean([_fit_set(columns, target, one) for one in sets or _INSTRUCTIONS], axis=0)
    return mean


def _fit_set(columns: Array, target: Array, groups: tuple[tuple[int, ...], ...]) -> Array:
    summed = np.stack([columns[:, list(group)].sum(axis=1) for group in groups], axis=1)
    coefficients = np.zeros(columns.shape[1])
    for group, coefficient in zip(groups, fit_relative_squares(summed, target), strict=True):
        coefficients[list(group)] = coefficient
    return coefficients
