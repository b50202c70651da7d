"""What a `Client` asks of an engine: `Engine` answers it, and so does `testing.FakeEngine`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import numpy.typing as npt

from edge_sdk.base_decision import BaseDecision
from edge_sdk.decision.decision import Decision
from edge_sdk.engine.status import Status


class EngineProtocol(Protocol):
    """See `Engine` for what each call does and raises."""

    @property
    def shown_kinds(self) -> Mapping[str, str]:
        """The kind that `shown` records, by channel; "" = in the app itself. A channel without one is left out."""

    @property
    def feedback_kinds(self) -> Mapping[str, str]:
        """The kind that `feedback` records, by outcome."""

    @property
    def known_until_ms(self) -> int:
        """Up to when the cloud knew the log that the bundle was made from, milliseconds since 1970; 0 = not known."""

    def rank(
        self,
        base: BaseDecision,
        *,
        context: Mapping[str, str] | None = None,
        limit: int | None = None,
        weights: Mapping[str, float] | None = None,
        attributes: Mapping[str, float] | None = None,
    ) -> Decision:
        """Order the candidates of a base decision."""

    def is_still_valid(self, decision: Decision) -> bool:
        """Whether the rules would drop the same offers now. The model is not asked."""

    def record(self, kind: str, *, item: str = "", value: float = 0.0, decision: int = 0) -> int:
        """Write down that something happened."""

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
        """Write down many events with times of their own, all or none."""

    def shown(self, decision: Decision, *, count: int | None = None) -> None:
        """Record that the first `count` offers of a decision were on the screen."""

    def feedback(self, decision: Decision, offer: str, outcome: str, *, value: float = 0.0) -> None:
        """Record what came of an offer of a decision."""

    def erase(
        self,
        *,
        before: int | None = None,
        items: Iterable[str] | None = None,
        kinds: Iterable[str] | None = None,
    ) -> int:
        """Overwrite events and everything derived from them."""

    def install_policy(self, policy: bytes, /) -> object:
        """Put another policy in force."""

    def status(self) -> Status:
        """What is installed and how it fares."""

    def close(self) -> None:
        """Write the log out and let the folder go."""
