"""The part of an engine that a `Client` uses. `Engine` and `testing.FakeEngine` both provide it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from edge_sdk.base_decision import BaseDecision
from edge_sdk.decision.decision import Decision
from edge_sdk.engine.status import Status


class EngineProtocol(Protocol):
    """The calls of a client on its engine; `Engine` documents each of them."""

    @property
    def shown_kinds(self) -> Mapping[str, str]:
        """The kind that `shown` records, by channel; "" = in the app itself. Channels without a kind are left out."""

    @property
    def feedback_kinds(self) -> Mapping[str, str]:
        """The kind that `feedback` records, by outcome."""

    @property
    def known_until_ms(self) -> int:
        """The end of the cloud's data behind the bundle, in milliseconds since 1970; 0 = unknown."""

    def rank(
        self,
        base: BaseDecision,
        *,
        context: Mapping[str, str] | None = None,
        attributes: Mapping[str, float] | None = None,
        limit: int | None = None,
        weights: Mapping[str, float] | None = None,
    ) -> Decision:
        """Orders the candidates of a base decision."""

    def is_still_valid(self, decision: Decision) -> bool:
        """Returns whether the rules would drop the same offers now. The model is not asked."""

    def record(self, kind: str, *, item: str = "", value: float = 0.0, decision: int = 0) -> int:
        """Records one event."""

    def record_many(
        self,
        times_ms: Sequence[int],
        kinds: Sequence[int],
        items: Sequence[int],
        values: Sequence[float],
        decisions: Sequence[int],
        *,
        kind_names: Sequence[str],
        item_names: Sequence[str],
    ) -> int:
        """Records many events with their own times, all or none. A client always passes every column."""

    def shown(self, decision: Decision, *, count: int | None = None) -> None:
        """Records that the first `count` offers of a decision were on screen."""

    def feedback(self, decision: Decision, offer: str, outcome: str, *, value: float = 0.0) -> None:
        """Records the outcome of one offer of a decision."""

    def erase(
        self,
        *,
        before: int | None = None,
        items: Iterable[str] | None = None,
        kinds: Iterable[str] | None = None,
    ) -> int:
        """Overwrites events and everything derived from them."""

    def install_policy(self, policy: bytes, /) -> object:
        """Activates another policy."""

    def status(self) -> Status:
        """Returns what is installed, and counts."""

    def close(self) -> None:
        """Writes the log to the disk and releases the state folder."""
