"""Outcomes of a decision: which events record that its offers were shown, and what the user answered."""

from __future__ import annotations

from edge_sdk.bundle.bundle import Bundle
from edge_sdk.decision.decision import Decision
from edge_sdk.errors import InvalidValueError, UnknownOutcomeError


class Outcomes:
    """The kinds that a bundle's scene declares for outcomes.

    Attributes:
        shown_kinds: kind by channel; "" = the app itself. Channels without one are absent.
        feedback_kinds: kind by outcome.
    """

    shown_kinds: dict[str, str]
    feedback_kinds: dict[str, str]

    def __init__(self, bundle: Bundle) -> None:
        """Takes the kinds of the bundle."""
        names = {number: name for name, number in bundle.kind_ids.items()}
        self.shown_kinds = {
            channel.name: names[channel.shown_kind] for channel in bundle.policy.channels if channel.shown_kind in names
        }
        self.feedback_kinds = {outcome: names[number] for outcome, number in bundle.feedback.items()}

    def shown(self, decision: Decision, count: int | None) -> list[tuple[str, str, float]]:
        """Returns kind, item and value of the events of the first `count` offers; None = of all.

        Raises:
            UnknownOutcomeError: the scene names no kind for a channel.
        """
        order = decision.order if count is None else decision.order[: max(0, count)]
        events = []
        for index in order.tolist():
            channel = decision.base.channel(index)
            kind = self.shown_kinds.get(channel)
            if kind is None:
                raise UnknownOutcomeError(f"shown in {channel}" if channel else "shown", ())
            events.append((kind, decision.candidates[index], float(decision.trace.costs[index])))
        return events

    def feedback(self, decision: Decision, offer: str, outcome: str) -> str:
        """Returns the kind of an outcome of one of the decision's offers.

        Raises:
            UnknownOutcomeError: the scene maps no kind to this outcome.
            InvalidValueError: the decision had no such offer.
        """
        kind = self.feedback_kinds.get(outcome) if isinstance(outcome, str) else None
        if kind is None:
            raise UnknownOutcomeError(outcome, tuple(self.feedback_kinds))
        if offer not in decision.candidates:
            raise InvalidValueError("offer", offer)
        return kind
