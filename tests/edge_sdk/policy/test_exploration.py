"""Exploration's probabilities are those of the final list: exactly, and in a Monte Carlo count of draws."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.policy.exploration import Draw, drawn_order, uniform, uniforms
from edge_sdk.policy.rules import NO_LIMIT, Exploration, Explore
from edge_sdk.policy.slate import Slate, pin_places
from edge_sdk.types import F64, I64, by_score

GREEDY = Exploration()
EPSILON = Exploration(Explore.EPSILON_GREEDY, epsilon=0.3)
SOFTMAX = Exploration(Explore.SOFTMAX, temperature=0.7)


def test_noise_is_documented_bits() -> None:
    # Golden: another language must get these 24-bit numbers.
    assert (uniforms(20261122, 7, 5) * 2**24 - 0.5).tolist() == [2754830, 2847365, 12665531, 3198056, 3346348]
    assert (uniforms(0, 0, 1) * 2**24 - 0.5).tolist() == [5557578]
    assert [uniform(20261122, 7, index) for index in range(5)] == uniforms(20261122, 7, 5).tolist()


def test_noise_is_even_and_without_echo() -> None:
    noise = np.concatenate([uniforms(1, number, 50) for number in range(4000)])
    assert noise.min() > 0.0
    assert noise.max() < 1.0
    counts = np.histogram(noise, 20, (0.0, 1.0))[0]
    expected = len(noise) / 20
    assert float(((counts - expected) ** 2 / expected).sum()) < 43.8  # chi-squared of 19 degrees: once in 1,000
    table = noise.reshape(4000, 50)
    neighbours = [np.corrcoef(table[:-1, 0], table[1:, 0])[0, 1], np.corrcoef(table[:, 0], table[:, 1])[0, 1]]
    other_seed = np.array([uniforms(2, number, 1)[0] for number in range(4000)])
    assert max(map(abs, [*neighbours, np.corrcoef(table[:, 0], other_seed)[0, 1]])) < 0.06


near = st.floats(-3, 3, width=32)
# Scores in clusters, up to 10,000 temperatures apart, and equal ones among them.
apart = st.builds(
    lambda step, within: np.float32(step * 0.7 + within).item(),
    st.sampled_from([0.0, -1.0, -20.0, -38.0, -61.0, -100.0, -700.0, -800.0, -1e4, -1.2e30]),
    st.sampled_from([0.0, 0.0, 0.3, -0.9, 1.7]),
)


@st.composite
def slates(draw: st.DrawFn, most: int = 6, of: st.SearchStrategy[float] = near) -> tuple[Slate, np.ndarray]:
    """Random candidates of which some are eligible, with category limits and pins."""
    count = draw(st.integers(1, most))
    scores = np.array(draw(st.lists(of, min_size=count, max_size=count)), np.float32)
    is_eligible = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    order = by_score(scores)
    best_first = order[np.array(is_eligible)[order]]
    categories = np.array(draw(st.lists(st.integers(0, 2), min_size=count, max_size=count)), np.int64)
    limits = np.array([NO_LIMIT, draw(st.integers(0, 3)), draw(st.integers(0, 3))])
    wanted = draw(st.lists(st.tuples(st.sampled_from(range(count)), st.integers(0, 4)), max_size=2))
    pinned, at = pin_places([(one, place) for one, place in wanted if is_eligible[one]])
    has_limits = draw(st.booleans())
    slate = Slate(best_first, pinned, at, categories if has_limits else None, limits if has_limits else None)
    return slate, scores


explorations = st.sampled_from([GREEDY, EPSILON, SOFTMAX, Exploration(Explore.EPSILON_GREEDY, epsilon=1.0)])


def every_draw(exploration: Exploration, slate: Slate, scores: np.ndarray) -> Iterator[tuple[float, I64]]:
    """Each list that a draw can give, with its probability, from the definition of the mode."""
    order, free = slate.best_first, slate.free.tolist()
    if exploration.mode is Explore.EPSILON_GREEDY and free:
        yield 1 - exploration.epsilon, slate.listed(order)
        for index in free:
            led = np.array([index, *(other for other in order.tolist() if other != index)])
            yield exploration.epsilon / len(free), slate.listed(led)
    elif exploration.mode is Explore.SOFTMAX:
        logits = scores.astype(float) / exploration.temperature
        for permutation in permutations(order.tolist()):
            probability = 1.0
            for place, index in enumerate(permutation):  # relative to the best of the rest: no weight overflows
                rest = logits[list(permutation[place:])]
                probability *= np.exp(logits[index] - rest.max()) / np.exp(rest - rest.max()).sum()
            yield probability, slate.listed(np.array(permutation, np.int64))
    else:
        yield 1.0, slate.listed(order)


@given(slates() | slates(of=apart), explorations, st.integers(0, 7) | st.none())
def test_propensities_are_those_of_all_draws_added_up(
    drawn: tuple[Slate, np.ndarray], exploration: Exploration, limit: int | None
) -> None:
    slate, scores = drawn
    first, inclusion = np.zeros(len(scores)), np.zeros(len(scores))
    for probability, drawn_list in every_draw(exploration, slate, scores):
        first[drawn_list[:1]] += probability
        inclusion[drawn_list[:limit]] += probability
    draw = Draw(exploration, scores, slate, slate.best_first)
    np.testing.assert_allclose(draw.first_propensity(), first, rtol=0, atol=1e-9)
    np.testing.assert_allclose(draw.inclusion(limit), inclusion, rtol=0, atol=1e-9)
    listed = len(slate.listed(slate.best_first))
    assert draw.first_propensity().sum() == pytest.approx(min(1, listed), abs=1e-12)
    assert draw.inclusion(limit).sum() == pytest.approx(listed if limit is None else min(limit, listed), abs=1e-9)


# Scores of which the draw decides the order of some, although huge steps lie between others.
FAR_APART = [
    [0.0, -100.0, -100.5, -101.0],
    [0.0, 0.5, -3000.0, -3000.0, -3001.0, -9000.0],
    [1e30, 1e30, -1e30, -1e30, -1e30, 0.0],
    [3e38, -3e38, -3e38],
    [0.0, -100_000_000.0, -100_000_000.0, -100_000_008.0],
]


@pytest.mark.parametrize("scores", FAR_APART)
@pytest.mark.parametrize("temperature", [1.0, 1e-30, 1e-45])
def test_a_count_of_draws_agrees_however_far_apart_the_scores_are(scores: list[float], temperature: float) -> None:
    exploration, decisions = Exploration(Explore.SOFTMAX, temperature=temperature), 4000
    final = np.array(scores, np.float32)
    for categories, limits in ((None, None), (np.arange(len(final)) % 2, np.array([1, 2]))):
        slate = Slate(by_score(final), (), (), categories, limits)
        draw = Draw(exploration, final, slate, slate.best_first)
        lists = [slate.listed(drawn_order(exploration, final, slate, 11, number)) for number in range(decisions)]
        first = np.bincount([drawn[0] for drawn in lists], minlength=len(final)) / decisions
        _within_chance(first, draw.first_propensity(), decisions)
        for limit in range(1, len(final)):
            listed = np.concatenate([drawn[:limit] for drawn in lists])
            _within_chance(np.bincount(listed, minlength=len(final)) / decisions, draw.inclusion(limit), decisions)


def test_far_candidates_share_the_places_that_the_best_leave() -> None:
    """The right value in closed form: one place for the best, one for a draw of the two that are far below it."""
    final = np.array([0.0, -100.0, -101.0], np.float32)
    slate = Slate(by_score(final), (), (), None, None)
    draw = Draw(Exploration(Explore.SOFTMAX, temperature=1.0), final, slate, slate.best_first)
    near = 1 / (1 + np.exp(-1.0))
    np.testing.assert_allclose(draw.inclusion(2), [1.0, near, 1 - near], rtol=0, atol=1e-12)


@pytest.mark.parametrize("behind", [0.0, 1.0, 10.0, 17.0, 30.0])
def test_24_bits_of_noise_draw_what_the_probabilities_say(behind: float) -> None:
    """All 2^48 pairs of noise are counted: how often the worse of two candidates is first."""
    of_better = (np.arange(2**24) + 0.5) * 2.0**-24
    threshold = of_better ** np.exp(-behind)  # the noise above which the worse candidate is first
    counted = (2**24 - np.floor(threshold * 2.0**24 + 0.5)).sum() / 2.0**48
    final = np.array([0.0, -behind], np.float32)
    slate = Slate(by_score(final), (), (), None, None)
    draw = Draw(Exploration(Explore.SOFTMAX, temperature=1.0), final, slate, slate.best_first)
    assert abs(draw.first_propensity()[1] - counted) <= 2.0**-24
    assert abs(draw.inclusion(1)[1] - counted) <= 2.0**-24


def test_all_of_many_candidates_are_listed_without_a_sum() -> None:
    """4,096 candidates without a limit: each is listed for sure. A sum over their arrivals would take minutes."""
    final = np.linspace(3.0, -3.0, 4096, dtype=np.float32)
    slate = Slate(by_score(final), (), (), None, None)
    assert Draw(SOFTMAX, final, slate, slate.best_first).inclusion(None).tolist() == [1.0] * 4096


def test_many_places_need_a_finer_sum() -> None:
    """300 equal candidates for 100 places: a third each. With a step of 0.2 the sum was 3e-6 off."""
    final = np.zeros(300, np.float32)
    slate = Slate(by_score(final), (), (), None, None)
    inclusion = Draw(SOFTMAX, final, slate, slate.best_first).inclusion(100)
    np.testing.assert_allclose(inclusion, 1 / 3, rtol=0, atol=1e-12)


@pytest.mark.parametrize("exploration", [EPSILON, SOFTMAX])
def test_a_count_of_draws_agrees(exploration: Exploration) -> None:
    """Monte Carlo over 20,000 decisions of one seed: 12 offers, two limited categories, a pin at the second place."""
    scores = np.linspace(2.0, -2.0, 12, dtype=np.float32)
    pinned, at = pin_places([(7, 1)])
    categories = np.array([1, 1, 1, 1, 2, 2, 2, 0, 0, 0, 1, 2])
    slate = Slate(by_score(scores), pinned, at, categories, np.array([NO_LIMIT, 2, 1]))
    decisions, limit = 20_000, 4
    first, inclusion = np.zeros(12), np.zeros(12)
    for number in range(decisions):
        order = drawn_order(exploration, scores, slate, 5, number)
        listed = slate.listed(order)[:limit]
        first[listed[0]] += 1 / decisions
        inclusion[listed] += 1 / decisions
    draw = Draw(exploration, scores, slate, slate.best_first)
    assert inclusion[7] == pytest.approx(1.0)
    _within_chance(first, draw.first_propensity(), decisions)
    _within_chance(inclusion, draw.inclusion(limit), decisions)


def _within_chance(counted: F64, probability: F64, draws: int) -> None:
    """Within 4.5 standard errors: by chance once in 150,000."""
    allowed = 4.5 * np.sqrt(probability * (1 - probability) / draws) + 1e-9
    assert (np.abs(counted - probability) <= allowed).all(), (counted, probability)


def test_the_probabilities_of_many_candidates_sum_to_the_places() -> None:
    """50 candidates, scores far apart: the probabilities add up to the places."""
    scores = np.linspace(40.0, -40.0, 50, dtype=np.float32)
    slate = Slate(by_score(scores), *pin_places([]), np.arange(50) % 5, np.array([3, 2, 1, 4, NO_LIMIT]))
    inclusion = Draw(SOFTMAX, scores, slate, slate.best_first).inclusion(10)
    assert inclusion.sum() == pytest.approx(10.0, abs=1e-8)
    assert ((inclusion >= 0) & (inclusion <= 1)).all()


@given(slates(12), explorations, st.integers(0, 2**32 - 1))
def test_a_draw_keeps_the_candidates_and_returns_the_raised_ones(
    drawn: tuple[Slate, np.ndarray], exploration: Exploration, seed: int
) -> None:
    slate, scores = drawn
    order = drawn_order(exploration, scores, slate, seed, 1)
    assert sorted(order.tolist()) == sorted(slate.best_first.tolist())
    place, was = ({index: at for at, index in enumerate(some.tolist())} for some in (order, slate.best_first))
    raised = Draw(exploration, scores, slate, order).raised().tolist()
    assert sorted(raised) == sorted(index for index in place if place[index] < was[index])
