"""The simulated population's tables fit the scene, its truth fits its outcomes, and a seed determines it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from polars.testing import assert_frame_equal

from device_sim.population import constants as mechanisms
from device_sim.population.population import Population, PopulationConfig, oracle_scores, simulate, write
from tests.support.paths import ROOT

SMALL = PopulationConfig(users=60, days=4, seed=3)
TABLES = ("events", "decisions", "offers", "users", "truth")
# A correct simulator exceeds this many standard errors once in 16,000 seeds, and the seed is fixed.
STANDARD_ERRORS = 4.0


@pytest.fixture(scope="module")
def small() -> Population:
    return simulate(SMALL)


@pytest.fixture(scope="module")
def larger() -> Population:
    return simulate(PopulationConfig(users=400, days=4, seed=11))


def wealth_scene() -> dict[str, Any]:
    return tomllib.loads((ROOT / "cloud_export" / "scenes" / "wealth.toml").read_text())


def outcomes_of(population: Population) -> NDArray[np.float64]:
    return np.array(population.decisions["outcomes"].to_list(), dtype=np.float64)


def truth_of(population: Population, objective: str) -> NDArray[np.float64]:
    return np.array(population.truth[objective].to_list(), dtype=np.float64)


def browsing_pairs(population: Population) -> pl.DataFrame:
    """Pairs of browsing events of one session: seconds apart, and whether they have one category."""
    events = population.events.join(population.offers, left_on="item", right_on="offer").sort("user", "time")
    events = events.with_columns(session=(pl.col("kind") == "session_start").cum_sum())
    browsing = events.filter(pl.col("kind").is_in(["page_view", "item_view", "search"]))
    pairs = browsing.join(browsing, on="session", suffix="_later").filter(pl.col("time") < pl.col("time_later"))
    return pairs.select(
        apart_s=(pl.col("time_later") - pl.col("time")).dt.total_milliseconds() / 1000,
        same=(pl.col("category") == pl.col("category_later")).cast(pl.Float64),
    )


def test_one_seed_gives_the_same_tables_and_the_same_bytes(small: Population, tmp_path: Path) -> None:
    again = simulate(SMALL)
    write(small, tmp_path / "one")
    write(again, tmp_path / "two")
    for table in TABLES:
        assert_frame_equal(getattr(small, table), getattr(again, table))
        assert (tmp_path / "one" / f"{table}.parquet").read_bytes() == (
            tmp_path / "two" / f"{table}.parquet"
        ).read_bytes()


def test_another_seed_gives_another_population(small: Population) -> None:
    other = simulate(PopulationConfig(users=60, days=4, seed=4))
    assert not small.events.equals(other.events)
    assert not small.users.equals(other.users)
    assert not small.offers.equals(other.offers)


def test_more_users_leave_the_catalogue_as_it_is(small: Population) -> None:
    assert_frame_equal(small.offers, simulate(PopulationConfig(users=3, days=4, seed=3)).offers)


def test_schema(small: Population) -> None:
    moment, numbers = pl.Datetime("ms"), pl.List(pl.Float32)
    assert dict(small.events.schema) == {
        "user": pl.String, "time": moment, "kind": pl.String, "item": pl.String, "value": pl.Float32,
    }  # fmt: skip
    assert dict(small.decisions.schema) == {
        "decision": pl.String, "user": pl.String, "time": moment, "surface": pl.String, "stage": pl.String,
        "candidates": pl.List(pl.String), "shown": pl.List(pl.String), "propensities": numbers,
        "outcomes": pl.List(numbers),
    }  # fmt: skip
    assert dict(small.truth.schema) == {"decision": pl.String, "click": numbers, "convert": numbers}
    assert dict(small.offers.schema) == {
        "offer": pl.String, "category": pl.String, "rankable": pl.Boolean, "valid_from": moment,
        "valid_until": moment, "theme": pl.String, "risk": pl.Int32, "price": pl.Float32,
    }  # fmt: skip
    assert small.users.columns == ["user", "age_band", "city_tier", "risk_level"]


def test_the_words_are_the_scenes(small: Population) -> None:
    scene = wealth_scene()
    assert list(mechanisms.KINDS) == scene["events"]["kinds"]
    assert list(mechanisms.SURFACES) == scene["context"]["surface"]
    assert list(mechanisms.STAGES) == scene["context"]["stage"]
    rule = {"name": "vouchers", "category": "voucher", "when": {"stage": list(mechanisms.VOUCHER_STAGES)}}
    assert scene["policy"]["eligibility"] == [rule]
    assert set(small.events["kind"]) == set(scene["events"]["kinds"])
    assert set(small.users.columns[1:]) == set(scene["columns"]["users"]["attributes"])


def test_the_catalogue(small: Population) -> None:
    offers = small.offers
    assert offers.height == 360
    assert offers["rankable"].sum() == 60
    assert offers["category"].n_unique() == 12
    assert offers["offer"].n_unique() == 360
    assert {"fund_017", "credit_002", "insurance_005", "voucher_006", "article_101", "page_bond_fund_03"} <= set(
        offers["offer"]
    )
    assert set(small.events["item"]) <= set(offers["offer"])
    campaigns = offers.filter(pl.col("valid_from").is_not_null() | pl.col("valid_until").is_not_null())
    assert campaigns.height == 12


def test_times_increase_strictly_within_a_user(larger: Population) -> None:
    events = larger.events
    assert events["user"].is_sorted()
    gap = events.select(pl.col("time").diff().dt.total_milliseconds().over("user"))["time"].drop_nulls()
    assert (gap > 0).all()


def test_a_decision_is_between_the_events_before_it_and_its_impressions(small: Population) -> None:
    decisions = small.decisions.select("decision", "user", "time", "shown").explode("shown").rename({"shown": "item"})
    impressions = small.events.filter(pl.col("kind") == "impression").sort("time")
    found = impressions.join_asof(
        small.decisions.select("user", "decision", decided="time").sort("decided"),
        left_on="time", right_on="decided", by="user", check_sortedness=False,
    )  # fmt: skip
    assert (
        found.select("decision", "item")
        .sort("decision", "item")
        .equals(decisions.select("decision", "item").sort("decision", "item"))
    )
    assert found.filter(pl.col("time") <= pl.col("decided")).is_empty()
    taken = small.decisions.join(small.events, on=["user", "time"])
    assert taken.is_empty()


def test_candidates_are_distinct_eligible_and_shown_in_order(small: Population) -> None:
    decisions = small.decisions
    assert decisions["candidates"].list.len().unique().to_list() == [24]
    assert decisions["candidates"].list.n_unique().unique().to_list() == [24]
    seen = decisions["shown"].list.len()
    assert int(seen.min()) >= 6  # type: ignore[arg-type]
    for candidates, shown in decisions.select("candidates", "shown").iter_rows():
        assert candidates[: len(shown)] == shown
    rows = decisions.explode("candidates").join(small.offers, left_on="candidates", right_on="offer")
    assert rows.height == 24 * decisions.height
    assert rows["rankable"].all()
    early = rows.filter(pl.col("valid_from") > pl.col("time"))
    late = rows.filter(pl.col("valid_until") <= pl.col("time"))
    voucher = rows.filter((pl.col("category") == "voucher") & (pl.col("stage") == "active"))
    assert (early.height, late.height, voucher.height) == (0, 0, 0)


def test_candidates_are_drawn_uniformly(larger: Population) -> None:
    always = larger.offers.filter(
        pl.col("rankable")
        & pl.col("valid_from").is_null()
        & pl.col("valid_until").is_null()
        & (pl.col("category") != "voucher")
    )["offer"]
    candidates = np.array(larger.decisions["candidates"].to_list())
    share = np.array([(candidates == offer).any(axis=1).mean() for offer in always])
    place = np.array([np.nonzero(candidates == offer)[1].mean() for offer in always])
    error = np.sqrt(share.mean() * (1 - share.mean()) / len(candidates))
    assert np.abs(share - share.mean()).max() < STANDARD_ERRORS * error
    assert np.abs(place - 11.5).max() < STANDARD_ERRORS * np.sqrt((24**2 - 1) / 12 / (share.min() * len(candidates)))


def test_propensity_is_the_share_of_candidates_shown(small: Population) -> None:
    shown = small.decisions["shown"].list.len().to_numpy()
    expected = np.repeat((shown / 24)[:, None], 24, axis=1)
    assert np.abs(np.array(small.decisions["propensities"].to_list()) - expected).max() < 1e-7


def test_outcomes_are_nan_exactly_where_not_shown(small: Population) -> None:
    outcomes = outcomes_of(small)
    shown = small.decisions["shown"].list.len().to_numpy()
    hidden = np.arange(24) >= shown[:, None]
    assert outcomes.shape == (small.decisions.height, 24, 2)
    assert (np.isnan(outcomes) == hidden[:, :, None]).all()
    assert set(np.unique(outcomes[~hidden])) == {0.0, 1.0}
    assert (outcomes[~hidden][:, 1] <= outcomes[~hidden][:, 0]).all()


def test_clicks_and_conversions_are_also_events(small: Population) -> None:
    outcomes = outcomes_of(small)
    kinds = small.events["kind"].value_counts()
    counts = dict(kinds.iter_rows())
    assert counts["click"] == np.nansum(outcomes[:, :, 0])
    assert counts["convert"] == np.nansum(outcomes[:, :, 1])
    assert counts["impression"] == small.decisions["shown"].list.len().sum()


def test_truth_is_a_probability_and_a_conversion_needs_a_click(small: Population) -> None:
    click, convert = truth_of(small, "click"), truth_of(small, "convert")
    assert small.truth["decision"].equals(small.decisions["decision"])
    assert click.shape == convert.shape == (small.decisions.height, 24)
    assert (click > 0).all()
    assert (click < 1).all()
    assert (convert > 0).all()
    assert (convert < click).all()


@pytest.mark.parametrize(("objective", "index"), [("click", 0), ("convert", 1)])
def test_outcomes_are_calibrated_with_the_truth(larger: Population, objective: str, index: int) -> None:
    """Outcome minus truth is a martingale difference of variance p(1 − p), so each quartile's sum has a known error."""
    truth, outcome = truth_of(larger, objective), outcomes_of(larger)[:, :, index]
    seen = ~np.isnan(outcome)
    p, y = truth[seen], outcome[seen]
    quartile = np.searchsorted(np.quantile(p, [0.25, 0.5, 0.75]), p)
    for number in range(4):
        inside = quartile == number
        error = np.sqrt((p[inside] * (1 - p[inside])).sum())
        assert abs((y[inside] - p[inside]).sum()) < STANDARD_ERRORS * error


def test_click_rate_is_plausible(larger: Population) -> None:
    rate = np.nanmean(outcomes_of(larger)[:, :, 0])
    assert 0.02 < rate < 0.10


def test_intent_lasts_for_seconds_and_drifts_within_minutes(larger: Population) -> None:
    pairs = browsing_pairs(larger)
    near = pairs.filter(pl.col("apart_s") < 20)["same"]
    far = pairs.filter(pl.col("apart_s") > 240)["same"]
    error = np.sqrt(0.25 / len(near) + 0.25 / len(far))
    assert near.mean() - far.mean() > STANDARD_ERRORS * error  # type: ignore[operator]
    # Yet a session is not forgotten: two categories drawn at random agree in about one case of ten.
    assert far.mean() > 0.15  # type: ignore[operator]


def test_price_changes_and_due_dates_bring_users_back(larger: Population) -> None:
    """After an alert a session starts within two hours more often than at the same hours without one."""
    alerts = larger.events.filter(pl.col("kind").is_in(["price_change", "due_date"])).unique(["user", "time"])
    starts = larger.events.filter(pl.col("kind") == "session_start").select("user", start="time")

    def rate(moments: pl.DataFrame) -> tuple[float, int]:
        both = moments.join(starts, on="user")
        after = both.filter((pl.col("start") - pl.col("time")).dt.total_minutes().is_between(0, 119))
        return after.select("user", "time").unique().height / moments.height, moments.height

    users = alerts.select("user").sample(fraction=1.0, shuffle=True, seed=1)["user"]
    (alerted, n), (shuffled, _) = rate(alerts), rate(alerts.with_columns(user=users))
    assert alerted - shuffled > STANDARD_ERRORS * np.sqrt(0.5 * alerted / n)


def test_the_oracle_beats_chance_on_realised_clicks(small: Population) -> None:
    scores, clicks = oracle_scores(small.truth), outcomes_of(small)[:, :, 0]
    chances = [
        (score[click == 1][:, None] > score[click == 0]).mean()
        for score, click in zip(scores, clicks, strict=True)
        if (click == 1).any()
    ]
    # Under a random order the mean of n such values has a standard deviation of at most 0.5 / sqrt(n).
    assert np.mean(chances) - 0.5 > STANDARD_ERRORS * 0.5 / np.sqrt(len(chances))


def test_oracle_scores_are_weighted_probabilities() -> None:
    truth = pl.DataFrame({"decision": ["d0"], "click": [[0.5, 0.25]], "convert": [[0.25, 0.125]]})
    assert oracle_scores(truth).tolist() == [[0.625, 0.3125]]
    assert oracle_scores(truth, weights=(0.0, 2.0)).tolist() == [[0.5, 0.25]]


def test_nobody_comes() -> None:
    population = simulate(PopulationConfig(users=1, days=1, seed=0))
    assert population.decisions.height == population.truth.height == 0
    assert population.decisions.schema == simulate(SMALL).decisions.schema
    assert oracle_scores(population.truth).shape == (0, 0)


@settings(max_examples=15, deadline=None)
@given(users=st.integers(1, 6), days=st.integers(1, 3), seed=st.integers(0, 2**40))
def test_any_population_has_the_promised_properties(users: int, days: int, seed: int) -> None:
    population = simulate(PopulationConfig(users=users, days=days, seed=seed))
    gap = population.events.select(pl.col("time").diff().dt.total_milliseconds().over("user"))["time"].drop_nulls()
    assert (gap > 0).all()
    click, convert = truth_of(population, "click"), truth_of(population, "convert")
    assert ((click > 0) & (click < 1) & (convert > 0) & (convert < click)).all()
    assert population.users.height == users
