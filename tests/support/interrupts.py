"""An exception that is raised at the n-th place of a call, for tests of what is cut short."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


class Cut:
    """Raises `problem` at the n-th place, as a trace function; with n = 0 it only counts the places.

    Attributes:
        seen: how many places came so far.
    """

    def __init__(
        self, at: int, is_place: Callable[[FrameType, str], bool | None], problem: Callable[[], BaseException]
    ) -> None:
        """Takes the number of the place.

        Args:
            at: from 1.
            is_place: of a frame and what happens in it ("line", "call", …); None = nothing in this frame is one.
            problem: makes the exception.
        """
        self.at, self.seen, self._is_place, self._problem = at, 0, is_place, problem

    def __call__(self, frame: FrameType, what: str, _: Any) -> Cut | None:
        is_place = self._is_place(frame, what)
        if is_place:
            self.seen += 1
            if self.seen == self.at:
                sys.settrace(None)
                raise self._problem()
        return None if is_place is None else self

    def during(self, act: Callable[[], object]) -> None:
        """Runs a call under this."""
        former = sys.gettrace()
        sys.settrace(self)
        try:
            act()
        finally:
            sys.settrace(former)
