"""Opens engines for tests of `Client`, and counts the calls of its hooks."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from edge_sdk.client.hooks import Hook, RankRequest
from edge_sdk.client.states import ClientState, Problem
from edge_sdk.decision.decision import Decision, RankedOffer
from edge_sdk.errors import ErrorCode
from edge_sdk.testing import FakeEngine

PATIENCE_S = 30.0  # never waited out


def ids(offers: Sequence[RankedOffer]) -> tuple[str, ...]:
    """Returns the names of ranked offers, in their order."""
    return tuple(offer.id for offer in offers)


class GatedOpener:
    """Returns an engine once `gate` is set; the first calls raise `errors`, one each."""

    def __init__(self, engine: FakeEngine, *errors: BaseException) -> None:
        self.engine, self.errors = engine, list(errors)
        self.gate = threading.Event()
        self.calls = 0

    def __call__(self) -> FakeEngine:
        self.calls += 1
        assert self.gate.wait(PATIENCE_S)
        if self.errors:
            raise self.errors.pop(0)
        return self.engine


class HookLedger(Hook):
    """Stores each call, in a list that several hooks may share."""

    def __init__(self, name: str = "", ledger: list[str] | None = None) -> None:
        self.name = name
        self.ledger: list[str] = [] if ledger is None else ledger
        self.requests: list[RankRequest] = []
        self.problems: list[tuple[ErrorCode, str]] = []
        self.states: list[ClientState] = []
        self.disk_failures: list[int] = []
        self._news = threading.Condition()

    def before(self, request: RankRequest) -> None:
        self.requests.append(request)
        self.ledger.append(f"{self.name}before")

    def after(self, request: RankRequest, decision: Decision) -> None:
        self.ledger.append(f"{self.name}after {decision.id}")

    def error(self, request: RankRequest | None, problem: Problem) -> None:
        self.problems.append((problem.code, problem.detail))
        self.ledger.append(f"{self.name}error {problem.code.value}")

    def finally_(self, request: RankRequest) -> None:
        self.ledger.append(f"{self.name}finally")

    def on_state(self, state: ClientState) -> None:
        with self._news:
            self.states.append(state)
            self._news.notify_all()

    def await_states(self, count: int) -> list[ClientState]:
        """Returns the announced states, once there are `count` of them."""
        with self._news:
            assert self._news.wait_for(lambda: len(self.states) >= count, PATIENCE_S), self.states
            return list(self.states)

    def on_disk_failure(self, count: int) -> None:
        self.disk_failures.append(count)
