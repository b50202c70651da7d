"""Openers for tests of `Client`: they open when they are let, or fail as they are told."""

from __future__ import annotations

import threading

from edge_sdk.client.hooks import Hook, RankRequest
from edge_sdk.client.states import ClientState, Problem
from edge_sdk.decision.decision import Decision
from edge_sdk.errors import ErrorCode
from edge_sdk.testing import FakeEngine

PATIENCE_S = 30.0  # never waited out


class GatedOpener:
    """Gives an engine once `gate` is set; before that it raises what stands in `problems`, one a call."""

    def __init__(self, engine: FakeEngine, *problems: BaseException) -> None:
        self.engine, self.problems = engine, list(problems)
        self.gate = threading.Event()
        self.calls = 0

    def __call__(self) -> FakeEngine:
        self.calls += 1
        assert self.gate.wait(PATIENCE_S)
        if self.problems:
            raise self.problems.pop(0)
        return self.engine


class HookLedger(Hook):
    """Writes down what it is told, into a list that several may share."""

    def __init__(self, name: str = "", ledger: list[str] | None = None) -> None:
        self.name = name
        self.ledger: list[str] = [] if ledger is None else ledger
        self.requests: list[RankRequest] = []
        self.troubles: list[tuple[ErrorCode, str]] = []
        self.states: list[ClientState] = []
        self.disk_failures: list[int] = []
        self._news = threading.Condition()

    def before(self, request: RankRequest) -> None:
        self.requests.append(request)
        self.ledger.append(f"{self.name}before")

    def after(self, request: RankRequest, decision: Decision) -> None:
        self.ledger.append(f"{self.name}after {decision.id}")

    def error(self, request: RankRequest | None, error: Problem) -> None:
        self.troubles.append((error.code, error.detail))
        self.ledger.append(f"{self.name}error {error.code.value}")

    def finally_(self, request: RankRequest) -> None:
        self.ledger.append(f"{self.name}finally")

    def on_state(self, state: ClientState) -> None:
        with self._news:
            self.states.append(state)
            self._news.notify_all()

    def await_states(self, count: int) -> list[ClientState]:
        """The states, as soon as so many were told."""
        with self._news:
            assert self._news.wait_for(lambda: len(self.states) >= count, PATIENCE_S), self.states
            return list(self.states)

    def on_disk_failure(self, count: int) -> None:
        self.disk_failures.append(count)
