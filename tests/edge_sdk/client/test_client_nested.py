"""A client that is called from within a call of its engine keeps events, and answers in base order."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_sdk import BaseDecision, Client, ClientState, Decision, Engine, ErrorCode, Hook
from edge_sdk.client.hooks import RankRequest
from edge_sdk.client.states import Problem
from edge_sdk.errors import InvalidValueError, StateUnusableError
from edge_sdk.testing import FakeEngine
from tests.support.paths import ROOT
from tests.support.scene import NOW_MS, OFFERS, Small

PATIENCE_S = 60.0


class CallingClock:
    """A clock that makes one call when it is next read."""

    def __init__(self) -> None:
        self.call: Callable[[], object] | None = None

    def __call__(self) -> int:
        call, self.call = self.call, None
        if call is not None:
            call()
        return NOW_MS


@pytest.fixture
def clock() -> CallingClock:
    return CallingClock()


@pytest.fixture
def client(small: Small, clock: CallingClock, tmp_path: Path) -> Iterator[Client[Engine]]:
    opened = Client(
        lambda: Engine.open(tmp_path / "state", bundle=small.bundle, trusted_keys=[small.public_key], clock=clock),
        clock=clock,
    )
    with opened:
        assert opened.wait(PATIENCE_S)
        yield opened


def events(client: Client[Engine]) -> int:
    status = client.status()
    assert status is not None
    return status.events


def test_events_are_kept_until_the_next_call(client: Client[Engine], clock: CallingClock, base: BaseDecision) -> None:
    decision = client.rank(base)

    def nested() -> None:
        client.record("click", item="a")
        client.shown(decision, count=2)
        client.feedback(decision, OFFERS[0], "click")

    clock.call = nested
    client.record("view", item="b")
    assert events(client) == 1

    client.record("view", item="c")
    assert events(client) == 6


def test_kept_events_are_written_at_the_end(
    client: Client[Engine], clock: CallingClock, small: Small, tmp_path: Path
) -> None:
    clock.call = lambda: client.record("click", item="a")
    client.record("view", item="b")
    client.close()

    with Engine.open(tmp_path / "state", bundle=small.bundle, trusted_keys=[small.public_key]) as engine:
        assert engine.status().events == 2


def test_an_erasure_of_everything_takes_kept_events_along(client: Client[Engine], clock: CallingClock) -> None:
    clock.call = lambda: client.record("click", item="a")
    client.record("view", item="b")

    client.erase()
    client.record("view", item="c")

    assert events(client) == 1


def test_a_nested_rank_gives_the_base_order(client: Client[Engine], clock: CallingClock, base: BaseDecision) -> None:
    answers: list[Decision] = []
    clock.call = lambda: answers.append(client.rank(base, limit=2))

    client.record("view", item="b")

    assert [(answer.error, len(answer.offers)) for answer in answers] == [(ErrorCode.NESTED_CALL, 2)]


def test_a_clock_that_always_records_is_no_circle(small: Small, tmp_path: Path) -> None:
    clients: list[Client[FakeEngine]] = []

    def clock() -> int:
        clients[0].record("click", item="a")
        return NOW_MS

    clients.append(Client(FakeEngine, clock=clock))
    clients[0].record("click", item="b")

    assert clients[0].diagnostics()["client"]["pending_events"] == 2  # type: ignore[call-overload,index]


def failing() -> int:
    raise ZeroDivisionError


@pytest.mark.parametrize("clock", [failing, lambda: None, lambda: "noon", lambda: float("nan")])
def test_a_clock_that_fails_reaches_no_caller(clock: Any) -> None:
    base = BaseDecision(["a", "b"], np.zeros(2))
    client = Client(FakeEngine, clock=clock, stale_after_s=1.0, cache_s=1.0)

    assert client.rank(base).time_ms > 0
    client.record("click", item="a")
    client.start()
    assert client.wait(PATIENCE_S)
    assert client.offers(base)
    assert client.state in (ClientState.READY, ClientState.STALE)
    assert client.engine is not None
    assert len(client.engine.events) == 1


@pytest.mark.parametrize("refreshed_ms", [None, "yesterday", float("nan")])
def test_a_time_of_refresh_that_is_no_number_reaches_no_caller(refreshed_ms: Any) -> None:
    client = Client(FakeEngine, stale_after_s=1.0)
    client.start()
    assert client.wait(PATIENCE_S)

    assert client.offers(BaseDecision(["a", "b"], np.zeros(2), refreshed_ms=refreshed_ms))
    assert client.state in (ClientState.READY, ClientState.STALE)


class Own(BaseException):
    """No `Exception`."""


PROBLEMS = [SystemExit(3), ValueError("a"), KeyboardInterrupt(), GeneratorExit(), Own()]


class Raising(Hook):
    """Raises from every state and every problem."""

    def __init__(self, problem: BaseException) -> None:
        self.problem = problem

    def on_state(self, state: ClientState) -> None:
        raise self.problem

    def error(self, request: RankRequest | None, problem: Problem) -> None:
        raise self.problem


class Refusing(FakeEngine):
    """Takes no event and does not close well, as on a disk that is gone."""

    def record_many(self, *args: Any, **kwargs: Any) -> int:
        raise StateUnusableError(Path("events.log"), "is gone")

    def close(self) -> None:
        super().close()
        raise StateUnusableError(Path("events.log"), "is gone")


@pytest.mark.parametrize("problem", PROBLEMS)
def test_a_hook_of_states_that_raises_closes_no_engine(problem: BaseException) -> None:
    client = Client(FakeEngine, hooks=[Raising(problem)])
    client.start()

    assert client.wait(PATIENCE_S)
    assert client.state is ClientState.READY
    engine = client.engine
    assert engine is not None
    with suppress(KeyboardInterrupt):  # in the main thread it is the user's
        client.close()
    assert engine.closed


@pytest.mark.parametrize("problem", PROBLEMS)
def test_hooks_that_raise_while_an_opening_fails_leave_a_client_that_can_start_again(problem: BaseException) -> None:
    engines = [Refusing(), FakeEngine()]
    client = Client(lambda: engines.pop(0), hooks=[Raising(problem)])
    first = engines[0]
    client.record("view")
    client.start()

    assert not client.wait(PATIENCE_S)
    assert (client.state, first.closed) == (ClientState.ERROR, True)
    assert isinstance(client.error, StateUnusableError)
    with suppress(KeyboardInterrupt):
        client.start()
    assert client.wait(PATIENCE_S)
    assert client.engine is not None
    assert len(client.engine.events) == 1


@pytest.mark.parametrize("option", ["cache_s", "stale_after_s"])
@pytest.mark.parametrize("value", [-1.0, float("nan"), "5", True, [1]])
def test_options_that_are_no_seconds(option: str, value: Any) -> None:
    with pytest.raises(InvalidValueError, match="pass seconds"):
        Client(FakeEngine, **{option: value})


ENDING = """
import sys
from edge_sdk import Client, Engine

begun = []
def opener():
    begun.append(1)
    engine = Engine.open(sys.argv[1], bundle=sys.argv[2], allow_unsigned=True)
    print("opened", flush=True)
    return engine

client = Client(opener)
client.start()
while not begun:
    pass
"""


def test_a_process_that_ends_while_a_client_opens_waits_for_it(small: Small, tmp_path: Path) -> None:
    """Python ends a daemon thread wherever it is, and in native code that aborts the process."""
    ran = subprocess.run(
        [sys.executable, "-c", ENDING, tmp_path / "state", small.bundle],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip

    assert (ran.stdout.strip(), ran.returncode) == ("opened", 0), ran.stderr
