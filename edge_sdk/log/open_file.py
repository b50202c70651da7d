"""Open descriptors, each of them closed once: by hand, when nobody holds it any more, or in a forked child.

A child that `fork` makes has copies of all descriptors. As long as it has them, a lock of its parent lasts, even after
the parent's death. So the child closes its copies at once; the parent's descriptors and its lock stay as they are.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Final, Protocol
from weakref import WeakSet


class Closable(Protocol):
    """What a forked child closes."""

    def close(self) -> None:
        """Closes. A second call does nothing."""


_open: Final = WeakSet[Closable]()


def close_in_child(resource: Closable) -> None:
    """Closes this object in every child that is forked from now on, as long as somebody here holds the object."""
    _open.add(resource)


class OpenFile:
    """An open file or folder.

    Attributes:
        number: the descriptor; -1 = closed, which every system call refuses as EBADF.
    """

    __slots__ = ("__weakref__", "number")

    def __init__(self, number: int) -> None:
        """Takes over a descriptor."""
        self.number = number
        close_in_child(self)

    def close(self) -> None:
        """Closes the file. A second call does nothing.

        Raises:
            OSError: the disk refuses what was written before. The file is closed all the same.
        """
        number, self.number = self.number, -1
        if number >= 0:
            os.close(number)

    def __del__(self) -> None:
        with suppress(OSError, AttributeError):  # the latter: `__init__` was interrupted
            if self.number >= 0:
                os.close(self.number)


def _close_all() -> None:
    for resource in list(_open):
        with suppress(OSError, BufferError):
            resource.close()


os.register_at_fork(after_in_child=_close_all)
