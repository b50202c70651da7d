"""Hooks are called in order and with their arguments, and a failing hook changes no answer."""

from __future__ import annotations

import logging

import pytest

from edge_sdk.base_decision import BaseDecision
from edge_sdk.client.client import Client
from edge_sdk.client.hooks import Hook, RankRequest
from edge_sdk.client.states import ClientState, Problem
from edge_sdk.decision.decision import Decision
from edge_sdk.errors import ErrorCode
from edge_sdk.testing import FakeEngine, SettableClock
from tests.support.client_openers import PATIENCE_S, HookLedger, ids

BASE = BaseDecision(["fund_a", "fund_b"], [0.2, 0.1])


class RaisingHook(Hook):
    """Everything that it overrides raises."""

    def before(self, request: RankRequest) -> None:
        raise ValueError("secret_page")

    def after(self, request: RankRequest, decision: Decision) -> None:
        raise ValueError("secret_page")

    def error(self, request: RankRequest | None, problem: Problem) -> None:
        raise ValueError("secret_page")

    def finally_(self, request: RankRequest) -> None:
        raise ValueError("secret_page")

    def on_state(self, state: ClientState) -> None:
        raise ValueError("secret_page")

    def on_disk_failure(self, count: int) -> None:
        raise ValueError("secret_page")


def test_before_goes_forth_and_the_others_back() -> None:
    engine = FakeEngine()
    ledger: list[str] = []
    client = Client(lambda: engine, hooks=[HookLedger("a ", ledger), HookLedger("b ", ledger)])
    client.start()
    assert client.wait(PATIENCE_S)

    client.rank(BASE)
    engine.error = ErrorCode.MODEL_FAILED
    client.offers(BASE)

    assert ledger == [
        "a before", "b before", "b after 1", "a after 1", "b finally", "a finally",
        "a before", "b before", "b error 404", "a error 404", "b finally", "a finally",
    ]  # fmt: skip


def test_hooks_see_the_request_and_the_problem() -> None:
    hook = HookLedger()
    client = Client(FakeEngine, hooks=[hook])

    client.offers(BASE, context={"surface": "home"}, limit=1, weights={"click": 2.0}, attributes={"age": 33.0})

    (request,) = hook.requests
    assert request.base is BASE
    assert (request.context, request.limit) == ({"surface": "home"}, 1)
    assert (request.weights, request.attributes) == ({"click": 2.0}, {"age": 33.0})
    assert hook.problems == [(ErrorCode.NOT_READY, "the client is not started; call start()")]


def test_a_request_that_is_refused_ends_as_well() -> None:
    hook = HookLedger()
    client = Client(FakeEngine, hooks=[hook])

    with pytest.raises(TypeError):
        client.rank("fund_a")  # type: ignore[arg-type]
    assert hook.ledger == ["before", "finally"]


def test_a_hook_that_raises_costs_nothing_but_a_line(caplog: pytest.LogCaptureFixture) -> None:
    engine, witness = FakeEngine(), HookLedger()
    client = Client(lambda: engine, hooks=[RaisingHook(), witness, RaisingHook()])
    with caplog.at_level(logging.WARNING, "edge_sdk"):
        client.start()
        assert client.wait(PATIENCE_S)
        assert witness.await_states(1)
        engine.disk_failures = 1
        for _ in range(3):
            assert ids(client.offers(BASE)) == ("fund_a", "fund_b")
        engine.error = ErrorCode.BAD_LIMIT
        client.offers(BASE)
        client.close()

    assert witness.ledger == ["before", "after 1", "finally", "before", "after 2", "finally",
                              "before", "after 3", "finally", "before", "error 407", "finally"]  # fmt: skip
    lines = [record.getMessage() for record in caplog.records if "hook" in record.getMessage()]
    assert len(lines) == 2  # each hook once
    assert lines[0].startswith("hook RaisingHook raised ValueError at ")
    assert "test_client_hooks.py:" in lines[0]
    assert "secret_page" not in caplog.text
    # 2 hooks: READY, CLOSED, one disk failure, and 3 calls for each of 4 answers
    assert client.diagnostics()["client"]["hook_failures"] == 2 * (2 + 1 + 3 * 4)  # type: ignore[index,call-overload]


def test_a_disk_that_refused_is_told_once_for_each_growth() -> None:
    clock, hook = SettableClock(), HookLedger()
    engine = FakeEngine(clock=clock)
    client = Client(lambda: engine, hooks=[hook], clock=clock)
    client.start()
    assert client.wait(PATIENCE_S)

    for failures, seconds in ((0, 0), (2, 59), (2, 1), (2, 60), (3, 60), (3, -3600)):
        engine.disk_failures = failures
        clock.advance(seconds)
        client.rank(BASE)  # looked at once a minute: `status` takes the engine's lock
    engine.disk_failures = 4
    client.status()  # and whenever somebody asks

    assert hook.disk_failures == [2, 3, 4]


def test_a_policy_that_is_not_in_force_is_told_once() -> None:
    engine, hook = FakeEngine(), HookLedger()
    engine.policy_error = "policy.edge: caps: no kind 'buy'; make it anew"
    client = Client(lambda: engine, hooks=[hook])
    client.start()
    assert client.wait(PATIENCE_S)

    client.rank(BASE)
    client.status()

    assert hook.problems == [(ErrorCode.POLICY_INVALID, "policy.edge: caps: no kind 'buy'; make it anew")]
