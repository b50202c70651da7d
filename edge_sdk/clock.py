"""The clock and local time: the clock is a function, so that a test or a platform can pass its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, NamedTuple

NEVER_MS: Final = 1 << 62  # later than every time that the log can hold

Clock = Callable[[], int]  # milliseconds since 1970-01-01 UTC
UtcOffset = Callable[[int], int]  # a moment in ms -> seconds that local time is ahead of UTC


class LocalTime(NamedTuple):
    """How far local time is ahead of UTC at a moment, and the next change of it, if one comes within 8 days."""

    offset_s: int
    changes_ms: int = NEVER_MS  # the first moment of the other offset, milliseconds since 1970
    offset_after_s: int = 0  # from then on

    def offset_at(self, at_ms: int) -> int:
        """Returns the offset in seconds at a moment not before the one that this record is about."""
        return self.offset_s if at_ms < self.changes_ms else self.offset_after_s


UTC: Final = LocalTime(0)


def system_clock() -> int:
    """Returns the time of the device's clock, in milliseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1_000_000
