"""The answers of a client: the engine's decision, a cached decision while it is valid, or the base order."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from time import perf_counter_ns
from typing import Final, Generic

from edge_sdk.base_decision import BaseDecision
from edge_sdk.client.hooks import Hooks
from edge_sdk.client.lifecycle import EngineT, Lifecycle
from edge_sdk.client.reporting import Reporter
from edge_sdk.client.result_cache import ResultCache, key_of
from edge_sdk.client.states import ClientState, Problem
from edge_sdk.clock import Clock
from edge_sdk.decision.decision import Decision
from edge_sdk.decision.fallback import fallback_decision
from edge_sdk.engine.status import Status
from edge_sdk.errors import ErrorCode, NestedCallError
from edge_sdk.limits import LATENCIES_KEPT

STATUS_EVERY_MS: Final = 60_000  # `status` takes the engine's lock, so answers ask for it rarely


class Answers(Generic[EngineT]):
    """Answers the requests of one client, and observes the device meanwhile. Thread-safe without a lock of its own."""

    def __init__(
        self,
        lifecycle: Lifecycle[EngineT],
        hooks: Hooks,
        reporter: Reporter,
        clock: Clock,
        cache_s: float,
        stale_after_s: float | None,
    ) -> None:
        self._lifecycle, self._hooks, self._reporter, self._clock = lifecycle, hooks, reporter, clock
        self._results = ResultCache(cache_s * 1000) if cache_s > 0 else None
        self._stale_after_ms = None if stale_after_s is None else stale_after_s * 1000
        self._refreshed_ms = 0  # of the latest base decision
        self._was_stale = False
        self._status_ms: int | None = None  # when the status was last observed
        self._disk_failures, self._policy_error = 0, ""
        self.rank_ns: deque[int] = deque(maxlen=LATENCIES_KEPT)

    @property
    def cache_hits(self) -> int:
        """The number of answers that came from the cache."""
        return self._results.hits if self._results is not None else 0

    def forget(self) -> None:
        """Empties the cache, after the rules or their inputs changed."""
        if self._results is not None:
            self._results = self._results.emptied()

    def is_stale(self, now_ms: int) -> bool:
        """Returns whether the latest base decision, or the bundle, is older than `stale_after_s`."""
        engine = self._lifecycle.engine
        if self._stale_after_ms is None or engine is None:
            return False
        return any(
            made_ms and now_ms - made_ms > self._stale_after_ms
            for made_ms in (self._refreshed_ms, engine.known_until_ms)
        )

    def answer(
        self,
        base: BaseDecision,
        context: Mapping[str, str] | None,
        attributes: Mapping[str, float] | None,
        limit: int | None,
        weights: Mapping[str, float] | None,
    ) -> Decision:
        """Returns a decision in every state.

        Raises:
            TypeError: `base` is not a BaseDecision.
        """
        engine = self._lifecycle.ready_engine()
        if engine is None:
            return self._not_ready(base, limit)
        results, key, now_ms = self._results, None, 0
        try:
            if results is not None:
                key, now_ms = key_of(base, context, attributes, limit, weights), self._clock()
                found = None if key is None else results.find(key, now_ms, engine.is_still_valid)
                if found is not None:
                    self._refreshed_ms = base.refreshed_ms
                    return found
            began_ns = perf_counter_ns()
            decision = engine.rank(base, context=context, attributes=attributes, limit=limit, weights=weights)
            self.rank_ns.append(perf_counter_ns() - began_ns)
        except NestedCallError as error:
            return self._base_order(base, limit, error.code, str(error))
        except RuntimeError:
            if self._lifecycle.state is not ClientState.CLOSED:
                raise  # the app itself closed the engine
            return self._not_ready(base, limit)
        if results is not None and key is not None:
            results.put(key, now_ms, decision)
        self._observe(engine, base, decision)
        return decision

    def observe_status(self, status: Status) -> None:
        """Reports what is new since the last status: writes that the disk refused, a policy that is not in force."""
        failures, refused = status.disk_failures, status.policy_error
        has_grown, self._disk_failures = failures > self._disk_failures, failures
        is_new, self._policy_error = refused != self._policy_error, refused
        if has_grown:
            self._reporter.disk_failures(failures)
            self._hooks.on_disk_failure(failures)
        if is_new and refused:
            self._reporter.problem(Problem(ErrorCode.POLICY_INVALID, refused))

    # ---- below: helpers ----

    def _observe(self, engine: EngineT, base: BaseDecision, decision: Decision) -> None:
        now_ms = decision.time_ms
        self._refreshed_ms = base.refreshed_ms
        if decision.error:
            self._reporter.base_order(decision)
        if self._stale_after_ms is not None and (stale := self.is_stale(now_ms)) is not self._was_stale:
            self._was_stale = stale
            self._lifecycle.announce(ClientState.STALE if stale else ClientState.READY)
        status_ms = self._status_ms
        if status_ms is None or not 0 <= now_ms - status_ms < STATUS_EVERY_MS:
            self._status_ms = now_ms
            with suppress(NestedCallError):
                self.observe_status(engine.status())

    def _not_ready(self, base: BaseDecision, limit: int | None) -> Decision:
        if not isinstance(base, BaseDecision):
            raise TypeError(f"base is a {type(base).__name__}; pass BaseDecision(offers, logits)")
        return self._base_order(base, limit, ErrorCode.NOT_READY, self._why_not())

    def _base_order(self, base: BaseDecision, limit: int | None, error: ErrorCode, detail: str) -> Decision:
        self._refreshed_ms = base.refreshed_ms
        decision = fallback_decision(base, error=error, detail=detail, limit=limit, time_ms=self._clock())
        self._reporter.base_order(decision)
        return decision

    def _why_not(self) -> str:
        error, state = self._lifecycle.error, self._lifecycle.state
        if state is ClientState.CLOSED:
            return "the client is closed; make a new one"
        if error is not None:
            problem = Problem.of(error)
            code = f"{problem.code.value} {problem.code.name}"
            return f"opening failed with {code}: {problem.detail}; then call start() again"
        if self._lifecycle.is_opening:
            return "the engine is being opened; ask again, or wait() for it"
        return "the client is not started; call start()"
