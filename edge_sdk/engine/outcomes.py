"""Outcomes of a decision: which events record that its offers were shown, and what the user answered."""

from __future__ import annotations

from edge_sdk.bundle.bundle import Bundle
from edge_sdk.decision.decision import Decision, require_decision
from edge_sdk.errors import InvalidValueError, UnknownOutcomeError
from edge_sdk.log.event_input import as_name, as_whole

Outcome = tuple[str, str, float]  # kind, item and value of an event


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

    def shown(self, decision: Decision, count: int | None) -> list[Outcome]:
        """Returns kind, item and value of the events of the first `count` offers; None = of all.

        Raises:
            UnknownOutcomeError: the scene names no kind for a channel.
            InvalidValueError: this is no decision, or the count is no whole number.
        """
        require_decision(decision)
        order = decision.order if count is None else decision.order[: max(0, as_whole("count", count))]
        events = []
        for index in order.tolist():
            channel = decision.base.channel(index)
            kind = self.shown_kinds.get(channel) if isinstance(channel, str) else None
            if kind is None:
                in_app = isinstance(channel, str) and not channel
                raise UnknownOutcomeError("shown" if in_app else f"shown in {channel}", ())
            events.append((kind, decision.candidates[index], float(decision.trace.costs[index])))
        return events

    def feedback(self, decision: Decision, offer: str, outcome: str) -> str:
        """Returns the kind of an outcome of one of the decision's offers.

        Raises:
            UnknownOutcomeError: the scene maps no kind to this outcome.
            InvalidValueError: this is no decision, or it had no such offer.
        """
        require_decision(decision)
        kind = self.feedback_kinds.get(outcome) if isinstance(outcome, str) else None
        if kind is None:
            raise UnknownOutcomeError(outcome, tuple(self.feedback_kinds))
        if as_name("offer", offer) not in decision.candidates:
            raise InvalidValueError("offer", offer)
        return kind


def require_policy(policy: bytes) -> None:
    """Raises if an app passes something else, such as the path of a policy's file.

    Raises:
        InvalidValueError: these are no bytes.
    """
    if not isinstance(policy, bytes):
        raise InvalidValueError("policy", type(policy).__name__)
