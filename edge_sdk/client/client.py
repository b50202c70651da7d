"""The object an app keeps for its whole life. Until the engine is open it answers in base order and queues events.

    client = Client(lambda: Engine.open("state/", bundle="wealth.edge", trusted_keys=[key]))
    client.start()
    decision = client.rank(base, context={"surface": "home"}, limit=5)

A client never raises because of its environment. What the app itself gets wrong (a kind that the scene does not
declare) raises as the engine does, once it is open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Final, Generic

from edge_sdk.base_decision import BaseDecision
from edge_sdk.client.answers import Answers
from edge_sdk.client.app_clock import AppClock
from edge_sdk.client.diagnostics import JSON, ClientCounts, Versions, diagnostics
from edge_sdk.client.hooks import Hook, Hooks, RankRequest
from edge_sdk.client.lifecycle import EngineT, Lifecycle
from edge_sdk.client.pending import NameRole, PendingErasure, PendingEvent, shown_offers
from edge_sdk.client.reporting import Reporter
from edge_sdk.client.states import ClientState, Problem
from edge_sdk.clock import Clock, system_clock
from edge_sdk.decision.decision import Decision, RankedOffer, require_decision
from edge_sdk.decision.request import understood_limit
from edge_sdk.engine.status import Status
from edge_sdk.errors import EdgeError, InvalidValueError, NestedCallError
from edge_sdk.log.event_input import as_name, as_seconds
from edge_sdk.reasons import Reason
from edge_sdk.types import as_names

CLOSE_TIMEOUT_S: Final = 5.0


class Client(Generic[EngineT]):
    """Ranks the offers of one user and records events, in every state of the device. Thread-safe."""

    def __init__(
        self,
        opener: Callable[[], EngineT],
        *,
        hooks: Sequence[Hook] = (),
        cache_s: float = 0.0,
        stale_after_s: float | None = None,
        clock: Clock = system_clock,
    ) -> None:
        """Stores the options; `start` opens the engine.

        Args:
            opener: returns an open engine, or raises; runs in a thread of its own.
            hooks: called around each answer.
            cache_s: for how many seconds an equal request gets the same decision while it is valid; 0 = no cache.
            stale_after_s: the age in seconds from which a base decision or a bundle makes the state STALE; None =
                never.
            clock: returns milliseconds since 1970-01-01 UTC; pass the same clock to the engine. Where it fails, its
                last good time counts.

        Raises:
            InvalidValueError: `cache_s` or `stale_after_s` is no number of seconds, or a hook is no `Hook`.
        """
        self._hooks, self._clock = Hooks(hooks), AppClock(clock)
        self._reporter = Reporter(self._hooks, self._clock)
        self._lifecycle = Lifecycle(opener, self._hooks.on_state, self._reporter.problem)
        stale_s = None if stale_after_s is None else as_seconds("stale_after_s", stale_after_s)
        ages = as_seconds("cache_s", cache_s), stale_s
        self._answers = Answers(self._lifecycle, self._hooks, self._reporter, self._clock, *ages)

    # ---- lifecycle ----

    def start(self) -> None:
        """Starts opening the engine in the background and returns at once. In the state ERROR it tries again."""
        self._lifecycle.start()

    def wait(self, timeout_s: float) -> bool:
        """Waits until the engine is open or opening has failed; returns whether it is open."""
        return self._lifecycle.wait(timeout_s)

    @property
    def state(self) -> ClientState:
        """The client's state."""
        state = self._lifecycle.state
        return ClientState.STALE if state is ClientState.READY and self._answers.is_stale(self._clock()) else state

    @property
    def error(self) -> BaseException | None:
        """Why opening failed, in the state ERROR: an `EdgeError` with its fix, or the opener's own exception."""
        return self._lifecycle.error

    @property
    def engine(self) -> EngineT | None:
        """The engine while it is open, for the calls that a client has not, such as `explain`.

        Erase and install policies through the client, because it also empties its cache.
        """
        return self._lifecycle.engine

    def close(self, timeout_s: float = CLOSE_TIMEOUT_S) -> None:
        """Closes the engine. Later answers are the base order. A second call does nothing.

        If the engine is being opened, it first gets the pending events; the call waits `timeout_s` for that.
        """
        self._lifecycle.close(timeout_s)

    def __enter__(self) -> Client[EngineT]:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ---- answers ----

    def rank(
        self,
        base: BaseDecision,
        *,
        context: Mapping[str, str] | None = None,
        attributes: Mapping[str, float] | None = None,
        limit: int | None = None,
        weights: Mapping[str, float] | None = None,
    ) -> Decision:
        """Returns the decision, in every state; `Engine.rank` describes the arguments.

        While no engine is open the decision is the base order, with the error `NOT_READY` and the fix in `detail`.
        Ranking records nothing; call `shown` with what was on screen.

        Raises:
            TypeError: `base` is not a BaseDecision.
        """
        if not self._hooks:
            return self._answers.answer(base, context, attributes, limit, weights)
        request = RankRequest(base, context, attributes, limit, weights)
        self._hooks.before(request)
        try:
            decision = self._answers.answer(base, context, attributes, limit, weights)
            self._hooks.after(request, decision)
            return decision
        finally:
            self._hooks.finally_(request)

    def offers(
        self,
        base: BaseDecision,
        *,
        context: Mapping[str, str] | None = None,
        attributes: Mapping[str, float] | None = None,
        limit: int | None = None,
        weights: Mapping[str, float] | None = None,
        default: Sequence[str] = (),
    ) -> tuple[RankedOffer, ...]:
        """Returns the offers to show, best first, each with its channel and variant; see `rank`.

        Args:
            base: the cloud's ranking.
            context: as for `Engine.rank`.
            attributes: as for `Engine.rank`.
            limit: the largest number of offers, also of `default`.
            weights: as for `Engine.rank`.
            default: names to return, in the app's own channel, instead of an answer with an error, whose order is the
                base order. () = return the base order.

        Raises:
            TypeError: `base` is not a BaseDecision, or `default` is one string.
        """
        names = as_names("default", default)
        decision = self.rank(base, context=context, attributes=attributes, limit=limit, weights=weights)
        if not names or not decision.error:
            return decision.offers
        limit = understood_limit(limit)
        if limit is not None:
            names = names[: max(0, limit)]
        return tuple([RankedOffer(name, _NAN, place, 0, Reason(0)) for place, name in enumerate(names, 1)])

    # ---- events ----

    def record(self, kind: str, *, item: str = "", value: float = 0.0, decision: int = 0) -> None:
        """Records one event. Before the engine is open the event is queued with its own time.

        Raises:
            UnknownKindError: the scene has no such kind. Before the engine is open, hooks and log report that.
            InvalidValueError: no event can hold an argument.
        """
        if (engine := self._lifecycle.ready_engine()) is not None:
            try:
                engine.record(kind, item=item, value=value, decision=decision)
            except NestedCallError:
                self._lifecycle.postpone(PendingEvent.checked(self._clock(), kind, item, value, decision))
            except (EdgeError, RuntimeError) as error:
                self._not_recorded(error)
        elif not self._lifecycle.enqueue(PendingEvent.checked(self._clock(), kind, item, value, decision)):
            self.record(kind, item=item, value=value, decision=decision)  # the engine is open by now

    def shown(self, decision: Decision, *, count: int | None = None) -> None:
        """Records that the first `count` offers of a decision were on screen (None = all of them).

        Raises:
            UnknownOutcomeError: the scene has no kind for the channel. Before the engine is open, hooks and log report
                that.
        """
        if (engine := self._lifecycle.ready_engine()) is not None:
            try:
                engine.shown(decision, count=count)
            except NestedCallError:
                self._lifecycle.postpone(*self._shown_events(decision, count))
            except (EdgeError, RuntimeError) as error:
                self._not_recorded(error)
        elif not self._lifecycle.enqueue(*self._shown_events(decision, count)):
            self.shown(decision, count=count)

    def feedback(self, decision: Decision, offer: str, outcome: str, *, value: float = 0.0) -> None:
        """Records the outcome of one offer of a decision, such as ``feedback(decision, "fund_017", "click")``.

        Raises:
            UnknownOutcomeError: the scene maps no kind to the outcome. Before the engine is open, hooks and log report
                that.
            InvalidValueError: the decision has no such offer, or the value is not a finite float32.
        """
        if (engine := self._lifecycle.ready_engine()) is not None:
            try:
                engine.feedback(decision, offer, outcome, value=value)
            except NestedCallError:
                self._lifecycle.postpone(self._feedback_event(decision, offer, outcome, value))
            except (EdgeError, RuntimeError) as error:
                self._not_recorded(error)
        elif not self._lifecycle.enqueue(self._feedback_event(decision, offer, outcome, value)):
            self.feedback(decision, offer, outcome, value=value)

    def erase(
        self,
        *,
        before: int | None = None,
        items: Iterable[str] | None = None,
        kinds: Iterable[str] | None = None,
    ) -> int | None:
        """Erases events and everything derived from them, cached answers too; `Engine.erase` describes the arguments.

        Without an engine the erasure is queued and carried out in its turn, as soon as an engine is open in this
        process. An erasure without arguments empties the queue at once.

        Returns:
            The number of events that were overwritten; None if no engine is open.

        Raises:
            UnknownKindError: the scene has no such kind. Before the engine is open, hooks and log report that.
            InvalidValueError: the time is not a whole number, or a name is not a str.
            StateUnusableError: the disk refuses; call it again.
            RuntimeError: the client is closed; nothing will be erased.
        """
        erasure = PendingErasure.checked(before, items, kinds)
        engine, erased = self._lifecycle.ready_engine(), None
        if self._lifecycle.state is ClientState.CLOSED:  # a silent return would look like success
            raise RuntimeError("the client is closed and erases nothing; make a new one and erase through that")
        if engine is not None:
            erased = engine.erase(before=erasure.before, items=erasure.items, kinds=erasure.kinds)
        elif not self._lifecycle.enqueue(erasure):
            return self.erase(before=before, items=erasure.items, kinds=erasure.kinds)
        if erasure.is_whole:
            self._lifecycle.forget_postponed()
        if erased != 0 or erasure.is_whole:  # after 0, an answer that has changed all the same is no longer valid
            self._answers.forget()
            self._clock.forget()
        if erasure.is_whole:
            self._reporter.forget()
        return erased

    # ---- policy and status ----

    def install_policy(self, policy: bytes) -> bool:
        """Activates another policy and empties the cache. Returns False if no engine is open.

        Raises:
            EdgeError: the policy is refused; the former policy stays active.
        """
        engine = self._lifecycle.engine
        if engine is None:
            return False
        engine.install_policy(policy)
        self._answers.forget()
        return True

    def status(self) -> Status | None:
        """Returns the engine's status; None if no engine is open."""
        engine = self._lifecycle.engine
        if engine is None:
            return None
        status = engine.status()
        self._answers.observe_status(status)
        return status

    def diagnostics(self) -> dict[str, JSON]:
        """Returns a dict for `json.dumps`, to attach to a bug report. Nothing in it is about the user."""
        error = self._lifecycle.error
        counts = ClientCounts(
            state=self.state.value,
            open_error=None if error is None else Problem.of(error).code.name,
            errors=self._reporter.counts(),
            cache_hits=self._answers.cache_hits,
            hook_failures=self._hooks.failures,
            pending_events=self._lifecycle.pending_events,
            lost_events=self._reporter.lost_events,
            rank_ns=tuple(self._answers.rank_ns),
        )
        return diagnostics(self.status(), Versions.here(), counts)

    def _shown_events(self, decision: Decision, count: int | None) -> list[PendingEvent]:
        now_ms = self._clock()
        return [
            PendingEvent.checked(now_ms, offer.channel, offer.name, offer.cost, decision.id, NameRole.CHANNEL)
            for offer in shown_offers(decision, count)
        ]

    def _feedback_event(self, decision: Decision, offer: str, outcome: str, value: float) -> PendingEvent:
        require_decision(decision)
        if as_name("offer", offer) not in decision.candidates:
            raise InvalidValueError("offer", offer)
        return PendingEvent.checked(self._clock(), outcome, offer, value, decision.id, NameRole.OUTCOME)

    def _not_recorded(self, error: Exception) -> None:
        """Raises an error of the app, and reports an error of the environment."""
        is_environment = isinstance(error, EdgeError) and not isinstance(error, ValueError)
        if not is_environment and not (isinstance(error, RuntimeError) and self._lifecycle.state is ClientState.CLOSED):
            raise error
        self._reporter.problem(Problem.of(error), 1)


_NAN: Final = float("nan")  # the score of a default offer
