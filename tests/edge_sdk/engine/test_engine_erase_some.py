"""Erasing some events is as if they had never been recorded; where the ring dropped them, counts are erased widely."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk import BaseDecision, Engine, Reason
from edge_sdk.testing.white_box import internals
from edge_sdk.vocabulary import item_id
from tests.support.engine_acts import dropped, names
from tests.support.scene import HOME, ITEMS, KINDS, NOW_MS, OFFERS, SettableClock, Small

BASE = BaseDecision(OFFERS, np.linspace(1, 0, 6))
NAMES = st.sampled_from((*ITEMS, "", "never heard of"))
EVENTS = st.lists(
    st.tuples(
        st.sampled_from([0, 1_000, 60_000, 240_001, 300_001, 3_000_000, -20_000, -(10**9)]),
        st.sampled_from(KINDS),
        NAMES,
        st.floats(-1e6, 1e6, width=32),
    ),
    max_size=40,
)
KEY = bytes(range(32))
Event = tuple[int, str, str, float]


def explained(engine: Engine) -> list[tuple[float, float]]:
    """Of each offer, the base and the sum of all terms."""
    explanations = engine.explain(engine.rank(BASE, context=HOME))
    return [(e.base, sum(term.value for term in e.contributions)) for e in explanations]


def state(engine: Engine) -> tuple[object, ...]:
    decision = engine.rank(BASE, context=HOME)
    return engine.status().events, internals(engine).state.memory.dump(), decision.scores.tobytes(), names(decision)


@given(
    before=EVENTS,
    after=EVENTS,
    items=st.one_of(st.none(), st.sets(NAMES, min_size=1, max_size=3)),
    kinds=st.one_of(st.none(), st.sets(st.sampled_from(KINDS), min_size=1, max_size=3)),
    before_ms=st.one_of(st.none(), st.integers(-100_000, 3_000_000)),
    storage_key=st.sampled_from([None, KEY]),
    scene=st.sampled_from(["small", "derived"]),
)
@settings(max_examples=60, deadline=None)
def test_what_was_erased_might_never_have_been_recorded(
    small: Small, derived: Small, tmp_path_factory: pytest.TempPathFactory, *,
    before: list[Event], after: list[Event], items: set[str] | None, kinds: set[str] | None, before_ms: int | None,
    storage_key: bytes | None, scene: str,
) -> None:  # fmt: skip
    """Right after the erase, after further events, after reopening and in a log of another size."""
    subject = small if scene == "small" else derived
    border_ms = None if before_ms is None else NOW_MS + before_ms
    seen = []
    for erases in (True, False):
        folder, clock, found = tmp_path_factory.mktemp("state"), SettableClock(), []
        engine = subject.open(folder, clock, storage_key=storage_key)
        erasable = 0
        for later_ms, kind, item, value in before:
            clock.now_ms += later_ms
            fits = (kinds is None or kind in kinds) and (items is None or item in items)
            fits = fits and (border_ms is None or clock.now_ms < border_ms)
            erasable += fits
            if erases or not fits:
                engine.record(kind, item=item, value=value)
        engine.rank(BASE, context=HOME)
        if erases:
            assert engine.erase(before=border_ms, items=items, kinds=kinds) == erasable
        found += [state(engine), explained(engine)]
        for later_ms, kind, item, value in after:
            clock.now_ms += later_ms
            engine.record(kind, item=item, value=value)
        found += [state(engine), explained(engine)]
        engine.close()
        engine = subject.open(folder, clock, storage_key=storage_key)
        found += [state(engine)]
        engine.storage.resize(9000)
        found += [state(engine), explained(engine)]
        engine.close()
        seen.append(found)
    assert seen[0] == seen[1]


def test_what_followed_from_an_erased_event_goes_with_it(derived: Small, clock: SettableClock, tmp_path: Path) -> None:
    """A view of fund_a, a stay of 30 s with it, a click; erasing the view takes the stay along."""
    with derived.open(tmp_path / "s", clock) as engine:
        engine.record("view", item="fund_a")
        clock.now_ms += 30_000
        engine.record("click", item="fund_b")
        labels = {
            term.label for term in engine.explain(engine.rank(BASE, context=HOME))[0].contributions if term.event >= 0
        }
        assert labels == {"view fund_a, 30 s ago", "stay fund_a, 0 s ago", "click fund_b, 0 s ago"}
        assert engine.erase(items=["fund_a"]) == 1
        labels = {
            term.label for term in engine.explain(engine.rank(BASE, context=HOME))[0].contributions if term.event >= 0
        }
        assert labels == {"click fund_b, 0 s ago"}


# ---- where the ring has dropped events ----

FREE: dict[str, Reason] = {}
HELD = {"fund_a": Reason.CAPPED, "fund_b": Reason.CAPPED}


@pytest.fixture
def wrapped(small: Small, clock: SettableClock, tmp_path: Path) -> Engine:
    """fund_a and fund_b were shown as often as an hour allows, and 200 events since have taken the ring."""
    engine = small.open(tmp_path / "state", clock, log_bytes=4096)
    for offer in ("fund_a", "fund_a", "fund_b", "fund_b"):
        engine.record("impression", item=offer)
    for _ in range(200):
        engine.record("note", item="page_home")
    assert internals(engine).state.log.read()["seq"].min() == 79
    assert dropped(engine.rank(BASE, context=HOME)) == HELD
    return engine


def counters(engine: Engine) -> dict[str, float]:
    """Returns the impressions of each offer in the slower counter; category fund last."""
    layout = internals(engine).bundle.layout
    rows = np.arange(1, len(OFFERS) + 1)
    out = np.zeros((len(OFFERS), layout.counter_features), np.float32)
    internals(engine).state.memory.counters.fill(NOW_MS, layout.counter_slots(rows), out)
    of = {offer: float(out[int(layout.offers.row(int(i))) - 1, 1]) for offer, i in zip(OFFERS, IDS, strict=True)}
    row_of_fund = int(layout.offers.row(IDS[2])) - 1
    return {offer: count for offer, count in of.items() if count} | {"category": float(out[row_of_fund, 7])}


IDS = [item_id(offer) for offer in OFFERS]


@pytest.mark.parametrize(
    ("erase", "suppressed", "counted"),
    [
        ({"items": ["fund_a"]}, {"fund_b": Reason.CAPPED}, {"fund_b": 2.0, "category": 0.0}),
        ({"items": ["fund_c"]}, HELD, {"fund_a": 2.0, "fund_b": 2.0, "category": 0.0}),
        ({"items": ["page_home", "coupon_a"]}, HELD, {"fund_a": 2.0, "fund_b": 2.0, "category": 4.0}),
        ({"items": ["never heard of", ""]}, HELD, {"fund_a": 2.0, "fund_b": 2.0, "category": 4.0}),
        ({"items": []}, HELD, {"fund_a": 2.0, "fund_b": 2.0, "category": 4.0}),
        ({"kinds": ["impression"]}, FREE, {"category": 0.0}),
        ({"kinds": ["click", "note"]}, HELD, {"fund_a": 2.0, "fund_b": 2.0, "category": 4.0}),
        ({"kinds": ["click"], "items": ["fund_a"]}, HELD, {"fund_a": 2.0, "fund_b": 2.0, "category": 4.0}),
        (
            {"kinds": ["impression"], "items": ["fund_b"], "before": 0},
            {"fund_a": Reason.CAPPED}, {"fund_a": 2.0, "category": 0.0},
        ),
        ({"before": 0}, FREE, {"category": 0.0}),  # any dropped event may have been older than that
    ],
)  # fmt: skip
def test_counts_without_erased_events_stay_and_the_others_start_anew(
    small: Small, clock: SettableClock, wrapped: Engine, tmp_path: Path,
    erase: dict[str, object], suppressed: dict[str, Reason], counted: dict[str, float],
) -> None:  # fmt: skip
    assert counters(wrapped) == {"fund_a": 2.0, "fund_b": 2.0, "category": 4.0}
    wrapped.erase(**erase)  # type: ignore[arg-type]
    assert dropped(wrapped.rank(BASE, context=HOME)) == suppressed
    assert counters(wrapped) == counted
    wrapped.close()
    with small.open(tmp_path / "state", clock) as engine:
        assert dropped(engine.rank(BASE, context=HOME)) == suppressed
        assert counters(engine) == counted
        engine.record("impression", item="fund_a")
        assert counters(engine)["fund_a"] == counted.get("fund_a", 0.0) + 1.0


def test_a_cap_of_days_outlives_an_erase_of_another_offer(small: Small, clock: SettableClock, wrapped: Engine) -> None:
    wrapped.erase(items=["fund_a"])
    for _ in range(500):
        wrapped.record("view", item="page_home")
    clock.now_ms = NOW_MS + 3_599_999
    assert dropped(wrapped.rank(BASE, context=HOME)) == {"fund_b": Reason.CAPPED}
    clock.now_ms = NOW_MS + 3_600_000
    assert dropped(wrapped.rank(BASE, context=HOME)) == FREE
    wrapped.close()


@pytest.mark.parametrize("selection", [{"items": ["never seen"]}, {"before": 5}, {"kinds": ["convert"]}, {"items": []}])
def test_an_erase_that_selects_nothing_keeps_decisions_as_they_are(engine: Engine, selection: dict[str, Any]) -> None:
    engine.record("click", item="fund_a")
    decision = engine.rank(BASE, context=HOME)
    assert engine.erase(**selection) == 0
    assert engine.explain(decision)
    assert engine.is_still_valid(decision)


@pytest.mark.parametrize(
    ("selection", "is_kept"),
    [
        ({"items": ["never seen"]}, True),
        ({"kinds": ["click"]}, True),
        ({"items": ["fund_a"]}, False),  # its impressions have left the log, and still count
        ({"items": ["fund_c"]}, False),  # its category has counts that may be its own
        ({"before": 5}, False),  # any event that has left the log may have been older
    ],
)
def test_decisions_stay_where_no_event_that_left_the_log_can_have_counted(
    wrapped: Engine, selection: dict[str, Any], is_kept: bool
) -> None:
    decision = wrapped.rank(BASE, context=HOME)
    dump = internals(wrapped).state.memory.dump()

    assert wrapped.erase(**selection) == 0

    assert wrapped.is_still_valid(decision) is is_kept
    assert (internals(wrapped).state.memory.dump() == dump) is is_kept
    if is_kept:
        assert wrapped.explain(decision)
    wrapped.close()
