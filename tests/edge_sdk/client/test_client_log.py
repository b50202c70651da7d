"""A client's log and diagnostics name the fix, and nothing that the user did."""

from __future__ import annotations

import json
import logging
import re

import pytest

from edge_sdk.base_decision import BaseDecision
from edge_sdk.client.client import Client
from edge_sdk.client.diagnostics import ClientCounts, Versions, diagnostics
from edge_sdk.client.states import ClientState, Problem
from edge_sdk.engine.status import Status
from edge_sdk.errors import ErrorCode, InvalidValueError
from edge_sdk.testing import FakeEngine, SettableClock
from tests.support.client_openers import PATIENCE_S, GatedOpener, HookLedger

BASE = BaseDecision(["offer_one", "offer_two"], [0.2, 0.1])


def test_silent_until_the_app_sets_logging_up() -> None:
    handlers = logging.getLogger("edge_sdk").handlers

    assert any(isinstance(handler, logging.NullHandler) for handler in handlers)


def test_one_line_a_minute_for_each_code(caplog: pytest.LogCaptureFixture) -> None:
    clock = SettableClock()
    engine = FakeEngine(clock=clock)
    client = Client(lambda: engine, clock=clock)
    with caplog.at_level(logging.WARNING, "edge_sdk"):
        client.rank(BASE)
        client.start()
        assert client.wait(PATIENCE_S)
        for code in (ErrorCode.MODEL_FAILED, ErrorCode.BAD_LIMIT, ErrorCode.MODEL_FAILED, ErrorCode.NONE):
            engine.error = code
            client.rank(BASE)
        engine.error = ErrorCode.MODEL_FAILED
        for seconds in (59.999, 0.001, 1.0, -3600.0):
            clock.advance(seconds)
            client.rank(BASE)

    assert [record.getMessage() for record in caplog.records] == [
        "base order: 411 NOT_READY: the client is not started; call start()",
        "base order: 404 MODEL_FAILED: as the test asked",
        "base order: 407 BAD_LIMIT: as the test asked",
        "base order: 404 MODEL_FAILED: as the test asked",
        "base order: 404 MODEL_FAILED: as the test asked",  # the clock was set back
    ]
    assert {record.levelname for record in caplog.records} == {"WARNING"}
    assert client.diagnostics()["client"]["errors"] == {  # type: ignore[index,call-overload]
        "MODEL_FAILED": 6, "BAD_LIMIT": 1, "NOT_READY": 1
    }  # fmt: skip


def test_a_refused_value_is_not_repeated() -> None:
    problem = Problem.of(InvalidValueError("item", "secret_page"))

    assert (problem.code, problem.detail) == (
        ErrorCode.INVALID_VALUE, "a value that no event can hold; pass str items and finite numbers"
    )  # fmt: skip


def test_neither_log_nor_hooks_nor_diagnostics_name_what_the_user_did(caplog: pytest.LogCaptureFixture) -> None:
    clock, hook = SettableClock(), HookLedger()
    engine = FakeEngine(clock=clock)
    opener = GatedOpener(engine, OSError(5, "Input/output error"))
    opener.gate.set()
    client = Client(opener, hooks=[hook], clock=clock, cache_s=1.0)
    with caplog.at_level(logging.DEBUG, "edge_sdk"):
        client.record("view", item="secret_page", value=777.25)
        client.record("unknown_kind", item="hidden_page")
        client.erase(items=["forgotten_page"])
        client.start()
        assert not client.wait(PATIENCE_S)
        client.start()
        assert client.wait(PATIENCE_S)
        engine.disk_failures = 1
        decision = client.rank(BASE, context={"surface": "bedroom"}, attributes={"age": 88.5})
        client.shown(decision)
        client.feedback(decision, "offer_two", "click")
        engine.error = ErrorCode.MODEL_FAILED
        client.rank(BASE)
    dumped = json.dumps(client.diagnostics())

    words = set(re.findall(r"\w+", dumped))
    for private in ("view", "unknown_kind", "click", "impression", "surface", "bedroom", "age"):
        assert private not in words
    for private in ("_page", "offer_", "777", "88.5", str(clock.now_ms)[:7]):
        assert private not in dumped
    for word in ("secret_page", "hidden_page", "forgotten_page", "777", "88.5", "offer_one"):
        assert word not in caplog.text
        assert word not in str(hook.problems)


def test_diagnostics_of_a_client() -> None:
    status = Status(
        scene="wealth", model_version="0123456789ab", events=12, capacity=32_766, log_bytes=1 << 20, encrypted=True,
        durability="power", disk_failures=1, damaged=2, unknown_items=3, decisions=4, errors=5,
        errors_by_code={"BAD_LIMIT": 5}, policy_version=6, policy_error="policy.caps: fund_a",
    )  # fmt: skip
    counts = ClientCounts(
        state=ClientState.STALE.value, open_error=None, errors={"MODEL_FAILED": 5}, cache_hits=6, hook_failures=7,
        pending_events=8, lost_events=9, rank_ns=[60_000, 70_000, 200_040],
    )  # fmt: skip
    versions = Versions("0.1.0", "3.11.7", "2.1.0", "1.20.0", "aarch64", "linux 6.1.0")

    assert diagnostics(status, versions, counts) == {
        "versions": {
            "sdk": "0.1.0", "python": "3.11.7", "numpy": "2.1.0", "onnxruntime": "1.20.0",
            "machine": "aarch64", "os": "linux 6.1.0",
        },
        "engine": {
            "scene": "wealth", "model_version": "0123456789ab", "policy_version": 6, "policy_refused": True,
            "events": 12, "capacity": 32766, "log_bytes": 1048576,
            "encrypted": True, "durability": "power", "disk_failures": 1, "damaged": 2, "unknown_items": 3,
            "decisions": 4, "errors": {"BAD_LIMIT": 5},
        },
        "client": {
            "state": "stale", "open_error": None, "errors": {"MODEL_FAILED": 5}, "cache_hits": 6, "hook_failures": 7,
            "pending_events": 8, "lost_events": 9, "rank_us": {"count": 3, "median": 70.0, "p95": 187.0},
        },
    }  # fmt: skip
    assert diagnostics(None, versions) == {"versions": diagnostics(status, versions)["versions"]}
    assert diagnostics(None, versions, ClientCounts("not_ready", "STATE_FULL", {}, 0, 0, 0, 0, []))["client"] == {
        "state": "not_ready", "open_error": "STATE_FULL", "errors": {}, "cache_hits": 0, "hook_failures": 0,
        "pending_events": 0, "lost_events": 0, "rank_us": {"count": 0, "median": None, "p95": None},
    }  # fmt: skip


def test_versions_of_this_process() -> None:
    versions = Versions.here()

    assert versions.sdk == "0.1.0"
    assert versions.machine in ("x86_64", "aarch64", "arm64")
    assert all(getattr(versions, name) for name in Versions.__slots__)


def test_the_time_of_rank_is_that_of_the_last_256_decisions() -> None:
    client = Client(FakeEngine)
    client.start()
    assert client.wait(PATIENCE_S)
    for _ in range(300):
        client.rank(BASE)

    taken = client.diagnostics()["client"]["rank_us"]  # type: ignore[index,call-overload]
    assert taken["count"] == 256  # type: ignore[index,call-overload]
    assert 0 < taken["median"] <= taken["p95"]  # type: ignore[index,call-overload,operator]
