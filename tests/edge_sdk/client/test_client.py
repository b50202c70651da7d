"""A client goes through its states, answers and errors, from its creation to its closing."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from edge_sdk.base_decision import BaseDecision
from edge_sdk.client.client import Client
from edge_sdk.client.states import ClientState
from edge_sdk.decision.fallback import fallback_decision
from edge_sdk.errors import BundleUnreadableError, ErrorCode, StateUnusableError
from edge_sdk.reasons import Reason
from edge_sdk.testing import NOON_MS, FakeEngine, SettableClock
from tests.support.client_openers import PATIENCE_S, GatedOpener, HookLedger, ids

BASE = BaseDecision(["fund_a", "fund_b", "fund_c"], [0.3, 0.2, 0.1])
UNREADABLE = BundleUnreadableError(Path("scene.edge"), FileNotFoundError(2, "No such file or directory"))


def opened(engine: FakeEngine, **options: object) -> Client[FakeEngine]:
    client = Client(lambda: engine, **options)  # type: ignore[arg-type]
    client.start()
    assert client.wait(PATIENCE_S)
    return client


def test_before_it_is_started_it_answers_the_base_order() -> None:
    client = Client(FakeEngine, clock=SettableClock())

    decision = client.rank(BASE, limit=2)

    assert client.state is ClientState.NOT_READY
    assert client.error is None
    assert client.engine is None
    assert client.status() is None
    assert [offer.id for offer in decision.offers] == ["fund_a", "fund_b"]
    assert decision.offers[0].reasons is Reason.BASE_ORDER
    assert (decision.error, decision.id, decision.time_ms) == (ErrorCode.NOT_READY, 0, NOON_MS)
    assert decision.detail == "the client is not started; call start()"
    assert decision.propensity.tolist() == [1.0, 0.0, 0.0]
    assert decision.inclusion.tolist() == [1.0, 1.0, 0.0]
    assert ids(client.offers(BASE, limit=2)) == ("fund_a", "fund_b")
    assert ids(client.offers(BASE, limit=2, default=["house_ad"])) == ("house_ad",)


def test_it_opens_in_the_background() -> None:
    opener = GatedOpener(FakeEngine())
    hook = HookLedger()
    client = Client(opener, hooks=[hook])

    client.start()
    client.start()  # under way: nothing
    while_opening = client.rank(BASE)
    opener.gate.set()
    ready = client.wait(PATIENCE_S)
    client.start()  # done: nothing

    assert while_opening.error is ErrorCode.NOT_READY
    assert while_opening.detail == "the engine is being opened; ask again, or wait() for it"
    assert ready
    assert client.state is ClientState.READY
    assert client.engine is opener.engine
    assert client.rank(BASE).error is ErrorCode.NONE
    assert opener.calls == 1
    assert hook.await_states(1) == [ClientState.READY]


def test_waiting_ends_when_the_time_is_over() -> None:
    opener = GatedOpener(FakeEngine())
    client = Client(opener)
    client.start()

    assert not client.wait(0.0)
    opener.gate.set()
    assert client.wait(PATIENCE_S)


def test_an_opener_that_fails_is_told_and_may_try_again() -> None:
    opener = GatedOpener(FakeEngine(), UNREADABLE)
    opener.gate.set()
    hook = HookLedger()
    client = Client(opener, hooks=[hook])

    client.start()
    assert not client.wait(PATIENCE_S)
    failed = client.rank(BASE)
    assert client.state is ClientState.ERROR
    assert client.error is UNREADABLE
    assert failed.error is ErrorCode.NOT_READY
    assert failed.detail == (
        "opening failed with 100 BUNDLE_UNREADABLE: scene.edge: cannot be read (No such file or directory); "
        "ship the .edge file with the app; then call start() again"
    )
    assert ids(client.offers(BASE, default=["house_ad"])) == ("house_ad",)
    client.start()
    assert client.wait(PATIENCE_S)
    assert client.engine is opener.engine
    assert client.error is None
    assert hook.problems[0] == (
        ErrorCode.BUNDLE_UNREADABLE,
        "scene.edge: cannot be read (No such file or directory); ship the .edge file with the app",
    )
    client.close()
    assert hook.await_states(4) == [
        ClientState.ERROR, ClientState.NOT_READY, ClientState.READY, ClientState.CLOSED
    ]  # fmt: skip


def test_states_are_told_in_order_even_to_a_hook_that_closes() -> None:
    class Closing(HookLedger):
        def on_state(self, state: ClientState) -> None:
            if state is ClientState.READY:
                client.close()
            super().on_state(state)

    engine, hook = FakeEngine(), Closing()
    client = Client(lambda: engine, hooks=[hook])
    client.start()

    assert hook.await_states(2) == [ClientState.READY, ClientState.CLOSED]
    assert engine.closed


@pytest.mark.parametrize("problem", [OSError(5, "Input/output error"), SystemExit(3), KeyError("key")])
def test_whatever_an_opener_raises_the_client_answers(problem: BaseException) -> None:
    opener = GatedOpener(FakeEngine(), problem)
    opener.gate.set()
    client = Client(opener)

    client.start()

    assert not client.wait(PATIENCE_S)
    assert client.state is ClientState.ERROR
    assert client.error is problem
    assert client.rank(BASE).detail.startswith(f"opening failed with 411 NOT_READY: {type(problem).__name__}: ")


def test_a_system_without_threads_is_an_error_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    client = Client(FakeEngine)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        client.start()
        assert client.state is ClientState.ERROR
    client.start()
    assert client.wait(PATIENCE_S)


def test_answers_are_the_engines() -> None:
    engine = FakeEngine()
    engine.dropped = {"fund_a": Reason.CAPPED}
    client = opened(engine)
    context, weights, attributes = {"surface": "home"}, {"click": 2.0}, {"age": 33.0}

    decision = client.rank(BASE, context=context, limit=1, weights=weights, attributes=attributes)

    assert [offer.id for offer in decision.offers] == ["fund_b"]
    assert [(offer.id, offer.reasons) for offer in decision.dropped] == [("fund_a", Reason.CAPPED)]
    assert ids(client.offers(BASE, default=["house_ad"])) == ("fund_b", "fund_c")
    asked = engine.requests[0]
    assert (asked.base, asked.context, asked.limit, asked.weights, asked.attributes) == (
        BASE, context, 1, weights, attributes
    )  # fmt: skip


def test_an_answer_with_an_error_is_the_default_or_the_base_order() -> None:
    engine = FakeEngine()
    engine.error = ErrorCode.MODEL_FAILED
    client = opened(engine)

    assert ids(client.offers(BASE, default=["house_ad"])) == ("house_ad",)
    assert ids(client.offers(BASE, limit=2)) == ("fund_a", "fund_b")
    assert client.rank(BASE).error is ErrorCode.MODEL_FAILED


def test_offers_have_their_channel_and_variant() -> None:
    base = BaseDecision(["fund_a", "fund_b"], [0.2, 0.1], channels=["push", ""], variants=["short", ""])
    engine = FakeEngine()
    client = opened(engine)

    offers = client.offers(base, context={"surface": "home"}, attributes={"age": 33.0}, limit=2, weights={"click": 2.0})

    assert [(offer.id, offer.channel, offer.variant) for offer in offers] == [
        ("fund_a", "push", "short"),
        ("fund_b", "", ""),
    ]
    assert offers == client.rank(base, limit=2).offers
    asked = engine.requests[0]
    assert (asked.context, asked.attributes, asked.limit, asked.weights) == (
        {"surface": "home"}, {"age": 33.0}, 2, {"click": 2.0}
    )  # fmt: skip
    fresh = Client(FakeEngine)  # before the engine is open, too
    assert [(offer.id, offer.channel, offer.variant) for offer in fresh.offers(base)] == [
        ("fund_a", "push", "short"), ("fund_b", "", "")
    ]  # fmt: skip


def test_default_offers_are_in_the_app_and_at_most_limit() -> None:
    first, second = Client(FakeEngine).offers(BASE, default=iter(["house_ad", "fund_a", "fund_b"]), limit=2)  # type: ignore[arg-type]

    assert (first.id, first.place, first.base_place, first.channel, first.variant) == ("house_ad", 1, 0, "", "")
    assert (second.id, second.place, second.base_place) == ("fund_a", 2, 0)
    assert np.isnan(first.score)
    assert first.reasons.text == ""


def test_default_offers_do_not_replace_an_answer_of_the_device() -> None:
    engine = FakeEngine()
    engine.dropped = {offer: Reason.CAPPED for offer in BASE.offers}

    assert opened(engine).offers(BASE, default=["house_ad"]) == ()  # the rules allow no offer: that is the answer


@pytest.mark.parametrize("default", ["house_ad", b"house_ad", ""])
def test_one_string_is_no_list_of_default_offers_in_any_state(default: str) -> None:
    for client in (Client(FakeEngine), opened(FakeEngine())):
        with pytest.raises(TypeError, match=r"default is one string; pass a list of names: default=\[b?'.*'\]"):
            client.offers(BASE, default=default)


def test_what_is_no_base_decision_is_the_apps_mistake_in_every_state() -> None:
    client = Client(FakeEngine)
    for _ in range(3):
        with pytest.raises(TypeError, match="base is a list; pass BaseDecision"):
            client.rank(["fund_a"])  # type: ignore[arg-type]
        if client.state is ClientState.READY:
            client.close()
        else:
            client.start()
            client.wait(PATIENCE_S)


def test_after_closing_it_answers_the_base_order() -> None:
    engine = FakeEngine()
    client = opened(engine)

    client.close()
    client.close()
    client.start()

    assert engine.closed
    assert client.state is ClientState.CLOSED
    assert not client.wait(PATIENCE_S)
    decision = client.rank(BASE, limit=1)
    assert decision.error is ErrorCode.NOT_READY
    assert decision.detail == "the client is closed; make a new one"
    assert ids(client.offers(BASE, limit=1)) == ("fund_a",)
    assert client.install_policy(b"") is False


def test_it_is_a_context_manager() -> None:
    engine = FakeEngine()
    with Client(lambda: engine) as client:
        assert client.wait(PATIENCE_S)
    assert engine.closed


def test_closing_while_it_opens_waits_for_the_engine_and_closes_it() -> None:
    engine, hook = FakeEngine(), HookLedger()
    opener = GatedOpener(engine)
    client = Client(opener, hooks=[hook])
    client.start()
    client.record("click", item="fund_a")

    closing = threading.Thread(target=client.close, args=(PATIENCE_S,))
    closing.start()
    assert hook.await_states(1) == [ClientState.CLOSED]
    assert client.rank(BASE).detail == "the client is closed; make a new one"
    opener.gate.set()
    closing.join(PATIENCE_S)

    assert engine.closed
    assert client.engine is None
    assert [event.item for event in engine.events] == ["fund_a"]  # what waited is written all the same
    assert hook.states == [ClientState.CLOSED]


def test_closing_does_not_wait_for_ever() -> None:
    engine = FakeEngine()
    opener = GatedOpener(engine)
    client = Client(opener)
    client.start()

    client.close(timeout_s=0.0)

    assert not engine.closed
    opener.gate.set()
    for thread in threading.enumerate():
        if thread.name == "edge-sdk-open":
            thread.join(PATIENCE_S)
    assert engine.closed


def test_a_disk_that_refuses_at_closing_is_told_not_raised() -> None:
    class Refusing(FakeEngine):
        def close(self) -> None:
            raise StateUnusableError(Path("state"), "no space left")

    hook = HookLedger()
    client = opened(Refusing(), hooks=[hook])

    client.close()

    assert hook.problems == [
        (ErrorCode.STATE_UNUSABLE, "state: no space left; give the engine a folder that this process may write")
    ]


def test_an_engine_closed_behind_the_clients_back_is_a_wrong_call_order() -> None:
    engine = FakeEngine()
    client = opened(engine)
    engine.close()

    with pytest.raises(RuntimeError, match="the engine is closed"):
        client.rank(BASE)
    with pytest.raises(RuntimeError, match="the engine is closed"):
        client.record("click")


def test_old_base_decisions_and_old_bundles_are_stale() -> None:
    clock, hook = SettableClock(), HookLedger()
    engine = FakeEngine(clock=clock)
    client = opened(engine, stale_after_s=60.0, clock=clock, hooks=[hook])
    fresh, old = (BaseDecision(["fund_a"], [0.1], refreshed_ms=NOON_MS - age) for age in (60_000, 60_001))

    seen = [client.state]
    for base in (BASE, fresh, old, fresh):
        client.rank(base)
        seen.append(client.state)
    clock.advance(0.001)
    seen.append(client.state)
    client.rank(BASE)  # not known when it was refreshed: not stale
    engine.known_until_ms = NOON_MS - 60_000
    seen.append(client.state)

    ready, stale = ClientState.READY, ClientState.STALE
    assert seen == [ready, ready, ready, stale, ready, stale, stale]
    assert hook.await_states(3) == [ready, stale, ready]


def test_base_order_of_every_shape() -> None:
    def answer(base: BaseDecision) -> list[str]:
        decision = fallback_decision(base, error=ErrorCode.NOT_READY, time_ms=NOON_MS)
        return [offer.id for offer in decision.offers]

    assert answer(BaseDecision([], [])) == []
    assert answer(BaseDecision(["a", "b"], [0.1, 0.2])) == ["b", "a"]
    assert answer(BaseDecision(["a", "b"], [[0.1, 0.0], [0.2, 9.0]])) == ["a", "b"]
    assert answer(BaseDecision(["a", "b"], [np.nan, 0.2])) == ["a", "b"]
    assert answer(BaseDecision(["a", "b"], "nonsense")) == ["a", "b"]
    assert answer(BaseDecision(["a", "b", "a"], [3.0, 2.0, 1.0], channels=["sms", "", ""])) == ["a", "b"]


@pytest.mark.parametrize(("limit", "count"), [(None, 3), (0, 0), (-1, 0), (2, 2), (9, 3), (True, 1), ("2", 2)])
def test_a_limit_counts_as_far_as_it_is_understood(limit: int | None, count: int) -> None:
    assert len(Client(FakeEngine).offers(BASE, limit=limit)) == count
