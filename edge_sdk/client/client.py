"""What an app holds from its first line on: it answers before the engine is open, and keeps what is recorded till then.

    client = Client(lambda: Engine.open("state/", bundle="wealth.edge", trusted_keys=[key]))
    client.start()
    ids = client.offers(base, context={"surface": "home"}, limit=5)

Nothing here raises for the environment. What the app itself gets wrong (a kind that the scene does not declare) raises
as the engine does, once it is open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Final, Generic

from edge_sdk.base_decision import BaseDecision
from edge_sdk.client.answers import Answers
from edge_sdk.client.diagnostics import JSON, ClientCounts, Versions, diagnostics
from edge_sdk.client.hooks import Hook, Hooks, RankRequest
from edge_sdk.client.lifecycle import EngineT, Lifecycle
from edge_sdk.client.pending import Names, PendingErasure, PendingEvent, shown_offers
from edge_sdk.client.reporting import Reporter
from edge_sdk.client.states import ClientState, Problem
from edge_sdk.clock import Clock, system_clock
from edge_sdk.decision.decision import Decision
from edge_sdk.engine.status import Status
from edge_sdk.errors import EdgeError, InvalidValueError

CLOSE_TIMEOUT_S: Final = 5.0


class Client(Generic[EngineT]):
    """One user's decisions, whatever state the device is in. Thread-safe."""

    def __init__(
        self,
        opener: Callable[[], EngineT],
        *,
        hooks: Sequence[Hook] = (),
        cache_s: float = 0.0,
        stale_after_s: float | None = None,
        clock: Clock = system_clock,
    ) -> None:
        """Nothing is opened yet; see `start`.

        Args:
            opener: gives an open engine, or raises; called in a thread of its own.
            hooks: called around each answer.
            cache_s: how long the same request gets the same decision while its offers still stand; 0 = not at all.
            stale_after_s: the age of a base decision or a bundle from which the state is STALE; None = never.
            clock: milliseconds since 1970-01-01 UTC; give the engine the same.
        """
        self._hooks, self._clock = Hooks(hooks), clock
        self._reporter = Reporter(self._hooks, clock)
        self._readiness = Lifecycle(opener, self._hooks.on_state, self._reporter.trouble)
        self._answers = Answers(self._readiness, self._hooks, self._reporter, clock, cache_s, stale_after_s)

    # ---- from not ready to closed ----

    def start(self) -> None:
        """Open the engine in the background and return at once. After ERROR: try again."""
        self._readiness.start()

    def wait(self, timeout_s: float) -> bool:
        """Wait until the engine is open, or it is known that it will not be; whether it is open."""
        return self._readiness.wait(timeout_s)

    @property
    def state(self) -> ClientState:
        """How far the client is."""
        state = self._readiness.state
        return ClientState.STALE if state is ClientState.READY and self._answers.is_stale(self._clock()) else state

    @property
    def error(self) -> BaseException | None:
        """Why opening failed, in the state ERROR: an `EdgeError` with its fix, or what else the opener raised."""
        return self._readiness.error

    @property
    def engine(self) -> EngineT | None:
        """The engine while it is open, for what is not here: `explain`, `sync` … Erase through the client."""
        return self._readiness.engine

    def close(self, timeout_s: float = CLOSE_TIMEOUT_S) -> None:
        """Close the engine. Afterwards answers are the base order. Closing twice is harmless.

        An engine that is being opened still takes the events that wait for it. That is waited for, `timeout_s` at most.
        """
        self._readiness.close(timeout_s)

    def __enter__(self) -> Client[EngineT]:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ---- answers ----

    def offers(
        self,
        base: BaseDecision,
        *,
        default: Sequence[str] | None = None,
        context: Mapping[str, str] | None = None,
        limit: int | None = None,
        weights: Mapping[str, float] | None = None,
        attributes: Mapping[str, float] | None = None,
    ) -> tuple[str, ...]:
        """Names of the offers to show, best first.

        Args:
            base: the cloud's ranking.
            default: the answer where the device has none; None = the base order, up to `limit`.
            context: as for `Engine.rank`.
            limit: at most so many.
            weights: as for `Engine.rank`.
            attributes: as for `Engine.rank`.

        Raises:
            TypeError: `base` is no BaseDecision.
        """
        decision = self.details(base, context=context, limit=limit, weights=weights, attributes=attributes)
        if decision.error and default is not None:
            return tuple(default)
        names = decision.candidates
        return tuple([names[index] for index in decision.order.tolist()])

    def details(
        self,
        base: BaseDecision,
        *,
        context: Mapping[str, str] | None = None,
        limit: int | None = None,
        weights: Mapping[str, float] | None = None,
        attributes: Mapping[str, float] | None = None,
    ) -> Decision:
        """The whole decision, always. Where no engine is open: the base order with `NOT_READY` and what to fix.

        Nothing is recorded by asking; tell `shown` what was on the screen.

        Raises:
            TypeError: `base` is no BaseDecision.
        """
        if not self._hooks:
            return self._answers.answer(base, context, limit, weights, attributes)
        request = RankRequest(base, context, limit, weights, attributes)
        self._hooks.before(request)
        try:
            decision = self._answers.answer(base, context, limit, weights, attributes)
            self._hooks.after(request, decision)
            return decision
        finally:
            self._hooks.finally_(request)

    # ---- what happened ----

    def record(self, kind: str, *, item: str = "", value: float = 0.0, decision: int = 0) -> None:
        """Write down that something happened; before the engine is open, keep it till then.

        Raises:
            UnknownKindError: the scene has no such kind. Before the engine is open the hooks and the log tell it.
            InvalidValueError: something that no event can hold.
        """
        if (engine := self._readiness.engine) is not None:
            try:
                engine.record(kind, item=item, value=value, decision=decision)
            except (EdgeError, RuntimeError) as problem:
                self._not_recorded(problem)
        elif not self._readiness.keep(PendingEvent.checked(self._clock(), kind, item, value, decision)):
            self.record(kind, item=item, value=value, decision=decision)  # the engine has been opened meanwhile

    def shown(self, decision: Decision, *, count: int | None = None) -> None:
        """Record that the first `count` offers of a decision were on the screen (None = all of them).

        Raises:
            UnknownOutcomeError: the scene names no kind for it. Before the engine is open hooks and log tell it.
        """
        if (engine := self._readiness.engine) is not None:
            try:
                engine.shown(decision, count=count)
            except (EdgeError, RuntimeError) as problem:
                self._not_recorded(problem)
            return
        now_ms, number = self._clock(), decision.id
        kept = [
            PendingEvent.checked(now_ms, offer.channel, offer.name, offer.cost, number, Names.CHANNEL)
            for offer in shown_offers(decision, count)
        ]
        if not self._readiness.keep(*kept):
            self.shown(decision, count=count)

    def feedback(self, decision: Decision, offer: str, outcome: str, *, value: float = 0.0) -> None:
        """Record what came of an offer of a decision, e.g. ``feedback(decision, "fund_017", "click")``.

        Raises:
            UnknownOutcomeError: the scene maps no kind to it. Before the engine is open the hooks and the log tell it.
            InvalidValueError: the decision had no such offer, or the value is no finite float32.
        """
        if (engine := self._readiness.engine) is not None:
            try:
                engine.feedback(decision, offer, outcome, value=value)
            except (EdgeError, RuntimeError) as problem:
                self._not_recorded(problem)
            return
        if offer not in decision.candidates:
            raise InvalidValueError("offer", offer)
        event = PendingEvent.checked(self._clock(), outcome, offer, value, decision.id, Names.OUTCOME)
        if not self._readiness.keep(event):
            self.feedback(decision, offer, outcome, value=value)

    def erase(
        self,
        *,
        before: int | None = None,
        items: Iterable[str] | None = None,
        kinds: Iterable[str] | None = None,
    ) -> int | None:
        """Forget events and everything derived from them, kept answers too; see `Engine.erase`.

        Returns:
            How many events were overwritten. None: no engine is open. What waits is then erased in its turn, as soon
            as one is, if this process lives till then; where no argument is given, what waits is forgotten at once.

        Raises:
            UnknownKindError: the scene has no such kind. Before the engine is open the hooks and the log tell it.
            InvalidValueError: a time that is no whole number, or a name that is no str.
            StateUnusableError: the disk refuses; call it again.
            RuntimeError: the client is closed; nothing will be erased.
        """
        erasure = PendingErasure.checked(before, items, kinds)
        engine, erased = self._readiness.engine, None
        if self._readiness.state is ClientState.CLOSED:  # whoever asks to be forgotten must not believe that it is done
            raise RuntimeError("the client is closed and erases nothing; make a new one and erase through that")
        if engine is not None:
            erased = engine.erase(before=erasure.before, items=erasure.items, kinds=erasure.kinds)
        elif not self._readiness.keep(erasure):
            return self.erase(before=before, items=erasure.items, kinds=erasure.kinds)
        self._answers.forget()
        if erasure.whole:
            self._reporter.forget()
        return erased

    # ---- what is installed, and how it fares ----

    def install_policy(self, policy: bytes) -> bool:
        """Put another policy in force, and drop the answers that are kept. False: no engine is open to take it.

        Raises:
            EdgeError: the policy is refused; the former one stays in force.
        """
        engine = self._readiness.engine
        if engine is None:
            return False
        engine.install_policy(policy)
        self._answers.forget()
        return True

    def status(self) -> Status | None:
        """As `Engine.status`; None where no engine is open."""
        engine = self._readiness.engine
        if engine is None:
            return None
        status = engine.status()
        self._answers.look_at(status)
        return status

    def diagnostics(self) -> dict[str, JSON]:
        """What to attach to a report of trouble, as JSON holds it. Nothing in it is about the user."""
        error = self._readiness.error
        counts = ClientCounts(
            state=self.state.value,
            open_error=None if error is None else Problem.of(error).code.name,
            errors=self._reporter.counts(),
            cache_hits=self._answers.cache_hits,
            hook_failures=self._hooks.failures,
            waiting_events=self._readiness.waiting_events,
            lost_events=self._reporter.lost_events,
            rank_ns=tuple(self._answers.rank_ns),
        )
        return diagnostics(self.status(), Versions.here(), counts)

    def _not_recorded(self, problem: Exception) -> None:
        """Raise what the app got wrong; report what it could not help."""
        foreseen = isinstance(problem, EdgeError) and not isinstance(problem, ValueError)
        if not foreseen and not (isinstance(problem, RuntimeError) and self._readiness.state is ClientState.CLOSED):
            raise problem
        self._reporter.trouble(Problem.of(problem), 1)
