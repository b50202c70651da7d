"""An engine without a bundle, for tests: it answers the base order and remembers what it was told."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from edge_sdk.base_decision import BaseDecision
from edge_sdk.client.hooks import RankRequest
from edge_sdk.client.pending import shown_offers
from edge_sdk.clock import Clock
from edge_sdk.decision.decision import Decision
from edge_sdk.decision.fallback import fallback_decision
from edge_sdk.engine.status import Status
from edge_sdk.errors import ErrorCode, InvalidValueError, UnknownKindError, UnknownOutcomeError
from edge_sdk.explain.explanation import Explanation
from edge_sdk.log.event_input import as_float32, id_of
from edge_sdk.policy.conditions import ContextField
from edge_sdk.reasons import Reason
from edge_sdk.types import I64

NOON_MS: Final = 1_768_478_400_000  # 2026-01-15 12:00:00 UTC


@dataclass(frozen=True, slots=True)
class FakeEvent:
    """What a `FakeEngine` was told."""

    time_ms: int
    kind: str
    item: str = ""
    value: float = 0.0
    decision: int = 0


class FakeEngine:
    """Stands behind the interface of `Engine`: answers the base order, and remembers what it was told. Thread-safe.

    Attributes:
        events: what was recorded, oldest first; `shown` and `feedback` too.
        requests: what `rank` was asked.
        policies: what was installed.
        dropped: offers that the rules drop, each with why; set it as your test needs.
        error: with it other than NONE the next decisions have this error.
        disk_failures: what `status` says.
        damaged: what `status` says.
        policy_error: what `status` says.
        context_fields: what `rank` seems to take as context; it takes anything.
        known_until_ms: up to when the cloud knew the log; 0 = not known.
        closed: whether `close` was called.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        kinds: Sequence[str] = ("view", "click", "impression", "dismiss", "convert"),
        shown_kinds: Mapping[str, str] | None = None,
        feedback_kinds: Mapping[str, str] | None = None,
    ) -> None:
        """Make one.

        Args:
            clock: milliseconds since 1970; None = it is always 2026-01-15 12:00 UTC.
            kinds: of the scene.
            shown_kinds: by channel; None = "impression" in the app.
            feedback_kinds: by outcome; None = click, dismiss and convert, each by its own name.
        """
        self._clock = clock or (lambda: NOON_MS)
        self._lock = threading.Lock()
        self.kinds = tuple(kinds)
        self.shown_kinds: Mapping[str, str] = {"": "impression"} if shown_kinds is None else dict(shown_kinds)
        outcomes = {outcome: outcome for outcome in ("click", "dismiss", "convert")}
        self.feedback_kinds: Mapping[str, str] = outcomes if feedback_kinds is None else dict(feedback_kinds)
        self.events: list[FakeEvent] = []
        self.requests: list[RankRequest] = []
        self.policies: list[bytes] = []
        self.dropped: dict[str, Reason] = {}
        self.error = ErrorCode.NONE
        self.disk_failures = self.damaged = self.known_until_ms = 0
        self.policy_error = ""
        self.context_fields: tuple[ContextField, ...] = ()
        self.closed = False
        self._errors: Counter[ErrorCode] = Counter()

    def rank(
        self,
        base: BaseDecision,
        *,
        context: Mapping[str, str] | None = None,
        limit: int | None = None,
        weights: Mapping[str, float] | None = None,
        attributes: Mapping[str, float] | None = None,
    ) -> Decision:
        """The base order without `dropped`, with `error`."""
        self._refuse_closed()
        if not isinstance(base, BaseDecision):
            raise TypeError(f"base is a {type(base).__name__}; pass BaseDecision(offers, logits)")
        with self._lock:
            self.requests.append(RankRequest(base, context, limit, weights, attributes))
            number = len(self.requests)
            if self.error:
                self._errors[self.error] += 1
        return fallback_decision(
            base,
            error=self.error,
            detail="as the test asked" if self.error else "",
            limit=limit,
            time_ms=self._clock(),
            number=number,
            scene="fake",
            model_version="fake",
            dropped_bits=reason_bits(base, self.dropped),
        )

    def is_still_valid(self, decision: Decision) -> bool:
        """Whether `dropped` is as it was."""
        self._refuse_closed()
        then, now = decision.trace.result.dropped_bits, reason_bits(decision.base, self.dropped)
        return (then is None or not then.any()) if now is None else then is not None and bool((then == now).all())

    def record(self, kind: str, *, item: str = "", value: float = 0.0, decision: int = 0) -> int:
        """Remember an event; how many there are."""
        self._refuse_closed()
        if kind not in self.kinds:
            raise UnknownKindError(kind, self.kinds)
        id_of(item)
        self.events.append(FakeEvent(self._clock(), kind, item, as_float32(value), decision))
        return len(self.events)

    def record_many(
        self,
        times_ms: npt.ArrayLike,
        kinds: npt.ArrayLike,
        items: npt.ArrayLike | None = None,
        values: npt.ArrayLike | None = None,
        decisions: npt.ArrayLike | None = None,
        *,
        kind_names: Sequence[str],
        item_names: Sequence[str] = (),
    ) -> int:
        """Remember many events, all or none; how many there are."""
        self._refuse_closed()
        for name in kind_names:
            if name not in self.kinds:
                raise UnknownKindError(name, self.kinds)
        times = np.asarray(times_ms).tolist()
        named = [kind_names[code] for code in np.asarray(kinds).tolist()]
        about = [""] * len(times) if items is None else [item_names[code] for code in np.asarray(items).tolist()]
        amounts = [0.0] * len(times) if values is None else np.asarray(values).tolist()
        answered = [0] * len(times) if decisions is None else np.asarray(decisions).tolist()
        rows = zip(times, named, about, amounts, answered, strict=True)
        self.events.extend([FakeEvent(*row) for row in rows])
        return len(self.events)

    def shown(self, decision: Decision, *, count: int | None = None) -> None:
        """Remember one event for each offer that was on the screen."""
        self._refuse_closed()
        for offer in shown_offers(decision, count):
            if offer.channel not in self.shown_kinds:
                raise UnknownOutcomeError("shown", ())
            self.record(self.shown_kinds[offer.channel], item=offer.name, value=offer.cost, decision=decision.id)

    def feedback(self, decision: Decision, offer: str, outcome: str, *, value: float = 0.0) -> None:
        """Remember what came of an offer."""
        self._refuse_closed()
        if outcome not in self.feedback_kinds:
            raise UnknownOutcomeError(outcome, tuple(self.feedback_kinds))
        if offer not in decision.candidates:
            raise InvalidValueError("offer", offer)
        self.record(self.feedback_kinds[outcome], item=offer, value=value, decision=decision.id)

    def explain(self, decision: Decision) -> tuple[Explanation, ...]:
        """Nothing: the base order has nothing to take apart."""
        self._refuse_closed()
        return ()

    def message(self, decision: Decision, offer: str, *, language: str = "en") -> str:
        """The offer's name: there are no texts here."""
        self._refuse_closed()
        return offer

    def erase(
        self,
        *,
        before: int | None = None,
        items: Iterable[str] | None = None,
        kinds: Iterable[str] | None = None,
    ) -> int:
        """Forget the events that fit all that is given; how many."""
        self._refuse_closed()
        names = None if items is None else frozenset(items)
        chosen = None if kinds is None else frozenset(kinds)
        for kind in chosen or ():
            if kind not in self.kinds:
                raise UnknownKindError(kind, self.kinds)
        left = [
            event
            for event in self.events
            if (before is not None and event.time_ms >= before)
            or (names is not None and event.item not in names)
            or (chosen is not None and event.kind not in chosen)
        ]
        erased = len(self.events) - len(left)
        self.events[:] = left
        return erased

    def install_policy(self, policy: bytes) -> None:
        """Remember it."""
        self._refuse_closed()
        self.policies.append(policy)

    def sync(self) -> None:
        """Nothing: there is no disk."""
        self._refuse_closed()

    def resize(self, log_bytes: int) -> None:
        """Nothing: there is no log."""
        self._refuse_closed()

    def rotate_storage_key(self, storage_key: bytes | None) -> None:
        """Nothing: there is nothing encrypted."""
        self._refuse_closed()

    def status(self) -> Status:
        """As an engine's."""
        return Status(
            scene="fake",
            model_version="fake",
            events=len(self.events),
            capacity=32_766,
            log_bytes=1 << 20,
            encrypted=False,
            durability="process",
            disk_failures=self.disk_failures,
            damaged=self.damaged,
            unknown_items=0,
            decisions=len(self.requests),
            errors=self._errors.total(),
            errors_by_code={code.name: count for code, count in self._errors.items()},
            policy_version=len(self.policies),
            policy_error=self.policy_error,
        )

    def close(self) -> None:
        """From now on calls but `status` raise `RuntimeError`, as an engine's do."""
        self.closed = True

    def __enter__(self) -> FakeEngine:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()

    def _refuse_closed(self) -> None:
        if self.closed:
            raise RuntimeError("the engine is closed; open a new one with Engine.open")


def reason_bits(base: BaseDecision, dropped: Mapping[str, Reason]) -> I64 | None:
    """(C,) why each candidate does not stand; None = all do."""
    if not any(offer in dropped for offer in base.offers):
        return None
    return np.array([int(dropped.get(offer, 0)) for offer in base.offers], np.int64)
