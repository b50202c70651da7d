"""Logs a client's problems to `logging.getLogger("edge_sdk")`, at most one line a minute for each error code."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from typing import Final

from edge_sdk.errors import ErrorCode

LOG: Final = logging.getLogger("edge_sdk")
LOG.addHandler(logging.NullHandler())  # a library is silent until the app configures logging

WARNING_EVERY_MS: Final = 60_000


class ProblemLog:
    """Counts problems by error code and logs the first of each code in a minute. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal handler may call the client meanwhile
        self._counts: Counter[ErrorCode] = Counter()
        self._warned_ms: dict[tuple[str, ErrorCode], int] = {}

    def warn(self, topic: str, code: ErrorCode, detail: str, now_ms: int) -> bool:
        """Counts a problem, and returns whether it was logged.

        Args:
            topic: where the problem happened; each topic has a line a minute of its own.
            code: the problem's error code.
            detail: what to fix; no item of an event.
            now_ms: milliseconds since 1970.
        """
        with self._lock:
            self._counts[code] += 1
            since_ms = now_ms - self._warned_ms.get((topic, code), now_ms - WARNING_EVERY_MS)
            if 0 <= since_ms < WARNING_EVERY_MS:  # below 0: the clock was set back
                return False
            self._warned_ms[topic, code] = now_ms
        LOG.warning("%s: %d %s: %s", topic, code.value, code.name, detail)
        return True

    def counts(self) -> dict[str, int]:
        """Returns how often each problem happened, by the code's name."""
        with self._lock:
            return {code.name: count for code, count in sorted(self._counts.items())}

    def forget(self) -> None:
        """Resets the counts."""
        with self._lock:
            self._counts.clear()
