"""The mean of many small fits is exact where all agree, never negative, and of simulated cache levels only."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_sim.validation.averaged_fit import COLUMNS, fit_averaged
from device_sim.validation.fitting import Array, FitError


def _columns(seed: int, points: int) -> Array:
    return np.random.default_rng(seed).lognormal(12.0, 1.0, (points, len(COLUMNS)))


def test_where_every_set_fits_exactly_the_mean_is_exact() -> None:
    """No cache level was simulated, memory and the rest cost the same: both sets find the same coefficients."""
    columns = _columns(1, 12)
    columns[:, 3:] = 0.0
    target = columns @ np.array([0.5, 0.3, 0.3, 0.0, 0.0, 0.0])
    assert fit_averaged(columns, target) == pytest.approx([0.5, 0.3, 0.3, 0.0, 0.0, 0.0])


def test_two_levels_with_the_same_misses_share_the_cost() -> None:
    """{L1}, {L2} and {L1, L2} are all exact; alone a level bears 12 cycles, so together the two bear 12 in the mean."""
    columns = _columns(2, 12)
    columns[:, 4] = columns[:, 3]
    columns[:, 5] = 0.0
    fitted = fit_averaged(columns, columns @ np.array([0.5, 0.3, 0.3, 12.0, 0.0, 0.0]))
    assert fitted[:3] == pytest.approx([0.5, 0.3, 0.3])
    assert fitted[3] + fitted[4] == pytest.approx(12.0)
    assert min(fitted[3], fitted[4]) >= 4.0 - 1e-9
    assert fitted[5] == 0.0


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), points=st.integers(1, 20), scale=st.floats(1e-3, 1e3))
def test_no_coefficient_is_negative_and_units_do_not_matter(seed: int, points: int, scale: float) -> None:
    columns = _columns(seed, points)
    target = np.random.default_rng(seed + 1).lognormal(14.0, 1.0, points)
    fitted = fit_averaged(columns, target)
    assert (fitted >= 0.0).all()
    assert fit_averaged(columns, target * scale) == pytest.approx(fitted * scale, rel=1e-6, abs=1e-9)


def test_fitting_without_rows_is_refused() -> None:
    with pytest.raises(FitError, match="nothing to fit"):
        fit_averaged(np.zeros((0, 6)), np.zeros(0))
