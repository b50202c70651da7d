"""Test helpers for embedders: an engine without a bundle, a settable clock, and made-up decisions.

engine = FakeEngine(clock=SettableClock())
client = Client(lambda: engine)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from edge_sdk.base_decision import BaseDecision
from edge_sdk.decision.decision import Decision
from edge_sdk.decision.fallback import fallback_decision
from edge_sdk.errors import ErrorCode
from edge_sdk.reasons import Reason
from edge_sdk.testing.fake_engine import NOON_MS, FakeEngine, FakeEvent, reason_bits

__all__ = ["NOON_MS", "FakeEngine", "FakeEvent", "SettableClock", "make_decision"]


class SettableClock:
    """A clock that only moves when a test sets it."""

    def __init__(self, now_ms: int = NOON_MS) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        return self.now_ms

    def advance(self, seconds: float) -> None:
        """Moves the clock by some seconds, forwards or backwards."""
        self.now_ms += round(seconds * 1000)


def make_decision(
    offers: Sequence[str],
    *,
    logits: npt.ArrayLike | None = None,
    dropped: Mapping[str, Reason] | None = None,
    error: ErrorCode = ErrorCode.NONE,
    detail: str = "",
    limit: int | None = None,
    number: int = 1,
    time_ms: int = NOON_MS,
    model_version: str = "fake",
) -> Decision:
    """Returns a decision with the offers in this order.

    Args:
        offers: names, best first.
        logits: (C,) scores, whose order then counts; None = C, C − 1, … 1.
        dropped: suppressed offers, each with the reason.
        error: the decision's error; with any but NONE the decision is the base order.
        detail: what to fix.
        limit: the largest number of offers.
        number: the decision's id.
        time_ms: the decision's time, in milliseconds since 1970.
        model_version: the version of the bundle that made the decision.

    Raises:
        TypeError: `offers` is one string instead of a list of names.
    """
    scores = np.arange(len(offers), 0, -1) if logits is None else logits
    base = BaseDecision(offers, scores)
    return fallback_decision(
        base,
        error=error,
        detail=detail,
        limit=limit,
        time_ms=time_ms,
        number=number,
        scene="fake",
        model_version=model_version,
        policy_version=0,
        dropped_bits=reason_bits(base, dropped or {}),
    )
