"""How a client tells what went wrong: counts, the log, the hooks."""

from __future__ import annotations

import threading

from edge_sdk.client.error_log import LOG, ProblemLog
from edge_sdk.client.hooks import Hooks
from edge_sdk.client.states import Problem
from edge_sdk.clock import Clock
from edge_sdk.decision.decision import Decision


class Reporter:
    """Thread-safe; calls the hooks while no lock is held."""

    def __init__(self, hooks: Hooks, clock: Clock) -> None:
        self._hooks, self._clock = hooks, clock
        self._troubles = ProblemLog()
        self._lock = threading.Lock()
        self.lost_events = 0

    def base_order(self, decision: Decision) -> None:
        """An answer is the base order. Its request's hooks are told by who asked."""
        self._troubles.warn("base order", decision.error, decision.detail, decision.time_ms)

    def trouble(self, trouble: Problem, lost: int = 0) -> None:
        """Something that is no answer went wrong, and so many events were lost. The hooks are told when the log is."""
        topic = "events lost" if lost else "client"
        with self._lock:
            self.lost_events += lost
        if self._troubles.warn(topic, trouble.code, trouble.detail, self._clock()):
            self._hooks.error(trouble)

    def disk_failures(self, count: int) -> None:
        """The disk refused writes that nobody waited for."""
        LOG.warning("the disk refused %d writes since the engine was opened; look at its space and its health", count)

    def counts(self) -> dict[str, int]:
        """How often each error happened, by its name."""
        return self._troubles.counts()

    def forget(self) -> None:
        """Start counting anew: everything about the user is erased."""
        self._troubles.forget()
        with self._lock:
            self.lost_events = 0
