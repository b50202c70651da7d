"""App callbacks around each answer of a client (metrics, tracing, audit). A hook that fails never changes an answer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ParamSpec

from edge_sdk.base_decision import BaseDecision
from edge_sdk.client.error_log import LOG
from edge_sdk.client.states import ClientState, Problem
from edge_sdk.decision.decision import Decision
from edge_sdk.errors import InvalidValueError

P = ParamSpec("P")


@dataclass(frozen=True, slots=True, eq=False)
class RankRequest:
    """The arguments of one call of `Client.rank` or `Client.offers`."""

    base: BaseDecision
    context: Mapping[str, str] | None
    attributes: Mapping[str, float] | None
    limit: int | None
    weights: Mapping[str, float] | None


class Hook:
    """The base class of an app's hooks. Override what you need and pass it as ``Client(…, hooks=[YourHook()])``.

    Around one answer a client calls `before`, then `after` or `error`, then `finally_`. `before` runs in the order of
    the hooks, the others in the reverse order, as in OpenFeature. Hooks run in the calling thread while no lock is
    held.
    """

    def before(self, request: RankRequest) -> None:
        """Runs before an answer is made."""

    def after(self, request: RankRequest, decision: Decision) -> None:
        """Runs after an answer of the device (`decision.error` is `NONE`)."""

    def error(self, request: RankRequest | None, problem: Problem) -> None:
        """Runs after an answer in base order. `request` is None for other problems, such as a failed opening."""

    def finally_(self, request: RankRequest) -> None:
        """Runs after `after` and `error`, also if the request was refused."""

    def on_state(self, state: ClientState) -> None:
        """Runs when the client's state changed: in the opening thread, or in a thread that asks."""

    def on_disk_failure(self, count: int) -> None:
        """Runs when the disk refused background writes; `count` is their number since the engine was opened."""


class Hooks:
    """The hooks of one client. The first failure of each hook is logged, and all failures are counted."""

    def __init__(self, hooks: Sequence[Hook]) -> None:
        try:
            self._forth = tuple(hooks)
        except TypeError:
            raise InvalidValueError("hooks", hooks) from None
        for hook in self._forth:
            if not isinstance(hook, Hook):  # a class, or what has none of the methods
                raise InvalidValueError("hooks", hook)
        self._back = self._forth[::-1]
        self._reported: set[int] = set()  # by id: a hook need not be hashable
        self.failures = 0

    def __bool__(self) -> bool:
        return bool(self._forth)

    def before(self, request: RankRequest) -> None:
        """Runs `before` of each hook."""
        for hook in self._forth:
            self._run(hook, hook.before, request)

    def after(self, request: RankRequest, decision: Decision) -> None:
        """Runs `after` of each hook, or `error` if the decision is the base order."""
        problem = Problem(decision.error, decision.detail) if decision.error else None
        for hook in self._back:
            if problem is None:
                self._run(hook, hook.after, request, decision)
            else:
                self._run(hook, hook.error, request, problem)

    def error(self, problem: Problem) -> None:
        """Runs `error` of each hook for a problem outside of any answer."""
        for hook in self._back:
            self._run(hook, hook.error, None, problem)

    def finally_(self, request: RankRequest) -> None:
        """Runs `finally_` of each hook."""
        for hook in self._back:
            self._run(hook, hook.finally_, request)

    def on_state(self, state: ClientState) -> None:
        """Runs `on_state` of each hook."""
        for hook in self._forth:
            self._run(hook, hook.on_state, state)

    def on_disk_failure(self, count: int) -> None:
        """Runs `on_disk_failure` of each hook."""
        for hook in self._forth:
            self._run(hook, hook.on_disk_failure, count)

    def _run(self, hook: Hook, method: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            method(*args, **kwargs)
        except BaseException as error:  # a hook ends no answer, and not the thread that opens
            if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
                raise  # the user's, who interrupts the app: no other thread ever gets one
            self.failures += 1
            if id(hook) not in self._reported:
                self._reported.add(id(hook))
                # The exception's type and place without its message, which may name what the user did.
                LOG.warning(
                    "hook %s raised %s at %s; answers are not affected, its further failures are counted only",
                    type(hook).__name__,
                    type(error).__name__,
                    _place(error),
                )


def _place(error: BaseException) -> str:
    """Returns the file and line where an exception was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "?" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
