"""Durability against power loss: a thread writes the log to the disk at intervals."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, Literal

Durability = Literal["process", "power"]
DURABILITIES: Final = ("process", "power")


class Flusher:
    """Calls `sync` every `interval_s` seconds until `stop`."""

    def __init__(self, sync: Callable[[], object], interval_s: float) -> None:
        self._sync, self._interval_s = sync, interval_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="edge-sdk flusher", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread, and returns when the thread has ended."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(self._interval_s):
            self._sync()
