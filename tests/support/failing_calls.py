"""Lets one call to the system fail, of all calls by which a state folder is opened, read and changed."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from typing import Any

import pytest

_CALLS = (
    "open",
    "fstat",
    "lseek",
    "stat",
    "pread",
    "pwrite",
    "rename",
    "unlink",
    "fsync",
    "fdatasync",
    "ftruncate",
    "mkdir",
)


class Failing:
    """Raises at the n-th call.

    Attributes:
        calls: how many there were.
    """

    def __init__(self, patch: pytest.MonkeyPatch, at: int, error: Callable[[], BaseException]) -> None:
        """Watches the calls until the patch is undone; `at` counts from 1."""
        self.calls = 0
        self._at, self._error = at, error
        for name in (*_CALLS, "posix_fallocate"):
            patch.setattr(os, name, self._watched(getattr(os, name)))
        patch.setattr(fcntl, "flock", self._watched(fcntl.flock))

    def _watched(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any, **options: Any) -> Any:
            self.calls += 1
            if self.calls == self._at:
                raise self._error()
            return call(*arguments, **options)

        return watched
