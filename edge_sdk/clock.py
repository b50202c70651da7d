"""The time, as everything here takes it: a function, so that a test or a platform gives its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

NEVER_MS: Final = 1 << 62  # a time that does not come

Clock = Callable[[], int]  # milliseconds since 1970-01-01 UTC


def system_clock() -> int:
    """The device's clock, milliseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1_000_000
