"""Fails one call to the system, or raises at one call within the SDK."""

from __future__ import annotations

import builtins
import fcntl
import inspect
import io
import mmap
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final

OS_CALLS: Final = (
    "open", "read", "write", "pread", "pwrite", "preadv", "pwritev", "ftruncate", "truncate", "rename", "replace",
    "unlink", "remove", "mkdir", "fsync", "fdatasync", "posix_fallocate", "fstat", "lseek", "stat", "lstat", "listdir",
    "scandir", "chmod", "fchmod", "statvfs", "fstatvfs", "link", "dup", "utime", "access", "readlink",
)  # fmt: skip


class Injector:
    """Counts the system calls that code of the SDK makes, and fails one of them."""

    def __init__(self) -> None:
        self.count, self.at, self.hit = 0, 0, ""
        self.problem: Callable[[], BaseException] = KeyboardInterrupt

    def __call__(self, name: str) -> None:
        """Is called before each call."""
        if not self.at or not _is_in_sdk(inspect.currentframe()):
            return
        self.count += 1
        if self.count == self.at:
            self.hit = f"{name} of {_caller()}"
            raise self.problem()

    @contextmanager
    def failing(self, at: int, problem: Callable[[], BaseException]) -> Iterator[None]:
        """Fails the `at`-th call within the `with`."""
        self.count, self.at, self.hit, self.problem = 0, at, "", problem
        try:
            yield
        finally:
            self.at = 0


def installed() -> Injector:
    """Puts the injector before every system call that Python code can make; for the rest of the process."""
    injector = Injector()

    def watched(call: Callable[..., Any], name: str) -> Callable[..., Any]:
        def calling(*arguments: Any, **options: Any) -> Any:
            injector(name)
            return call(*arguments, **options)

        return calling

    for name in OS_CALLS:
        setattr(os, name, watched(getattr(os, name), name))
    for name in ("flock", "fcntl", "lockf"):
        setattr(fcntl, name, watched(getattr(fcntl, name), name))
    io.open = builtins.open = watched(io.open, "open()")
    original = mmap.mmap

    class Map(original):  # type: ignore[valid-type, misc]
        def __new__(cls, *arguments: Any, **options: Any) -> Any:
            injector("mmap")
            return super().__new__(cls, *arguments, **options)

        def flush(self, *arguments: Any) -> Any:
            injector("msync")
            return super().flush(*arguments)

    mmap.mmap = Map  # type: ignore[misc]
    return injector


@contextmanager
def raising_at_call(at: int, problem: type[BaseException], seen: list[int]) -> Iterator[None]:
    """Raises at the `at`-th call that the SDK makes or takes within the `with`; `seen[0]` counts them.

    These are the places where Python itself can be interrupted: a function begins, or a call of compiled code has
    returned. Memory can be missing where a call begins, but a lock is let go without any.
    """
    places = ("call", "c_call") if problem is MemoryError else ("call", "c_return")

    def profile(frame: FrameType, what: str, called: object) -> None:
        if (
            what in places
            and _is_sdk(frame)
            and not (what == "c_call" and getattr(called, "__name__", "") == "release")
        ):
            seen[0] += 1
            if seen[0] == at:
                sys.setprofile(None)
                raise problem

    sys.setprofile(profile)
    try:
        yield
    finally:
        sys.setprofile(None)


def _is_sdk(frame: FrameType) -> bool:
    return "/edge_sdk/" in frame.f_code.co_filename and "/tests/" not in frame.f_code.co_filename


def _is_in_sdk(frame: FrameType | None) -> bool:
    """Returns whether the call comes from the SDK, directly or through the standard library."""
    for _ in range(8):
        if frame is None:
            return False
        if _is_sdk(frame):
            return True
        if "/tests/" in frame.f_code.co_filename and frame.f_code.co_filename != __file__:
            return False
        frame = frame.f_back
    return False


def _caller() -> str:
    frame = inspect.currentframe()
    while frame is not None and not _is_sdk(frame):
        frame = frame.f_back
    return "" if frame is None else f"{Path(frame.f_code.co_filename).stem}.{frame.f_code.co_name}"
