"""Access to an engine: one lock for all calls, and whether the engine is closed."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import NoReturn


class Access:
    """Serialises calls. `with access:` holds the lock and refuses a closed engine; `rank` and `record` do so by hand,
    at half the cost."""

    __slots__ = ("is_closed", "lock")

    def __init__(self) -> None:
        """Open."""
        self.lock = threading.Lock()
        self.is_closed = False

    def __enter__(self) -> None:
        self.lock.acquire()
        if self.is_closed:
            self.lock.release()
            self.refuse()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.lock.release()

    def refuse(self) -> NoReturn:
        """Raises the error of a call on a closed engine."""
        raise RuntimeError("the engine is closed; open a new one with Engine.open")
