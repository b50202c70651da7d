"""Counters and caps of one user's folder continue under a new bundle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk import BaseDecision, Reason
from edge_sdk.memory.bulk import memory_from
from edge_sdk.memory.memory import Memory
from edge_sdk.memory.migration import inherit
from edge_sdk.memory.targets import Scope
from edge_sdk.testing.white_box import internals
from edge_sdk.vocabulary import item_id
from tests.support.scene import HOME, NOW_MS, OFFERS, SettableClock, Small
from tests.support.two_bundles import KEY, known, known_of, opened, pack_former, pack_latest, record_some

DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def former(tmp_path_factory: pytest.TempPathFactory) -> Small:
    """The former bundle."""
    return pack_former(tmp_path_factory.mktemp("former"))


@pytest.fixture(scope="module")
def latest(tmp_path_factory: pytest.TempPathFactory) -> Small:
    """The latest bundle."""
    return pack_latest(tmp_path_factory.mktemp("latest"))


def test_the_two_bundles_differ_in_all_that_matters(former: Small, latest: Small) -> None:
    old, new = former.layout.memory, latest.layout.memory
    assert [len(table) for table in (old.offers, new.offers, old.items, new.items)] == [5, 6, 3, 8]
    assert new.caps[1]._replace(within_s=30 * 86_400) == old.caps[0]
    assert [decay.half_life_s for decay in (*old.decays, *new.decays)] == [3600, 7200, 60, 3600]


@pytest.mark.parametrize("key", [None, KEY])
def test_a_cap_of_thirty_days_survives_a_busy_day_and_a_new_bundle(
    former: Small, latest: Small, tmp_path: Path, key: bytes | None
) -> None:
    clock, now = SettableClock(), BaseDecision(OFFERS, np.zeros((6, 2)))
    with opened(former, tmp_path, clock, key) as engine:
        for _ in range(2):
            engine.record("impression", item="fund_a")
        for _ in range(500):
            engine.record("note")
    for day in (1, 30):
        clock.now_ms = NOW_MS + day * DAY_MS
        with opened(latest, tmp_path, clock, key) as engine:
            assert internals(engine).state.log.read()["seq"].min() > 2  # the impressions have left the log
            dropped = {offer.id: offer.reasons for offer in engine.rank(now, context=HOME).dropped}
            assert Reason.CAPPED in dropped["fund_a"]
            assert not any(Reason.CAPPED in reasons for offer, reasons in dropped.items() if offer != "fund_a")
    clock.now_ms = NOW_MS + 31 * DAY_MS
    with opened(latest, tmp_path, clock, key) as engine:
        assert "fund_a" in [offer.id for offer in engine.rank(now, context=HOME).offers]


def test_an_erased_item_may_have_changed_any_category_of_a_former_bundle(
    former: Small, latest: Small, tmp_path: Path
) -> None:
    """The former bundle may have had the items in other categories, so no counter of a category can be trusted."""
    clock = SettableClock()
    with opened(former, tmp_path, clock) as engine:
        engine.record("click", item="fund_a")
        engine.record("click", item="coupon_b")
        for _ in range(500):
            engine.record("note")
    for erased, left in (([], [1.0, 1.0]), (["fund_b"], [0.0, 0.0])):
        with opened(latest, tmp_path, clock) as engine:  # opened again: what is known of the past is in the file
            engine.erase(items=erased)
            memory = internals(engine).state.memory
            clicks = memory.category_counters(clock.now_ms).reshape(2, 3, 2)[:, 1, 1]  # of both categories, an hour
            offers = latest.layout.memory.offers
            own = np.zeros((2, memory.layout.counter_features), np.float32)
            rows = np.array([offers.row(item_id("fund_a")), offers.row(item_id("coupon_b"))])
            memory.counters.fill(clock.now_ms, memory.layout.counter_slots(rows), own)
            assert own[:, 3].tolist() == [1.0, 1.0]  # each offer's own goes on
            assert clicks.tolist() == left


@given(counts=st.lists(st.integers(0, 300), min_size=2, max_size=4), seed=st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_bundles_in_turn_are_as_one_memory_that_is_inherited_in_turn(
    former: Small, latest: Small, tmp_path_factory: pytest.TempPathFactory, counts: list[int], seed: int
) -> None:
    folder, clock = tmp_path_factory.mktemp("state"), SettableClock()
    before: Memory | None = None
    for turn, count in enumerate(counts):
        small = (former, latest)[turn % 2]
        with opened(small, folder, clock) as engine:
            expected = memory_from(internals(engine).state.layout, internals(engine).state.log.read())
            if before is not None and not internals(engine).state.log.is_whole:
                inherit(expected, before)
            assert known(engine, clock.now_ms) == known_of(expected, clock.now_ms)
            record_some(engine, clock, count, seed + turn)
            before = internals(engine).state.memory


def test_a_log_with_all_events_knows_more_than_the_former_memory(former: Small, latest: Small, tmp_path: Path) -> None:
    clock = SettableClock()
    with opened(former, tmp_path, clock) as engine:
        record_some(engine, clock, 100, 1)
    with opened(latest, tmp_path, clock) as engine:
        state = internals(engine).state
        assert state.log.is_whole
        assert state.memory.dump() == memory_from(state.layout, state.log.read()).dump()
        clock.now_ms += 60 * DAY_MS
        decision = engine.rank(BaseDecision(OFFERS, np.zeros((6, 2))), context=HOME)
        engine.record("click", item="fund_a")  # so that the explanation is made from the log
        explained = engine.explain(decision)[: len(decision.offers)]
        scores = [found.base + sum(term.value for term in found.contributions) for found in explained]
        assert scores == pytest.approx([offer.score for offer in decision.offers], abs=1e-4)
        assert scores


def test_decision_ids_go_on(former: Small, latest: Small, tmp_path: Path) -> None:
    clock = SettableClock()
    with opened(former, tmp_path, clock) as engine:
        record_some(engine, clock, 200, 1)
        assert engine.rank(BaseDecision(OFFERS[1:], np.zeros((5, 2))), context=HOME).id == 1
    for expected in (2, 3):
        with opened(latest, tmp_path, clock) as engine:
            assert engine.rank(BaseDecision(OFFERS, np.zeros((6, 2))), context=HOME).id == expected


def test_what_was_erased_before_is_not_inherited(former: Small, latest: Small, tmp_path: Path) -> None:
    clock = SettableClock()
    with opened(former, tmp_path, clock) as engine:
        record_some(engine, clock, 300, 3)
        engine.erase(items=["fund_a"])
    with opened(latest, tmp_path, clock) as engine:
        memory = internals(engine).state.memory
        row = memory.layout.offers.row(item_id("fund_a"))
        assert not memory.counters.sums[row].any()
        assert memory.counters.sums[1:].any()
        for index, rule in enumerate(memory.layout.caps):
            assert rule.per == Scope.CATEGORY or not memory.caps.newest(index, np.array([row])).any()
