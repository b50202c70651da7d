"""A whole validation on made-up runs finds their known coefficients."""

from __future__ import annotations

from pathlib import Path

import pytest

from device_sim.cores import UnknownCoreError
from device_sim.estimate.cycle_model import Calibration
from device_sim.validation.other_tables import score_table
from device_sim.validation.points import References
from device_sim.validation.published import PublishedTable, read_published
from device_sim.validation.results import FurtherTable
from device_sim.validation.validate import NothingToScoreError, Outcome, validate
from tests.support.simulator.made_up_runs import COEFFICIENTS, MODELS, entry, full_table, references, write_table

FEW = 3  # halvings


@pytest.fixture(scope="module")
def made() -> References:
    return references()


@pytest.fixture(scope="module")
def outcome(made: References, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return validate(_table(tmp_path_factory.mktemp("main"), full_table(made)), made, halving_count=FEW)


def _table(folder: Path, entries: list[dict[str, object]]) -> PublishedTable:
    return read_published(write_table(folder / "table.json", entries))


def _scored(folder: Path, made: References, calibration: Calibration, *entries: dict[str, object]) -> FurtherTable:
    return score_table(_table(folder, list(entries)), made, calibration, calibrated_on="made up")


def test_known_coefficients_come_back_and_predict_exactly(outcome: Outcome) -> None:
    assert set(outcome.calibration.cores) == set(COEFFICIENTS)
    for core, known in COEFFICIENTS.items():
        found = outcome.calibration.cores[core].cycles_per
        assert found["fma"] == pytest.approx(known["fma"], rel=1e-4)
        assert [found["memory"], found["rest"]] == pytest.approx([known["other"]] * 2, rel=1e-4)
        assert found["l1_miss"] + found["l2_miss"] / 2.0 == pytest.approx(known["l1_miss"], rel=1e-4)
        scores = outcome.validation.cores[core]
        assert scores.median_error == pytest.approx(0.0, abs=1e-6)
        assert scores.within_1_5 == 1.0
        assert scores.baseline.median_error > 0.1
        assert scores.points == len(MODELS) * FEW * len(scores.devices)


def test_all_targets_are_met_for_exact_runs(outcome: Outcome) -> None:
    assert [verdict.holds for verdict in outcome.validation.targets] == [True] * 12
    assert outcome.validation.targets[-1].measured.startswith("6: a53, a55")


def test_the_preregistered_form_is_scored_beside_it_with_its_own_verdicts(outcome: Outcome) -> None:
    variant = outcome.validation.variants["preregistered"]
    assert set(variant.cores["cortex-a76"].cycles_per) == {"fma", "other", "l2_miss"}
    assert variant.cores["cortex-a53"].median_error > 0.01
    assert [verdict.target for verdict in variant.targets] == [one.target for one in outcome.validation.targets]


def test_a_core_with_one_device_has_no_unseen_figure(outcome: Outcome) -> None:
    alone = outcome.validation.cores["cortex-a78"]
    assert (alone.unseen_device, alone.neither_seen, alone.noise) == (None, None, None)
    model = outcome.calibration.cores["cortex-a78"]
    assert (model.unseen_device_p90, model.neither_seen_p90) == (None, None)
    two = outcome.validation.cores["cortex-a76"]
    assert two.unseen_device is not None
    assert two.noise is not None
    assert two.unseen_device.points == 2 * len(MODELS)
    assert two.noise.median_error == pytest.approx(0.0, abs=1e-9)


def test_every_point_has_its_prediction(outcome: Outcome) -> None:
    assert len(outcome.points) == 11 * len(MODELS)
    assert all(point.ratio == pytest.approx(1.0, abs=1e-4) for point in outcome.points)
    assert {point.core for point in outcome.points if point.unseen_device_ms is None} == {"cortex-a78"}


def test_a_noted_run_is_scored_apart_and_moves_nothing(made: References, outcome: Outcome, tmp_path: Path) -> None:
    odd = entry(made, "odd", "cortex-a76", 0.5, note="an old run")
    odd["clock_ghz"] = 1.0  # so its times are twice those of the model
    again = validate(_table(tmp_path, [*full_table(made), odd]), made, halving_count=FEW)
    assert again.calibration.cores == outcome.calibration.cores
    assert again.validation.cores == outcome.validation.cores
    assert again.validation.noted["odd"].median_error == pytest.approx(0.5, abs=1e-4)
    assert [exclusion.reason for exclusion in again.validation.exclusions] == [
        "scored apart, not fitted: the table notes 'an old run'"
    ]


def test_int8_models_are_in_neither_fits_nor_scores_but_scored_a_second_time(
    made: References, outcome: Outcome, tmp_path: Path
) -> None:
    """The same models again as int8, ten times slower: only the second scoring may see them."""
    doubled = References(
        {
            core: counts.model_copy(
                update={"models": {**counts.models, **{f"{m}_int8": counts.models[m] for m in MODELS}}}
            )
            for core, counts in made.counts.items()
        },
        {**made.x86_ms, **{f"{model}_int8": made.x86_ms[model] for model in MODELS}},
    )
    entries = full_table(made)
    for one in entries:
        times = one["ms_min_max_avg"]
        assert isinstance(times, dict)
        times |= {f"{model}_int8": [10 * value for value in times[model]] for model in MODELS}
    again = validate(_table(tmp_path, entries), doubled, halving_count=FEW)
    assert again.validation.cores == outcome.validation.cores
    assert again.validation.models == MODELS
    assert again.validation.variants["with_int8"].cores["cortex-a76"].median_error > 0.3
    assert len([one for one in again.validation.exclusions if one.reason.startswith("int8")]) == len(MODELS)


def test_what_has_no_counts_or_no_x86_time_is_left_out_with_its_reason(made: References, tmp_path: Path) -> None:
    fewer = References(
        {core: made.counts[core] for core in ("cortex-a53", "cortex-a76")},
        {model: time for model, time in made.x86_ms.items() if model != "model_00"},
    )
    found = validate(_table(tmp_path, full_table(made)), fewer, halving_count=FEW).validation
    assert set(found.cores) == {"cortex-a53", "cortex-a76", "cortex-a78"}
    assert "model_00" not in found.models
    reasons = {(one.entry, one.model): one.reason for one in found.exclusions}
    assert reasons["all", "model_00"] == "no x86 time to compare with"
    kernels = "the kernels of cortex-a72, which cortex-a73 runs, were not counted"
    assert reasons["cortex-a73-one", None] == kernels
    missed = [verdict for verdict in found.targets if verdict.measured == "not scored"]
    assert [verdict.holds for verdict in missed] == [False] * 3


def test_a_device_with_few_models_is_not_fitted(made: References, tmp_path: Path) -> None:
    small = entry(made, "small", "cortex-a76")
    small["ms_min_max_avg"] = {model: [1.0, 1.0, 1.0] for model in MODELS[:7]}
    found = validate(_table(tmp_path, [entry(made, "whole", "cortex-a76"), small]), made, halving_count=FEW).validation
    assert set(found.devices) == {"whole"}
    assert found.exclusions[0].reason == "7 float models with counts and an x86 time; at least 8 are needed"


def test_a_table_without_a_usable_run_is_refused_with_the_reasons(made: References, tmp_path: Path) -> None:
    table = _table(tmp_path, [entry(made, "one", "cortex-a76", threads=4)])
    with pytest.raises(NothingToScoreError, match=r"table.json: no device can be scored: threads: 4, .*; fix"):
        validate(table, made, halving_count=FEW)


def test_a_further_table_is_scored_with_the_given_coefficients(
    made: References, outcome: Outcome, tmp_path: Path
) -> None:
    slow = entry(made, "slow", "cortex-a76", 1.0)
    slow["clock_ghz"] = 2.0  # so the model gives half of the published times
    before = outcome.calibration.model_dump_json()
    found = _scored(tmp_path, made, outcome.calibration, slow, entry(made, "exact", "cortex-a53"))
    assert found.devices["slow"].median_error == pytest.approx(0.5, abs=1e-4)
    assert found.cores["cortex-a76"].median_error == pytest.approx(0.5, abs=1e-4)
    assert found.cores["cortex-a53"].median_error == pytest.approx(0.0, abs=1e-4)
    assert found.devices["exact"].baseline.median_error > 0.1
    assert not found.devices["slow"].transferred
    assert not found.devices["slow"].fitted_on
    assert outcome.calibration.model_dump_json() == before


def test_a_core_without_coefficients_takes_its_relatives_and_is_labelled(
    made: References, outcome: Outcome, tmp_path: Path
) -> None:
    phone = entry(made, "phone", "cortex-a78") | {"core": "x1"}
    found = _scored(tmp_path, made, outcome.calibration, phone).devices["phone"]
    assert (found.core, found.coefficients_of, found.transferred) == ("cortex-x1", "cortex-a78", True)
    assert found.median_error == pytest.approx(0.0, abs=1e-4)


def test_a_device_that_was_fitted_on_is_labelled(made: References, outcome: Outcome, tmp_path: Path) -> None:
    found = _scored(tmp_path, made, outcome.calibration, entry(made, "cortex-a76-one", "cortex-a76"))
    assert found.devices["cortex-a76-one"].fitted_on
    assert found.cores["cortex-a76"].fitted_on


def test_a_further_tables_noted_run_is_not_in_the_total_of_its_core(
    made: References, outcome: Outcome, tmp_path: Path
) -> None:
    odd = entry(made, "odd", "cortex-a76", 1.0, note="throttled")
    odd["clock_ghz"] = 3.0
    found = _scored(tmp_path, made, outcome.calibration, entry(made, "exact", "cortex-a76"), odd)
    assert found.cores["cortex-a76"].points == len(MODELS)
    assert found.devices["odd"].note == "throttled"
    assert found.devices["odd"].median_error == pytest.approx(2 / 3, abs=1e-4)


def test_one_device_with_two_cores_is_two_rows(made: References, outcome: Outcome, tmp_path: Path) -> None:
    found = _scored(
        tmp_path, made, outcome.calibration, entry(made, "phone", "cortex-a76"), entry(made, "phone", "cortex-a55")
    )
    assert set(found.devices) == {"phone (cortex-a76)", "phone (cortex-a55)"}


def test_a_core_whose_relative_was_not_fitted_is_left_out(made: References, outcome: Outcome, tmp_path: Path) -> None:
    kept = {"cortex-a53": outcome.calibration.cores["cortex-a53"]}
    calibration = outcome.calibration.model_copy(update={"cores": kept})
    found = _scored(tmp_path, made, calibration, entry(made, "phone", "cortex-a78") | {"core": "x1"})
    assert found.devices == {}
    assert found.exclusions[-1].reason == "neither cortex-x1 nor a relative of it has coefficients"


@pytest.mark.parametrize(
    ("core", "lender", "transferred"),
    [
        ("a55", "cortex-a55", False),
        ("Cortex-A77", "cortex-a78", True),
        ("cortex-a510", "cortex-a55", True),
        ("neoverse-n1", "cortex-a76", False),
    ],
)
def test_whose_coefficients_a_core_gets(outcome: Outcome, core: str, lender: str, transferred: bool) -> None:
    model, is_transferred = outcome.calibration.for_core(core)
    assert (model.core, is_transferred) == (lender, transferred)


def test_an_unknown_core_is_refused_with_the_known_ones(outcome: Outcome) -> None:
    with pytest.raises(UnknownCoreError, match="core 'zen4': unknown or mixed; give one core of COUNTS_CORE"):
        outcome.calibration.for_core("zen4")
