"""Fits on relative error find known coefficients, never negative ones, and no nearby coefficients are better."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_sim.validation.fitting import FitError, fit_constant, fit_nonnegative


def _loss(columns: np.ndarray[tuple[int, int], np.dtype[np.float64]], target: object, coefficients: object) -> float:
    return float(np.abs(columns @ np.asarray(coefficients) / np.asarray(target) - 1.0).sum())


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    points=st.integers(4, 30),
    known=st.tuples(st.floats(0.01, 5.0), st.floats(0.01, 5.0), st.floats(0.5, 200.0)),
)
def test_known_coefficients_come_back(seed: int, points: int, known: tuple[float, float, float]) -> None:
    columns = np.random.default_rng(seed).lognormal(15.0, 1.0, (points, 3)) * np.array([1.0, 1.0, 0.01])
    fitted = fit_nonnegative(columns, columns @ np.array(known))
    assert fitted == pytest.approx(known, rel=1e-6, abs=1e-6)


def test_a_third_of_wild_points_does_not_move_the_fit() -> None:
    columns = np.random.default_rng(1).lognormal(15.0, 1.0, (30, 3))
    target = columns @ np.array([0.5, 0.3, 20.0])
    target[::3] *= 3.0
    assert fit_nonnegative(columns, target) == pytest.approx([0.5, 0.3, 20.0], rel=1e-6)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), points=st.integers(1, 25))
def test_no_coefficient_is_negative_and_no_neighbour_is_better(seed: int, points: int) -> None:
    rng = np.random.default_rng(seed)
    columns = rng.lognormal(10.0, 1.0, (points, 3))
    target = rng.lognormal(10.0, 1.0, points)
    fitted = fit_nonnegative(columns, target)
    best = _loss(columns, target, fitted)
    assert (fitted >= 0.0).all()
    for _ in range(20):
        neighbour = np.maximum(fitted + rng.normal(0.0, 0.02, 3), 0.0)
        assert _loss(columns, target, neighbour) >= best - 1e-9


def test_a_column_of_zeros_gets_a_zero() -> None:
    columns = np.array([[1.0, 0.0], [2.0, 0.0], [4.0, 0.0]])
    assert fit_nonnegative(columns, np.array([3.0, 6.0, 12.0])) == pytest.approx([3.0, 0.0])


def test_a_constant_by_hand() -> None:
    """Ratios 2, 3 and 10 with weights 1/2, 1/3 and 1/10: half of the weight is reached at 2."""
    assert fit_constant(np.array([1.0, 1.0, 1.0]), np.array([3.0, 10.0, 2.0])) == 2.0


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), points=st.integers(1, 25))
def test_no_other_constant_is_better(seed: int, points: int) -> None:
    rng = np.random.default_rng(seed)
    column, target = rng.lognormal(0.0, 1.0, points), rng.lognormal(0.0, 1.0, points)
    fitted = fit_constant(column, target)
    best = _loss(column[:, None], target, [fitted])
    assert all(_loss(column[:, None], target, [other]) >= best - 1e-9 for other in target / column)


def test_fitting_without_rows_is_refused() -> None:
    with pytest.raises(FitError, match="nothing to fit: 0 rows for 0 times; give runs"):
        fit_nonnegative(np.zeros((0, 3)), np.zeros(0))
    with pytest.raises(FitError, match="nothing to fit: 1 rows for 2 times"):
        fit_constant(np.ones(1), np.ones(2))
