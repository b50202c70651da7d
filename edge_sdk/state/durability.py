"""Durability against power loss: a thread writes the log to the disk at intervals."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from typing import Final, Literal

Durability = Literal["process", "power"]
DURABILITIES: Final = ("process", "power")


class Flusher:
    """Calls a method every `interval_s` seconds until `stop`, or until nobody holds the method's object any more."""

    def __init__(self, sync: Callable[[], object], interval_s: float) -> None:
        """Starts the thread; `sync` is a bound method, whose object the thread does not keep alive."""
        self._sync, self._interval_s = weakref.WeakMethod(sync), interval_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="edge-sdk flusher", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread, and returns when the thread has ended."""
        self._stopped.set()
        self._thread.join()

    def abandon(self) -> None:
        """Tells the thread to end; does not wait, since that thread itself may be the caller."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(self._interval_s) and self._synced():
            pass

    def _synced(self) -> bool:
        """Calls the method; returns whether there still is one."""
        sync = self._sync()
        if sync is None:
            return False
        sync()
        return True


def weakly(method: Callable[[int], object]) -> Callable[[int], object]:
    """Returns a function that calls a bound method as long as somebody else holds its object, and then does nothing."""
    held = weakref.WeakMethod(method)

    def call(argument: int) -> object:
        found = held()
        return found and found(argument)

    return call
