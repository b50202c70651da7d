"""An engine without a bundle, for tests: it answers in base order and stores the calls it got."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
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
from edge_sdk.log.event_input import as_float32, checked_offsets, id_of, listed
from edge_sdk.policy.conditions import ContextField
from edge_sdk.reasons import Reason
from edge_sdk.types import I64, as_names

NOON_MS: Final = 1_768_478_400_000  # 2026-01-15 12:00:00 UTC


@dataclass(frozen=True, slots=True)
class FakeEvent:
    """An event that a `FakeEngine` recorded."""

    time_ms: int
    kind: str
    item: str = ""
    value: float = 0.0
    decision: int = 0


class FakeEngine:
    """Has the interface of `Engine`, answers in base order and stores the calls it got. Thread-safe.

    Attributes:
        events: recorded events, oldest first, those of `shown` and `feedback` too.
        requests: the arguments of each `rank`.
        policies: the installed policies.
        dropped: the offers that the rules suppress, each with the reason; set it as your test needs.
        error: the error of the next decisions.
        disk_failures: a field of `status`.
        damaged: a field of `status`.
        policy_error: a field of `status`.
        context_fields: the declared context; `rank` accepts any context.
        known_until_ms: the end of the cloud's data, in milliseconds since 1970; 0 = unknown.
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
        """Creates an open engine without events.

        Args:
            clock: returns milliseconds since 1970; None = the time is always 2026-01-15 12:00 UTC.
            kinds: the scene's kinds.
            shown_kinds: the kind that `shown` records, by channel; None = "impression" in the app.
            feedback_kinds: the kind that `feedback` records, by outcome; None = click, dismiss and convert by their
                own names.

        Raises:
            TypeError: `kinds` is one string instead of a list of names.
        """
        self._clock = clock or (lambda: NOON_MS)
        self._lock = threading.Lock()
        self.kinds = as_names("kinds", kinds)
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
        attributes: Mapping[str, float] | None = None,
        limit: int | None = None,
        weights: Mapping[str, float] | None = None,
    ) -> Decision:
        """Returns the base order without the `dropped` offers, with `error`."""
        self._refuse_closed()
        if not isinstance(base, BaseDecision):
            raise TypeError(f"base is a {type(base).__name__}; pass BaseDecision(offers, logits)")
        with self._lock:
            self.requests.append(RankRequest(base, context, attributes, limit, weights))
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
        """Returns whether `dropped` suppresses the same offers as then, for the same reasons."""
        self._refuse_closed()
        then = {offer.id: offer.reasons for offer in decision.dropped if Reason.OTHER_TREATMENT not in offer.reasons}
        now = {offer: self.dropped[offer] for offer in decision.base.offers if offer in self.dropped}
        return then.keys() == now.keys() and all(now[offer] in then[offer] for offer in now)

    def record(self, kind: str, *, item: str = "", value: float = 0.0, decision: int = 0) -> int:
        """Stores an event and returns the number of events."""
        self._refuse_closed()
        self._check_kind(kind)
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
        utc_offsets_s: npt.ArrayLike | None = None,
    ) -> int:
        """Stores many events, all or none, and returns the number of events; offsets are checked alone."""
        self._refuse_closed()
        for kind in listed("kind_names", kind_names):
            self._check_kind(kind)
        for item in listed("item_names", item_names):
            id_of(item)
        times = np.asarray(times_ms).tolist()
        if utc_offsets_s is not None:
            checked_offsets(utc_offsets_s, len(times))
        rows = zip(
            times,
            [kind_names[code] for code in np.asarray(kinds).tolist()],
            [""] * len(times) if items is None else [item_names[code] for code in np.asarray(items).tolist()],
            [0.0] * len(times) if values is None else np.asarray(values).tolist(),
            [0] * len(times) if decisions is None else np.asarray(decisions).tolist(),
            strict=True,
        )
        self.events.extend([FakeEvent(*row) for row in rows])
        return len(self.events)

    def shown(self, decision: Decision, *, count: int | None = None) -> None:
        """Stores an event for each offer that was on screen."""
        self._refuse_closed()
        for offer in shown_offers(decision, count):
            if offer.channel not in self.shown_kinds:
                raise UnknownOutcomeError("shown", ())
            self.record(self.shown_kinds[offer.channel], item=offer.name, value=offer.cost, decision=decision.id)

    def feedback(self, decision: Decision, offer: str, outcome: str, *, value: float = 0.0) -> None:
        """Stores an event for the outcome of an offer."""
        self._refuse_closed()
        if outcome not in self.feedback_kinds:
            raise UnknownOutcomeError(outcome, tuple(self.feedback_kinds))
        if offer not in decision.candidates:
            raise InvalidValueError("offer", offer)
        self.record(self.feedback_kinds[outcome], item=offer, value=value, decision=decision.id)

    def explain(self, decision: Decision) -> tuple[Explanation, ...]:
        """Returns nothing: the base order has no contributions."""
        self._refuse_closed()
        return ()

    def message(self, decision: Decision, offer: str, *, language: str = "en") -> str:
        """Returns the offer's name, because there are no texts."""
        self._refuse_closed()
        return offer

    def erase(
        self,
        *,
        before: int | None = None,
        items: Iterable[str] | None = None,
        kinds: Iterable[str] | None = None,
    ) -> int:
        """Removes the events that match all arguments, and returns their number."""
        self._refuse_closed()
        names = None if items is None else frozenset(listed("items", items))
        chosen = None if kinds is None else frozenset(listed("kinds", kinds))
        for kind in chosen or ():
            self._check_kind(kind)
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
        """Stores the policy."""
        self._refuse_closed()
        self.policies.append(policy)

    @property
    def storage(self) -> FakeStorage:
        """The storage of the engine; its calls change nothing."""
        return FakeStorage(self._refuse_closed)

    def status(self) -> Status:
        """Returns a status with the fields of an engine's."""
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
        """Closes the engine. Later calls except `status` raise `RuntimeError`, as an engine's do."""
        self.closed = True

    def __enter__(self) -> FakeEngine:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _refuse_closed(self) -> None:
        if self.closed:
            raise RuntimeError("the engine is closed; open a new one with Engine.open")

    def _check_kind(self, kind: str) -> None:
        if kind not in self.kinds:
            raise UnknownKindError(kind, self.kinds)


class FakeStorage:
    """Has the interface of an engine's `storage`. A fake engine stores nothing, so no call does anything."""

    def __init__(self, refuse_closed: Callable[[], None]) -> None:
        self._refuse_closed = refuse_closed

    def sync(self) -> None:
        """Does nothing: there is no disk."""
        self._refuse_closed()

    def resize(self, log_bytes: int) -> None:
        """Does nothing: there is no log."""
        self._refuse_closed()

    def rotate_key(self, key: bytes | None) -> None:
        """Does nothing: nothing is encrypted."""
        self._refuse_closed()


def reason_bits(base: BaseDecision, dropped: Mapping[str, Reason]) -> I64 | None:
    """Returns (C,) the reason bits of each suppressed candidate, 0 = eligible; None if all are eligible."""
    if not any(offer in dropped for offer in base.offers):
        return None
    return np.array([int(dropped.get(offer, 0)) for offer in base.offers], np.int64)
