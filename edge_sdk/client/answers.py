"""How a client answers: the engine where one is open, a kept answer where it still stands, else the base order."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
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
from edge_sdk.errors import ErrorCode
from edge_sdk.limits import LATENCIES_KEPT

LOOKED_AT_MS: Final = 60_000  # `status` takes the engine's lock, so not at each answer


class Answers(Generic[EngineT]):
    """The answers of one client, and what they show about the device. Thread-safe without a lock of its own."""

    def __init__(
        self,
        readiness: Lifecycle[EngineT],
        hooks: Hooks,
        reporter: Reporter,
        clock: Clock,
        cache_s: float,
        stale_after_s: float | None,
    ) -> None:
        self._readiness, self._hooks, self._reporter, self._clock = readiness, hooks, reporter, clock
        self._results = ResultCache(cache_s * 1000) if cache_s > 0 else None
        self._stale_after_ms = None if stale_after_s is None else stale_after_s * 1000
        self._refreshed_ms = 0  # of the base decision given last
        self._was_stale = False
        self._looked_at_ms: int | None = None
        self._disk_failures, self._policy_error = 0, ""
        self.rank_ns: deque[int] = deque(maxlen=LATENCIES_KEPT)

    @property
    def cache_hits(self) -> int:
        """How many answers were kept ones."""
        return self._results.hits if self._results is not None else 0

    def forget(self) -> None:
        """Keep no answer: the rules or what they look at changed."""
        if self._results is not None:
            self._results = self._results.emptied()

    def is_stale(self, now_ms: int) -> bool:
        """Whether the base decision given last, or the bundle, is older than it may be."""
        engine = self._readiness.engine
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
        limit: int | None,
        weights: Mapping[str, float] | None,
        attributes: Mapping[str, float] | None,
    ) -> Decision:
        """The decision for a request, always.

        Raises:
            TypeError: `base` is no BaseDecision.
        """
        engine = self._readiness.engine
        if engine is None:
            return self._not_ready(base, limit)
        results, key, now_ms = self._results, None, 0
        try:
            if results is not None:
                key, now_ms = key_of(base, context, limit, weights, attributes), self._clock()
                found = None if key is None else results.find(key, now_ms, engine.is_still_valid)
                if found is not None:
                    self._refreshed_ms = base.refreshed_ms
                    return found
            began_ns = perf_counter_ns()
            decision = engine.rank(base, context=context, limit=limit, weights=weights, attributes=attributes)
            self.rank_ns.append(perf_counter_ns() - began_ns)
        except RuntimeError:
            if self._readiness.state is not ClientState.CLOSED:
                raise  # the app closed the engine behind the client's back
            return self._not_ready(base, limit)
        if results is not None and key is not None:
            results.keep(key, now_ms, decision)
        self._look_around(engine, base, decision)
        return decision

    # ---- below: helpers ----

    def _look_around(self, engine: EngineT, base: BaseDecision, decision: Decision) -> None:
        now_ms = decision.time_ms
        self._refreshed_ms = base.refreshed_ms
        if decision.error:
            self._reporter.base_order(decision)
        if self._stale_after_ms is not None and (stale := self.is_stale(now_ms)) is not self._was_stale:
            self._was_stale = stale
            self._readiness.announce(ClientState.STALE if stale else ClientState.READY)
        looked_ms = self._looked_at_ms
        if looked_ms is None or not 0 <= now_ms - looked_ms < LOOKED_AT_MS:
            self._looked_at_ms = now_ms
            self.look_at(engine.status())

    def look_at(self, status: Status) -> None:
        """Tell what is new since the last look: writes that the disk refused, a policy that is not in force."""
        failures, refused = status.disk_failures, status.policy_error
        grown, self._disk_failures = failures > self._disk_failures, failures
        news, self._policy_error = refused != self._policy_error and refused, refused
        if grown:
            self._reporter.disk_failures(failures)
            self._hooks.on_disk_failure(failures)
        if news:
            self._reporter.trouble(Problem(ErrorCode.POLICY_INVALID, refused))

    def _not_ready(self, base: BaseDecision, limit: int | None) -> Decision:
        if not isinstance(base, BaseDecision):
            raise TypeError(f"base is a {type(base).__name__}; pass BaseDecision(offers, logits)")
        self._refreshed_ms = base.refreshed_ms
        decision = fallback_decision(
            base, error=ErrorCode.NOT_READY, detail=self._why_not(), limit=limit, time_ms=self._clock()
        )
        self._reporter.base_order(decision)
        return decision

    def _why_not(self) -> str:
        error, state = self._readiness.error, self._readiness.state
        if state is ClientState.CLOSED:
            return "the client is closed; make a new one"
        if error is not None:
            trouble = Problem.of(error)
            named = f"{trouble.code.value} {trouble.code.name}"
            return f"opening failed with {named}: {trouble.detail}; then call start() again"
        if self._readiness.opening:
            return "the engine is being opened; ask again, or wait() for it"
        return "the client is not started; call start()"
