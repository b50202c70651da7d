"""Counts of an engine's decisions and errors, for its status."""

from __future__ import annotations

from edge_sdk.errors import ErrorCode


class Counts:
    """Decisions and errors since the opening, or since everything was erased.

    Attributes:
        decisions: made.
        errors: how many decisions, and readings of the clock, had each code.
    """

    __slots__ = ("decisions", "errors")

    def __init__(self) -> None:
        """Starts at nothing."""
        self.decisions = 0
        self.errors: dict[ErrorCode, int] = {}

    def decided(self, error: ErrorCode) -> None:
        """Counts a decision."""
        self.decisions += 1
        if error:
            self.failed(error)

    def failed(self, error: ErrorCode) -> None:
        """Counts an error of a decision, or of the clock when an event was recorded."""
        self.errors[error] = self.errors.get(error, 0) + 1
