"""Ranking metrics equal figures worked out by hand and slow definitions, and keep their invariants."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloud_export.evaluate import metrics
from cloud_export.evaluate.metrics import Interval, Rankings

NAN = float("nan")
Case = tuple[Rankings, npt.NDArray[np.float64]]


def rankings(*decisions: list[float], users: list[int] | None = None) -> Rankings:
    sizes = [len(decision) for decision in decisions]
    return Rankings(
        user=np.array(users if users is not None else range(len(decisions)), dtype=np.int32),
        offsets=np.cumsum([0, *sizes], dtype=np.int64),
        relevance=np.array([value for decision in decisions for value in decision], dtype=np.float32),
    )


def scores(*values: float) -> npt.NDArray[np.float64]:
    return np.array(values, dtype=np.float64)


@st.composite
def cases(draw: st.DrawFn, *, ties: bool = True) -> Case:
    """Ragged decisions with unknown relevances; without ``ties``, every score is unlike every other."""
    sizes = draw(st.lists(st.integers(0, 7), min_size=1, max_size=6))
    relevance = st.sampled_from([0.0, 0.0, 1.0, 2.0, NAN])
    judged = rankings(
        *[draw(st.lists(relevance, min_size=size, max_size=size)) for size in sizes],
        users=draw(st.lists(st.integers(0, 3), min_size=len(sizes), max_size=len(sizes))),
    )
    total = sum(sizes)
    drawn = draw(st.lists(st.integers(0, 4), min_size=total, max_size=total) if ties else st.permutations(range(total)))
    return judged, np.array(drawn, dtype=np.float64)


def test_ndcg_by_hand() -> None:
    judged = rankings([0, 1, NAN, 2, 0], [0, 0], [], [3])
    # The unknown third candidate is left out: gains 0, 1, 2 in the order of the scores, 2, 1 in the best one.
    expected = (1 / math.log2(3) + 2 / math.log2(4)) / (2 + 1 / math.log2(3))
    found = metrics.ndcg_at(judged, scores(0.9, 0.8, 1.0, 0.7, 0.1, 1, 2, 5))
    np.testing.assert_allclose(found, [expected, NAN, NAN, 1.0])
    assert expected == pytest.approx(0.6199062)


def test_ndcg_counts_the_first_k_places_only() -> None:
    judged = rankings([0, 0, 1])
    assert metrics.ndcg_at(judged, scores(3, 2, 1), k=2).tolist() == [0.0]
    assert metrics.ndcg_at(judged, scores(3, 2, 1), k=3).tolist() == [0.5]


def test_ties_go_to_the_lower_candidate_index() -> None:
    judged = rankings([1, 0], [0, 1])
    assert metrics.hit_rate_at_1(judged, scores(7, 7, 7, 7)).tolist() == [1.0, 0.0]


def test_hit_rate_by_hand() -> None:
    judged = rankings([0, 2], [1, 0], [0, 0], [NAN, 1], [NAN, NAN])
    found = metrics.hit_rate_at_1(judged, scores(1, 2, 1, 2, 1, 2, 9, 1, 1, 1))
    np.testing.assert_array_equal(found, [1, 0, NAN, 1, NAN])


def test_auc_by_hand() -> None:
    judged = rankings([0, 1, NAN, 2, 0], [1, 0, 0], [1, 1], [])
    found, weights = metrics.auc_by_decision(judged, scores(0.9, 0.8, 1.0, 0.7, 0.1, 5, 5, 4, 1, 2))
    np.testing.assert_allclose(found, [0.5, 0.75, NAN, NAN])
    assert weights.tolist() == [4, 3, 2, 0]


def test_gauc_weighs_by_known_candidates() -> None:
    judged = rankings([1, 0, NAN], [0, 1, 0, 0], [1, 1, 1], users=[0, 0, 1])
    found = metrics.gauc(judged, scores(2, 1, 0, 3, 2, 1, 0, 1, 1, 1))
    assert found == pytest.approx((2 * 1 + 4 * 2 / 3) / 6)
    assert math.isnan(metrics.gauc(rankings([1, 1]), scores(1, 2)))


@given(cases())
def test_auc_agrees_with_comparing_all_pairs(case: Case) -> None:
    judged, scored = case
    expected = []
    for start, end in zip(judged.offsets[:-1], judged.offsets[1:], strict=True):
        relevance, local = judged.relevance[start:end], scored[start:end]
        pairs = [(p > n) + 0.5 * (p == n) for p in local[relevance > 0] for n in local[relevance == 0]]
        expected.append(np.mean(pairs) if pairs else NAN)
    np.testing.assert_allclose(metrics.auc_by_decision(judged, scored)[0], expected)


@given(cases())
def test_metrics_lie_between_zero_and_one_and_know_their_gaps(case: Case) -> None:
    judged, scored = case
    positive = [bool((part > 0).any()) for part in np.split(judged.relevance, judged.offsets[1:-1])]
    for found in (metrics.ndcg_at(judged, scored), metrics.hit_rate_at_1(judged, scored)):
        assert (~np.isnan(found)).tolist() == positive
        assert np.all((found[positive] >= 0) & (found[positive] <= 1))


@given(cases())
def test_the_perfect_ranking_reaches_one(case: Case) -> None:
    judged, _ = case
    perfect = np.nan_to_num(judged.relevance, nan=9.0)
    for found in (
        metrics.ndcg_at(judged, perfect),
        metrics.hit_rate_at_1(judged, perfect),
        metrics.auc_by_decision(judged, perfect)[0],
    ):
        assert np.all(found[~np.isnan(found)] == 1.0)


@given(cases(ties=False))
def test_candidate_order_does_not_matter_without_ties(case: Case) -> None:
    judged, scored = case
    order = np.concatenate(
        [np.arange(a, b)[::-1] for a, b in zip(judged.offsets[:-1], judged.offsets[1:], strict=True)]
    ).astype(np.int64)
    turned = Rankings(judged.user, judged.offsets, judged.relevance[order])
    for metric in (metrics.ndcg_at, metrics.hit_rate_at_1, lambda *both: metrics.auc_by_decision(*both)[0]):
        np.testing.assert_allclose(metric(judged, scored), metric(turned, scored[order]))


@given(cases())
def test_only_the_order_of_scores_matters(case: Case) -> None:
    judged, scored = case
    np.testing.assert_array_equal(metrics.ndcg_at(judged, scored), metrics.ndcg_at(judged, np.exp(scored)))


def test_bootstrap_of_one_user_has_no_width() -> None:
    found = metrics.bootstrap_mean(scores(0, 1, NAN), None, np.zeros(3, dtype=np.int32), seed=1)
    assert found == Interval(0.5, 0.5, 0.5)
    assert found.to_dict() == {"mean": 0.5, "low": 0.5, "high": 0.5}


def test_bootstrap_draws_users_not_decisions() -> None:
    values, two_users = np.repeat([0.0, 1.0], 500), np.repeat([3, 8], 500).astype(np.int32)
    assert metrics.bootstrap_mean(values, None, two_users, seed=1) == Interval(0.5, 0.0, 1.0)
    alone = metrics.bootstrap_mean(values, None, np.arange(1000, dtype=np.int32), seed=1)
    # The normal approximation: 1.96 × 0.5 / √1000.
    assert alone.high - alone.low == pytest.approx(2 * 0.031, rel=0.15)


def test_bootstrap_weighs_and_leaves_unknown_values_out() -> None:
    found = metrics.bootstrap_mean(scores(1, 0, NAN), scores(3, 1, 9), np.arange(3, dtype=np.int32), seed=1)
    assert found.mean == 0.75
    nothing = metrics.bootstrap_mean(scores(NAN), None, np.zeros(1, dtype=np.int32), seed=1)
    assert math.isnan(nothing.mean)
    assert math.isnan(nothing.low)


def test_bootstrap_difference_is_paired() -> None:
    base = np.random.default_rng(0).random(200)
    user = np.arange(200, dtype=np.int32)
    found = metrics.bootstrap_difference(base + 0.25, base, None, user, seed=1)
    assert (found.mean, found.low, found.high) == pytest.approx((0.25, 0.25, 0.25))


@given(
    st.lists(
        st.tuples(st.floats(-1, 1) | st.just(NAN), st.floats(0.1, 10), st.integers(0, 4)), min_size=1, max_size=20
    ),
    st.integers(0, 5),
)
def test_the_interval_contains_the_mean_and_repeats(rows: list[tuple[float, float, int]], seed: int) -> None:
    values, weights, users = (np.array(column) for column in zip(*rows, strict=True))
    once, again = (
        metrics.bootstrap_mean(values, weights, users.astype(np.int32), resamples=50, seed=seed) for _ in range(2)
    )
    if np.isnan(values).all():
        assert math.isnan(once.mean)
    else:
        assert once.low <= once.mean <= once.high
        assert once == again


def test_gap_closed() -> None:
    assert metrics.gap_closed(0.4, 0.5, 0.8) == pytest.approx(0.25)
    assert metrics.gap_closed(0.4, 0.3, 0.8) == pytest.approx(-0.25)
    assert math.isnan(metrics.gap_closed(0.5, 0.6, 0.5))


def test_spearman_by_hand() -> None:
    assert metrics.spearman(scores(1, 2, 2, 4), scores(1, 3, 2, 4)) == pytest.approx(4.5 / math.sqrt(4.5 * 5))
    assert metrics.spearman(scores(1, 2, 3), scores(9, 4, 1)) == pytest.approx(-1)
    assert math.isnan(metrics.spearman(scores(1, 1), scores(1, 2)))
    assert math.isnan(metrics.spearman(scores(), scores()))
    with pytest.raises(ValueError, match="alike"):
        metrics.spearman(scores(1), scores(1, 2))


def test_quality_agrees_with_the_single_metrics() -> None:
    generator = np.random.default_rng(3)
    relevance = np.where(generator.random(300) < 0.3, NAN, generator.integers(0, 2, 300)).astype(np.float32)
    judged = Rankings(generator.integers(0, 12, 50).astype(np.int32), np.arange(51) * 6, relevance)
    base, device = generator.random(300), generator.random(300)
    found = metrics.quality(judged, {"base": base, "device": device}, resamples=100, seed=7)
    assert list(found) == ["base", "device", "device_minus_base"]
    assert all(list(block) == ["ndcg5", "hr1", "gauc"] for block in found.values())
    before, after = metrics.ndcg_at(judged, base), metrics.ndcg_at(judged, device)
    alone = metrics.bootstrap_mean(before, None, judged.user, resamples=100, seed=7)
    assert found["base"]["ndcg5"] == pytest.approx(alone.to_dict())
    paired = metrics.bootstrap_difference(after, before, None, judged.user, resamples=100, seed=7)
    assert found["device_minus_base"]["ndcg5"] == pytest.approx(paired.to_dict())
    assert found["base"]["gauc"]["mean"] == pytest.approx(metrics.gauc(judged, base))


def test_quality_of_nothing() -> None:
    assert metrics.quality(rankings([1, 0]), {}) == {}
    empty = metrics.quality(rankings(), {"base": scores()})
    assert math.isnan(empty["base"]["ndcg5"]["mean"])


def test_random_scores_follow_the_seed_and_rank_by_chance() -> None:
    judged = rankings(*[[1.0, 0.0, 0.0, 0.0]] * 2000)
    first = metrics.random_scores(judged, seed=1)
    assert first.tolist() == metrics.random_scores(judged, seed=1).tolist()
    assert first.tolist() != metrics.random_scores(judged, seed=2).tolist()
    assert metrics.gauc(judged, first) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(
    ("offsets", "relevance", "message"),
    [
        ([0, 1], [1.0], "one more than users"),
        ([0, 2, 1], [1.0], "must rise from 0 to 1"),
        ([0, 1, 1], [-1.0], "write NaN"),
    ],
)
def test_rankings_that_do_not_fit_are_refused(offsets: list[int], relevance: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Rankings(np.zeros(2, dtype=np.int32), np.array(offsets), np.array(relevance, dtype=np.float32))


def test_scores_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="one per candidate"):
        metrics.ndcg_at(rankings([1, 0]), scores(1))
    with pytest.raises(ValueError, match="NaN"):
        metrics.ndcg_at(rankings([1, 0]), scores(1, NAN))
    assert metrics.ndcg_at(rankings([1, NAN]), scores(1, NAN)).tolist() == [1.0]
