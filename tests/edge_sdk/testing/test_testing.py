"""The test helpers for embedders have the interface of the real engine."""

from __future__ import annotations

import inspect

import pytest

from edge_sdk.base_decision import BaseDecision
from edge_sdk.engine.engine import Engine
from edge_sdk.errors import ErrorCode, InvalidValueError, UnknownKindError, UnknownOutcomeError
from edge_sdk.reasons import Reason
from edge_sdk.testing import NOON_MS, FakeEngine, FakeEvent, SettableClock, make_decision


@pytest.mark.parametrize("name", sorted(name for name in vars(Engine) if not name.startswith("_") and name != "open"))
def test_a_fake_engine_has_the_interface_of_an_engine(name: str) -> None:
    real, fake = inspect.getattr_static(Engine, name), getattr(FakeEngine, name, None)

    if isinstance(real, property):
        assert hasattr(FakeEngine(), name)
    else:
        assert fake is not None
        ours, theirs = (inspect.signature(probe, eval_str=False).parameters for probe in (fake, real))
        assert {one.name: (one.kind, one.default) for one in ours.values()} == {
            one.name: (one.kind, one.default) for one in theirs.values()
        }


def test_a_settable_clock_only_moves_when_it_is_set() -> None:
    clock = SettableClock()
    clock.advance(0.25)

    assert (clock(), clock()) == (NOON_MS + 250, 1_768_478_400_250)


def test_a_made_decision() -> None:
    decision = make_decision(["a", "b", "c"], dropped={"b": Reason.COOLING_DOWN}, limit=1, number=9)

    assert [(offer.id, offer.score, offer.place, offer.base_place) for offer in decision.offers] == [("a", 3.0, 1, 1)]
    assert [(offer.id, offer.reasons) for offer in decision.dropped] == [("b", Reason.COOLING_DOWN)]
    assert (decision.error, decision.id, decision.is_empty, decision.candidates) == (
        ErrorCode.NONE, 9, False, ("a", "b", "c")
    )  # fmt: skip
    assert decision.base_order.tolist() == [0, 1, 2]
    assert [offer.id for offer in make_decision(["a", "b"], logits=[0.1, 0.2]).offers] == ["b", "a"]
    assert make_decision(["a"], dropped={"a": Reason.QUIET}).is_empty
    failed = make_decision(["a"], error=ErrorCode.UNKNOWN_OFFER, detail="install the bundle")
    assert (failed.error, failed.detail) == (ErrorCode.UNKNOWN_OFFER, "install the bundle")
    assert failed.offers[0].reasons is Reason.BASE_ORDER


def test_a_fake_engine_stores_the_calls_it_got() -> None:
    clock = SettableClock()
    with FakeEngine(clock=clock) as engine:
        decision = engine.rank(BaseDecision(["a", "b"], [2.0, 1.0]), context={"surface": "home"}, limit=1)
        engine.shown(decision)
        clock.advance(1.0)
        engine.feedback(decision, "a", "click", value=3)
        engine.record("view", item="page")
        engine.record_many([5, 6], [1, 0], kind_names=["view", "click"])
        assert engine.explain(decision) == ()
        engine.storage.sync()
        status = engine.status()

    assert engine.requests[0].context == {"surface": "home"}
    assert engine.events == [
        FakeEvent(NOON_MS, "impression", "a", 0.0, 1),
        FakeEvent(NOON_MS + 1000, "click", "a", 3.0, 1),
        FakeEvent(NOON_MS + 1000, "view", "page", 0.0, 0),
        FakeEvent(5, "click"),
        FakeEvent(6, "view"),
    ]
    assert (status.events, status.decisions, status.errors) == (5, 1, 0)


def test_a_fake_engine_refuses_what_an_engine_refuses() -> None:
    engine = FakeEngine(shown_kinds={})
    decision = make_decision(["a"])

    with pytest.raises(UnknownKindError):
        engine.record("vieuw")
    with pytest.raises(UnknownKindError):
        engine.record_many([1], [0], kind_names=["vieuw"])
    with pytest.raises(UnknownKindError):
        engine.erase(kinds=["vieuw"])
    with pytest.raises(InvalidValueError):
        engine.record("view", value=float("inf"))
    with pytest.raises(UnknownOutcomeError):
        engine.shown(decision)
    with pytest.raises(UnknownOutcomeError):
        engine.feedback(decision, "a", "clack")
    with pytest.raises(InvalidValueError):
        engine.feedback(decision, "z", "click")
    with pytest.raises(TypeError):
        engine.rank(["a"])  # type: ignore[arg-type]
    engine.close()
    with pytest.raises(RuntimeError, match="the engine is closed"):
        engine.rank(BaseDecision(["a"], [1.0]))
    assert engine.events == []


def test_one_string_is_no_list_of_names() -> None:
    engine = FakeEngine()
    engine.record("view", item="a")

    with pytest.raises(TypeError, match=r"kinds is one string; pass a list of names: kinds=\['view'\]"):
        FakeEngine(kinds="view")
    with pytest.raises(TypeError, match=r"offers is one string; pass a list of names: offers=\['abc'\]"):
        make_decision("abc")
    with pytest.raises(InvalidValueError, match="kind_names='view'"):
        engine.record_many([1], [0], kind_names="view")
    with pytest.raises(InvalidValueError, match="item_names='ab'"):
        engine.record_many([1], [0], [1], kind_names=["view"], item_names="ab")
    with pytest.raises(InvalidValueError, match="items='a'"):
        engine.erase(items="a")
    with pytest.raises(InvalidValueError, match="kinds='view'"):
        engine.erase(kinds="view")
    assert [event.item for event in engine.events] == ["a"]


def test_the_storage_of_a_fake_engine_does_nothing_until_it_is_closed() -> None:
    engine = FakeEngine()
    storage = engine.storage
    storage.resize(4096)
    storage.rotate_key(None)
    storage.sync()
    assert engine.status().events == 0
    engine.close()
    for call in (storage.sync, lambda: storage.resize(4096), lambda: storage.rotate_key(bytes(16))):
        with pytest.raises(RuntimeError, match="the engine is closed"):
            call()


def test_a_candidate_in_two_channels_stays_valid() -> None:
    engine = FakeEngine()
    decision = engine.rank(BaseDecision(["a", "b", "a"], [3.0, 2.0, 1.0], channels=["sms", "", ""]))

    assert [offer.reasons for offer in decision.dropped] == [Reason.OTHER_TREATMENT]
    assert engine.is_still_valid(decision)
    engine.dropped = {"b": Reason.QUIET}
    assert not engine.is_still_valid(decision)


def test_a_fake_engine_erases_the_events_that_fit_all_that_is_given() -> None:
    clock = SettableClock(1000)
    engine = FakeEngine(clock=clock)
    for kind, item in (("view", "a"), ("click", "a"), ("view", "b")):
        engine.record(kind, item=item)
        clock.advance(1.0)

    assert engine.erase(items=["a"], kinds=["view"]) == 1
    assert engine.erase(before=2000) == 0
    assert engine.erase(before=2001) == 1
    assert engine.erase() == 1
