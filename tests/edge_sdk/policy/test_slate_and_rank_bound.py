"""The slate's rules, the rank bound and the score steps, over random orders."""

from __future__ import annotations

from itertools import permutations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge_sdk.policy.rank_bound import bounded_order
from edge_sdk.policy.rules import NO_LIMIT
from edge_sdk.policy.scoring import adjusted, bounded, diversified
from edge_sdk.policy.slate import Slate, earlier_of_same, pin_places
from edge_sdk.types import by_score, places

NO_PINS: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())


def orders(most: int = 12) -> st.SearchStrategy[list[int]]:
    return st.integers(1, most).flatmap(lambda count: st.permutations(range(count)))


@given(st.data(), orders(), st.integers(0, 13))
def test_no_candidate_moves_further_than_the_bound(data: st.DataObject, wanted: list[int], most: int) -> None:
    anchor = data.draw(st.permutations(range(len(wanted))))
    found = bounded_order(np.array(wanted), np.array(anchor), most, len(wanted))
    assert sorted(found.tolist()) == sorted(wanted)
    assert np.abs(places(found) - places(np.array(anchor))).max() <= most
    if np.abs(places(np.array(wanted)) - places(np.array(anchor))).max() <= most:
        assert found.tolist() == wanted


@given(st.data(), orders(6), st.integers(0, 4))
def test_each_place_goes_to_the_best_candidate_allowed_there(data: st.DataObject, wanted: list[int], most: int) -> None:
    """Of all orders within the bound, the result is best at the first place, then at the second, and so on."""
    anchor = np.array(data.draw(st.permutations(range(len(wanted)))))
    rank = places(np.array(wanted))
    allowed = [
        one for one in map(np.array, permutations(range(len(wanted))))
        if np.abs(places(one) - places(anchor)).max() <= most
    ]  # fmt: skip
    best = min(allowed, key=lambda one: rank[one].tolist())
    assert bounded_order(np.array(wanted), anchor, most, len(wanted)).tolist() == best.tolist()


@given(st.lists(st.floats(-5, 5, width=32), min_size=2, max_size=12), st.data(), st.integers(0, 4))
def test_bounded_scores_give_the_bounded_order(given_scores: list[float], data: st.DataObject, most: int) -> None:
    count = len(given_scores)
    scores = np.array(given_scores, np.float32)
    anchor = np.array(data.draw(st.lists(st.floats(-5, 5, width=32), min_size=count, max_size=count)), np.float32)
    eligible = np.flatnonzero(data.draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    by_these, by_anchor = (eligible[by_score(some[eligible])] for some in (scores, anchor))
    near, order = bounded(scores, by_these, by_anchor, most)
    assert sorted(order.tolist()) == eligible.tolist()
    assert (np.diff(near[order]) <= 0).all()
    assert sorted(near[eligible].tolist()) == sorted(scores[eligible].tolist())
    others = np.setdiff1d(np.arange(count), eligible)
    assert near[others].tolist() == scores[others].tolist()


def test_the_model_weight_and_the_max_score_change() -> None:
    base, model = np.array([1.0, 2.0, 3.0], np.float32), np.array([2.0, 1.9, 0.0], np.float32)
    assert adjusted(base, model, 1.0, None) is model
    assert adjusted(base, model, 0.0, 0.5) is base
    assert adjusted(base, model, 1.0, 3.0) is model
    np.testing.assert_allclose(adjusted(base, model, 1.0, 0.5), [1.5, 1.9, 2.5], rtol=1e-6)
    np.testing.assert_allclose(adjusted(base, model, 0.5, 0.5), [1.25, 1.95, 2.75], rtol=1e-6)


def test_diversity_lowers_each_later_offer_of_a_category() -> None:
    scores = np.array([3.0, 2.9, 2.8, 2.7, 1.0], np.float32)
    categories = np.array([1, 1, 2, 1, 0])
    spread = diversified(scores, np.arange(5), categories, 0.5)
    np.testing.assert_allclose(spread, [3.0, 2.4, 2.8, 1.7, 1.0], rtol=1e-6)


@given(st.lists(st.integers(0, 4), max_size=20))
def test_earlier_of_same(values: list[int]) -> None:
    expected = [values[:place].count(value) for place, value in enumerate(values)]
    assert earlier_of_same(np.array(values, np.int64)).tolist() == expected


@given(st.data(), orders())
def test_pins_are_at_their_places_and_limits_are_kept(data: st.DataObject, order: list[int]) -> None:
    count = len(order)
    categories = np.array(data.draw(st.lists(st.integers(0, 2), min_size=count, max_size=count)))
    limits = np.array([NO_LIMIT, data.draw(st.integers(0, 3)), data.draw(st.integers(0, 3))])
    wanted = data.draw(st.lists(st.tuples(st.sampled_from(order), st.integers(0, 6)), max_size=3))
    pinned, at = pin_places(wanted)
    slate = Slate(np.array(order), pinned, at, categories, limits)
    listed = slate.listed(np.array(order)).tolist()
    assert len(set(listed)) == len(listed)
    assert set(pinned) <= set(listed)
    taken = set()
    for candidate, place in zip(pinned, at, strict=True):
        assert listed.index(candidate) == min(place, len(listed) - sum(1 for later in at if later >= place))
        taken.add(place)
    assert len(taken) == len(pinned)
    for category in (1, 2):
        of_pins = sum(categories[one] == category for one in pinned)
        assert sum(categories[one] == category for one in listed) <= max(limits[category], of_pins)
    others = [one for one in listed if one not in pinned]
    assert others == [one for one in order if one in others]  # their order among each other does not change


def test_a_place_goes_to_the_first_rule_and_the_next_pin_gets_the_next_place() -> None:
    assert pin_places([(4, 1), (2, 0), (3, 1), (4, 0)]) == ((2, 4, 3), (0, 1, 2))
    slate = Slate(np.array([0, 1, 2, 3, 4]), *pin_places([(4, 1), (2, 0), (3, 1)]), None, None)
    assert slate.listed(slate.best_first).tolist() == [2, 4, 3, 0, 1]
    far = Slate(np.array([0, 1, 2]), *pin_places([(0, 9)]), None, None)
    assert far.listed(far.best_first).tolist() == [1, 2, 0]
    assert Slate(np.array([0, 1]), *NO_PINS, None, None).listed(np.array([1, 0])).tolist() == [1, 0]
