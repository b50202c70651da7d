"""The real published table meets the targets, and the shipped files are the result of validating on it."""

from __future__ import annotations

import pytest

from device_sim.estimate.cycle_model import read_calibration
from device_sim.validation.command import DEFAULT_PUBLISHED
from device_sim.validation.protocol import TARGET_CORES
from device_sim.validation.published import PublishedTable, read_published
from device_sim.validation.references import read_references
from device_sim.validation.scored_points import read_points
from device_sim.validation.validate import Outcome, validate


@pytest.fixture(scope="module")
def table() -> PublishedTable:
    if not DEFAULT_PUBLISHED.is_file():
        pytest.skip(f"no published table at {DEFAULT_PUBLISHED}; put it there to validate on it")
    return read_published(DEFAULT_PUBLISHED)


@pytest.fixture(scope="module")
def outcome(table: PublishedTable) -> Outcome:
    return validate(table, read_references())


def test_every_target_is_met(outcome: Outcome) -> None:
    missed = [verdict for verdict in outcome.validation.targets if not verdict.holds]
    assert missed == []
    assert set(TARGET_CORES) == set(outcome.validation.cores)


def test_what_was_preregistered_stays_beside_it_with_the_targets_it_missed(outcome: Outcome) -> None:
    """The record of docs/adr/0018-cycle-model.md: who changes the pre-registered form changes history."""
    variant = outcome.validation.variants["preregistered"]
    missed = [verdict.target for verdict in variant.targets if not verdict.holds]
    assert "cortex-a53: held-out models ≤ 10%" in missed
    used = [outcome.validation.cores[core].median_error for core in TARGET_CORES]
    before = [variant.cores[core].median_error for core in TARGET_CORES]
    assert sum(used) < sum(before)


def test_the_shipped_calibration_is_what_validating_gives(outcome: Outcome) -> None:
    shipped = read_calibration()
    assert shipped.published_sha256 == outcome.calibration.published_sha256
    assert shipped.counted_with == outcome.calibration.counted_with
    assert set(shipped.cores) == set(outcome.calibration.cores)
    for core, model in shipped.cores.items():
        again = outcome.calibration.cores[core]
        assert model.devices == again.devices
        assert dict(model.cycles_per) == pytest.approx(dict(again.cycles_per), rel=1e-3, abs=1e-3)
        assert model.held_out_p90 == pytest.approx(again.held_out_p90, rel=1e-3)
        assert model.neither_seen_p90 == (again.neither_seen_p90 and pytest.approx(again.neither_seen_p90, rel=1e-3))


def test_the_shipped_points_are_what_validating_gives(outcome: Outcome) -> None:
    shipped = read_points()
    assert shipped.sources == outcome.validation.sources
    assert shipped.published_sha256 == outcome.validation.published_sha256
    assert [(point.device, point.model) for point in shipped.points] == [
        (point.device, point.model) for point in outcome.points
    ]
    for point, again in zip(shipped.points, outcome.points, strict=True):
        assert point.ratio == pytest.approx(again.ratio, rel=1e-3)
        assert point.predicted_ms == pytest.approx(again.predicted_ms, rel=1e-3)


def test_the_shipped_points_give_back_what_was_published(table: PublishedTable) -> None:
    published = {(run.device, model): time for run in table.runs for model, time in run.least_ms.items()}
    for point in read_points().points:
        assert point.predicted_ms / point.ratio == pytest.approx(published[point.device, point.model], rel=2e-3)


def test_noted_runs_and_int8_models_are_listed_with_their_reason(outcome: Outcome) -> None:
    reasons = [exclusion.reason for exclusion in outcome.validation.exclusions]
    assert sum(reason.startswith("scored apart, not fitted: the table notes") for reason in reasons) == 7
    assert set(outcome.validation.noted) == {
        "RK3568-P2", "Rock3A", "RK3588-A55", "RK3588-2022", "RK3588-old", "SD810", "JetsonNano",
    }  # fmt: skip
    assert any(reason.startswith("int8") for reason in reasons)
    whole = {exclusion.entry for exclusion in outcome.validation.exclusions if exclusion.model is None}
    assert {"TX2NX", "Kunpeng920"} <= whole


def test_the_shipped_calibration_has_the_errors_that_it_states() -> None:
    """No published table is needed for this: the points that are shipped give the held-out errors of each core."""
    points = read_points().points
    for core, model in read_calibration().cores.items():
        errors = sorted(abs(point.ratio - 1.0) for point in points if point.core == core)
        assert len(errors) >= 15 * len(model.devices)
        assert errors[len(errors) // 2] == pytest.approx(model.held_out_median, abs=0.03)
