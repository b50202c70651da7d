"""Calls a hook before every system call by which a state folder changes its files.

The calls that wait for the disk do nothing here: the death of a process loses nothing that the kernel has.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from edge_sdk.log import file_access as log_file

_CHANGES = ("rename", "unlink", "posix_fallocate", "ftruncate", "pwrite")
_WAITS = ("fsync", "fdatasync")
Act = Callable[[str], None]  # the call's name


@contextmanager
def before_each_call(act: Act, *, torn: bool = False) -> Iterator[None]:
    """Calls `act` before each system call. Maps must have been made within `watched_maps`.

    Args:
        act: the hook; may raise.
        torn: write in two halves, with `act` in between.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in _CHANGES:
            patch.setattr(os, name, _watched(getattr(os, name), name, act))
        for name in _WAITS:
            patch.setattr(os, name, _watched(_nothing, name, act))
        if torn:
            patch.setattr(os, "pwrite", _torn(os.pwrite, act))
        patch.setattr(_WatchedMap, "act", staticmethod(act))
        yield


@contextmanager
def watched_maps() -> Iterator[None]:
    """Gives logs that are opened within the `with` maps whose flush counts as a call."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_file, "mmap", SimpleNamespace(mmap=_WatchedMap))
        for name in _WAITS:
            patch.setattr(os, name, _nothing)
        yield


def _nothing(*_: object) -> None:
    return None


class _WatchedMap(mmap.mmap):
    act: Act = staticmethod(_nothing)

    def flush(self, *_: Any) -> None:
        type(self).act("flush")


def _watched(call: Callable[..., Any], name: str, act: Act) -> Callable[..., Any]:
    def watched(*arguments: Any, **options: Any) -> Any:
        act(name)
        return call(*arguments, **options)

    return watched


def _torn(call: Callable[..., int], act: Act) -> Callable[..., int]:
    def torn(file: int, content: bytes, at: int) -> int:
        call(file, content[: len(content) // 2], at)  # `call` does `act` first
        act("rest of pwrite")
        return call(file, content, at)

    return torn
