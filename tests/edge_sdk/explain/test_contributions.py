"""The share of each window event in the counters equals a plain loop over the events."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk import BaseDecision
from edge_sdk.bundle.bundle import Bundle
from edge_sdk.explain.contributions import counter_labels, counter_shares, decomposed, events_named
from edge_sdk.explain.explainer import Explainer
from edge_sdk.memory.decay import TICKS_A_HALF_LIFE
from edge_sdk.model.inputs import ModelInputs
from edge_sdk.testing.white_box import internals
from edge_sdk.types import F32, F64
from tests.support.engine_acts import ACTS, Act, do, fresh, inputs_of
from tests.support.scene import HOME, OFFERS, SettableClock, Small

BASE = BaseDecision(OFFERS, np.linspace(1, 0, 6))


def shares_one_by_one(bundle: Bundle, inputs: ModelInputs, counters: F32) -> F64:
    """Returns each window event's share of the counters' contributions, (N, C, F), as edge-sdk 0.1 computed it."""
    layout = bundle.layout
    n, c, h = layout.window, len(inputs.candidate), len(layout.decays)
    shares = np.zeros((n, c, layout.counter_features))
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.where(inputs.counters > 0, counters / inputs.counters.astype(np.float64), 0.0)
    half_lives = np.array([decay.tick_ms * TICKS_A_HALF_LIFE / 1000 for decay in layout.decays])
    rule_of_row = {rule.row: rule for rule in layout.kinds.values()}
    item_offer = [0] + [layout.offers.row(int(identifier)) for identifier in layout.items.ids]
    offer_category = layout.offers.row_category
    for place in np.flatnonzero(inputs.event_kind).tolist():
        counter = rule_of_row[int(inputs.event_kind[place])].counter
        if counter < 0:
            continue
        row = int(inputs.event_item[place])
        offer = item_offer[row]
        category = offer_category[offer] or layout.items.row_category[row]
        decayed = np.exp2(-float(inputs.event_age_s[place]) / half_lives)
        own = slice(counter * h, counter * h + h)
        of_category = slice(own.start + layout.counter_kinds * h, own.stop + layout.counter_kinds * h)
        if offer:
            shares[place, :, own] = decayed * (inputs.candidate == offer)[:, None]
        if category:
            shares[place, :, of_category] = decayed * (offer_category[inputs.candidate] == category)[:, None]
    return shares * slope


@given(acts=ACTS, later_ms=st.integers(0, 100_000), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_shares_equal_the_loop(derived: Small, acts: list[Act], later_ms: int, seed: int) -> None:
    clock = SettableClock()
    folder, engine = fresh(derived, clock)
    with folder, engine:
        do(engine, clock, acts)
        clock.now_ms += later_ms
        bundle, decision = internals(engine).bundle, engine.rank(BASE, context=HOME)
        inputs = inputs_of(decision)
        tables = Explainer(bundle).tables
    random = np.random.default_rng(seed)
    counters = random.normal(size=inputs.counters.shape).astype(np.float32) * (inputs.counters > 0)
    expected = shares_one_by_one(bundle, inputs, counters)
    halves, kinds = len(bundle.layout.decays), bundle.layout.counter_kinds
    by_side = expected.reshape(len(expected), len(OFFERS), 2, kinds * halves).sum(axis=3)
    shares = counter_shares(tables, inputs, counters)
    np.testing.assert_allclose(shares, by_side.transpose(1, 2, 0), rtol=1e-12, atol=1e-12)

    events = random.normal(size=(len(expected), len(OFFERS))).astype(np.float32)
    of_events, rest = decomposed(tables, inputs, events, counters)
    np.testing.assert_allclose(of_events, events.astype(np.float64) + expected.sum(axis=2), rtol=1e-12, atol=1e-12)
    left = (counters.astype(np.float64) - expected.sum(axis=0)).reshape(len(OFFERS), 2 * kinds, halves).sum(axis=2)
    np.testing.assert_allclose(rest, left, rtol=1e-10, atol=1e-10)


def test_labels(small: Small) -> None:
    clock = SettableClock()
    folder, engine = fresh(small, clock)
    with folder, engine:
        engine.record("click", item="fund_a")
        engine.record("view")
        clock.now_ms += 12_000
        explainer = Explainer(internals(engine).bundle)
        inputs = inputs_of(engine.rank(BASE, context=HOME))
    assert events_named(explainer.tables, inputs) == [
        ("view (an item not in the bundle), 12 s ago", 0, "view", "", 12.0),
        ("click fund_a, 12 s ago", 1, "click", "fund_a", 12.0),
    ]
    assert counter_labels(explainer.tables) == (
        "earlier impression of the offer",
        "earlier click of the offer",
        "earlier convert of the offer",
        "earlier impression of the offer's category",
        "earlier click of the offer's category",
        "earlier convert of the offer's category",
    )
