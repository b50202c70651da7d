"""An app's own code around a client's answers: metrics, traces, a journal. It may cost time, never the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ParamSpec

from edge_sdk.base_decision import BaseDecision
from edge_sdk.client.error_log import LOG
from edge_sdk.client.states import ClientState, Problem
from edge_sdk.decision.decision import Decision

P = ParamSpec("P")


@dataclass(frozen=True, slots=True, eq=False)
class RankRequest:
    """What `Client.details` or `Client.offers` was asked."""

    base: BaseDecision
    context: Mapping[str, str] | None
    limit: int | None
    weights: Mapping[str, float] | None
    attributes: Mapping[str, float] | None


class Hook:
    """Derive from it and override what you need; pass it as ``Client(…, hooks=[YourHook()])``.

    Around one answer: `before`, then `after` or `error`, then `finally_`. `before` runs in the order of the hooks, the
    others in the reverse order, as OpenFeature's do. They run in the thread that asks, while no lock is held.
    """

    def before(self, request: RankRequest) -> None:
        """An answer is asked for."""

    def after(self, request: RankRequest, decision: Decision) -> None:
        """It is a decision of the device (`decision.error` is `NONE`)."""

    def error(self, request: RankRequest | None, error: Problem) -> None:
        """It is the base order. With None for a request: opening failed, or an event could not be kept."""

    def finally_(self, request: RankRequest) -> None:
        """After the above, whatever happened."""

    def on_state(self, state: ClientState) -> None:
        """The client's state changed. From the opening thread as well as from those that ask."""

    def on_disk_failure(self, count: int) -> None:
        """The disk refused writes that nobody waited for: `count` since the engine was opened."""


class Hooks:
    """The hooks of one client. One that raises is logged once, and counted."""

    def __init__(self, hooks: Sequence[Hook]) -> None:
        self._forth = tuple(hooks)
        self._back = self._forth[::-1]
        self._reported: set[int] = set()  # by id: a hook need not be hashable
        self.failures = 0

    def __bool__(self) -> bool:
        return bool(self._forth)

    def before(self, request: RankRequest) -> None:
        """An answer is asked for."""
        for hook in self._forth:
            self._run(hook, hook.before, request)

    def after(self, request: RankRequest, decision: Decision) -> None:
        """`after`, or `error` where the decision is the base order."""
        trouble = Problem(decision.error, decision.detail) if decision.error else None
        for hook in self._back:
            if trouble is None:
                self._run(hook, hook.after, request, decision)
            else:
                self._run(hook, hook.error, request, trouble)

    def error(self, trouble: Problem) -> None:
        """Something went wrong that is no answer."""
        for hook in self._back:
            self._run(hook, hook.error, None, trouble)

    def finally_(self, request: RankRequest) -> None:
        """The answer is given, or its request was refused."""
        for hook in self._back:
            self._run(hook, hook.finally_, request)

    def on_state(self, state: ClientState) -> None:
        """The client's state changed."""
        for hook in self._forth:
            self._run(hook, hook.on_state, state)

    def on_disk_failure(self, count: int) -> None:
        """The disk refused a write."""
        for hook in self._forth:
            self._run(hook, hook.on_disk_failure, count)

    def _run(self, hook: Hook, act: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            act(*args, **kwargs)
        except Exception as problem:
            self.failures += 1
            if id(hook) not in self._reported:
                self._reported.add(id(hook))
                # Its type and place, without its words: they are the app's, and may name what the user did.
                LOG.warning(
                    "hook %s raised %s at %s; answers are not affected, its further failures are counted only",
                    type(hook).__name__,
                    type(problem).__name__,
                    _place(problem),
                )


def _place(problem: Exception) -> str:
    """File and line where it was raised."""
    trace = problem.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "?" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
