"""The clock: a function that returns the time, so that a test or a platform can pass its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

NEVER_MS: Final = 1 << 62  # later than every time that the log can hold

Clock = Callable[[], int]  # milliseconds since 1970-01-01 UTC


def system_clock() -> int:
    """Returns the time of the device's clock, in milliseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1_000_000
