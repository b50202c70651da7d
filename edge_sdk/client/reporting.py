"""Reports what went wrong in a client: to its counts, to the log and to the hooks."""

from __future__ import annotations

import threading

from edge_sdk.client.error_log import LOG, ProblemLog
from edge_sdk.client.hooks import Hooks
from edge_sdk.client.states import Problem
from edge_sdk.clock import Clock
from edge_sdk.decision.decision import Decision


class Reporter:
    """Reports the problems of one client. Thread-safe; calls the hooks while no lock is held."""

    def __init__(self, hooks: Hooks, clock: Clock) -> None:
        self._hooks, self._clock = hooks, clock
        self._problems = ProblemLog()
        self._lock = threading.RLock()  # a signal handler may call the client meanwhile
        self.lost_events = 0

    def base_order(self, decision: Decision) -> None:
        """Reports an answer in base order. The caller tells the hooks, because they belong to the request."""
        self._problems.warn("base order", decision.error, decision.detail, decision.time_ms)

    def problem(self, problem: Problem, lost: int = 0) -> None:
        """Reports a problem outside of any answer, with the number of events lost. Hooks hear of what is logged."""
        topic = "events lost" if lost else "client"
        with self._lock:
            self.lost_events += lost
        if self._problems.warn(topic, problem.code, problem.detail, self._clock()):
            self._hooks.error(problem)

    def disk_failures(self, count: int) -> None:
        """Reports background writes that the disk refused."""
        LOG.warning("the disk refused %d writes since the engine was opened; look at its space and its health", count)

    def counts(self) -> dict[str, int]:
        """Returns how often each error happened, by the code's name."""
        return self._problems.counts()

    def forget(self) -> None:
        """Resets all counts, after everything about the user was erased."""
        self._problems.forget()
        with self._lock:
            self.lost_events = 0
