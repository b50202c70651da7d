"""What an engine counts for its status."""

from __future__ import annotations

from edge_sdk.errors import ErrorCode
from edge_sdk.limits import NAMES_CACHED


class Counts:
    """Decisions and errors since the opening, and unknown items.

    Attributes:
        decisions: made.
        errors: how many decisions, and readings of the clock, had each code.
        unknown_ids: of items that the bundle lacks, at most `NAMES_CACHED`.
    """

    __slots__ = ("decisions", "errors", "unknown_ids")

    def __init__(self) -> None:
        """Starts at nothing."""
        self.decisions = 0
        self.errors: dict[ErrorCode, int] = {}
        self.unknown_ids: set[int] = set()

    def decided(self, error: ErrorCode) -> None:
        """Counts a decision."""
        self.decisions += 1
        if error:
            self.failed(error)

    def failed(self, error: ErrorCode) -> None:
        """Counts an error of a decision, or of the clock when an event was recorded."""
        self.errors[error] = self.errors.get(error, 0) + 1

    def met_unknown(self, item: int) -> None:
        """Counts an item that the bundle lacks."""
        if len(self.unknown_ids) < NAMES_CACHED:
            self.unknown_ids.add(item)
