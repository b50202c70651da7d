"""What an engine tells of its bundle's scene: the kinds that outcomes record, and what an app may pass to `rank`."""

from __future__ import annotations

from collections.abc import Mapping

from edge_sdk.bundle.bundle import Bundle
from edge_sdk.engine.outcomes import Outcomes
from edge_sdk.policy.conditions import ContextField


class SceneFacts:
    """A class that tells of its bundle. It sets both."""

    _bundle: Bundle
    _outcomes: Outcomes

    @property
    def shown_kinds(self) -> Mapping[str, str]:
        """The kind that `shown` records, by channel; "" = the app itself. Channels without one are absent."""
        return dict(self._outcomes.shown_kinds)

    @property
    def feedback_kinds(self) -> Mapping[str, str]:
        """The kind that `feedback` records, by outcome."""
        return dict(self._outcomes.feedback_kinds)

    @property
    def known_until_ms(self) -> int:
        """The end of the log that the bundle was trained on, milliseconds since 1970; 0 = not known."""
        return self._bundle.known_until_ms

    @property
    def context_fields(self) -> tuple[ContextField, ...]:
        """The context fields of `rank`, each with its declared values."""
        return self._bundle.policy.context
