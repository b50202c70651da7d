"""Refuses the n-th call to the disk, once or from then on."""

from __future__ import annotations

import os
from collections.abc import Callable

from edge_sdk.errors import EdgeError
from tests.support.system_calls import before_each_call

MODES = ("once", "from then on")


class Refusals:
    """Refuses the n-th call to the disk, once or from then on."""

    def __init__(self, first: int, error: int, mode: str) -> None:
        self.calls: list[str] = []
        self._first, self._error, self._mode = first, error, mode

    def __call__(self, call: str) -> None:
        self.calls.append(call)
        if len(self.calls) == self._first or (self._mode == "from then on" and len(self.calls) > self._first):
            raise OSError(self._error, os.strerror(self._error))

    def refused(self, change: Callable[[], object]) -> bool:
        """Runs the change; returns whether the change raised."""
        with before_each_call(self):
            try:
                change()
            except EdgeError:
                return True
        return False
