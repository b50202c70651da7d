"""The clock of a client: the app's, and the last good time where that one fails."""

from __future__ import annotations

from math import isfinite
from threading import get_ident

from edge_sdk.clock import Clock, system_clock
from edge_sdk.log.event_input import within_range


class AppClock:
    """Reads the app's clock; it never raises. Thread-safe."""

    def __init__(self, clock: Clock) -> None:
        """Takes the app's clock."""
        self._clock = clock
        self._last_ms: int | None = None
        self._reader = 0  # the thread that reads the app's clock now; the clock itself may use the client

    def __call__(self) -> int:
        """Returns milliseconds since 1970: of the app's clock, else its last good time, else of the system's clock."""
        if self._reader != get_ident():
            try:
                self._reader = get_ident()
                given = self._clock()
                if isfinite(given):
                    self._last_ms = within_range(given)
            except Exception:  # the clock is the app's; the engine, which reads the same one, tells its error
                pass
            finally:
                self._reader = 0
        return system_clock() if self._last_ms is None else self._last_ms

    def forget(self) -> None:
        """Forgets the last good time."""
        self._last_ms = None
