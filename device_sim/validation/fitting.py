"""Fits linear models on relative error: minimises the mean of |predicted/published − 1|."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog, nnls

Array = NDArray[np.float64]


class FitError(Exception):
    """There are no points to fit, or the solver failed."""


def fit_nonnegative(columns: Array, target: Array) -> Array:
    """Non-negative coefficients c with the least Σ |columns·c / target − 1|.

    The problem is a linear program; its dual, solved here, has only as many constraints as there are columns:
    maximise Σ d under Aᵀd ≤ 0 and −1 ≤ d ≤ 1 (A = columns / target), and c are the prices of those constraints.
    (Barrodale and Roberts 1973; strong duality of linear programs.)

    Args:
        columns: Non-negative, shape [points, coefficients].
        target: Positive, shape [points].

    Returns:
        Shape [coefficients]; 0 for a column that is all zeros.

    Raises:
        FitError: No points, or the solver found no optimum.
    """
    _check(columns, target)
    relative = columns / target[:, None]
    scale = _scale(relative)
    dual = linprog(
        -np.ones(len(target)),
        A_ub=(relative / scale).T,
        b_ub=np.zeros(columns.shape[1]),
        bounds=(-1.0, 1.0),
        method="highs-ds",
    )
    if not dual.success:
        raise FitError(f"the linear program of a fit on {len(target)} points failed: {dual.message}")
    prices: Array = -np.asarray(dual.ineqlin.marginals, dtype=np.float64)
    coefficients: Array = np.maximum(prices, 0.0) / scale
    return coefficients


def fit_relative_squares(columns: Array, target: Array) -> Array:
    """Non-negative coefficients c with the least Σ (columns·c / target − 1)² (Lawson and Hanson 1974).

    Args:
        columns: Non-negative, shape [points, coefficients].
        target: Positive, shape [points].

    Raises:
        FitError: No points, or the solver gave up.
    """
    _check(columns, target)
    relative = columns / target[:, None]
    scale = _scale(relative)
    try:
        coefficients, _ = nnls(relative / scale, np.ones(len(target)))
    except RuntimeError as error:
        raise FitError(f"least squares on {len(target)} points failed: {error}") from error
    fitted: Array = coefficients / scale
    return fitted


def fit_constant(column: Array, target: Array) -> float:
    """The constant k with the least Σ |k·column / target − 1|: a weighted median of target / column.

    Args:
        column: Positive, shape [points].
        target: Positive, shape [points].

    Raises:
        FitError: No points.
    """
    _check(column[:, None], target)
    weight = column / target
    order = np.argsort(1.0 / weight, kind="stable")
    passed = np.cumsum(weight[order])
    middle = int(np.searchsorted(passed, passed[-1] / 2.0))
    return float(1.0 / weight[order][middle])


def _scale(relative: Array) -> Array:
    """Returns factors that scale columns of different magnitudes to 1: the solvers' tolerances are absolute."""
    largest: Array = relative.max(axis=0)
    return np.where(largest == 0.0, 1.0, largest)


def _check(columns: Array, target: Array) -> None:
    if len(target) == 0 or len(columns) != len(target):
        raise FitError(f"nothing to fit: {len(columns)} rows for {len(target)} times; give runs with counted models")
