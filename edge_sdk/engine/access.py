"""Access to an engine: one call at a time, none within another, and none when the engine is closed."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from functools import wraps
from types import CodeType, FrameType
from typing import Concatenate, Final, NoReturn, ParamSpec, TypeVar

from edge_sdk.errors import NestedCallError

P = ParamSpec("P")
R = TypeVar("R")
OwnerT = TypeVar("OwnerT", bound="Serialised")

_TURN_TAKERS: Final = set[CodeType]()  # the code of functions that take a turn


class Access:
    """The turns of an engine's calls: each call takes the lock, and the others wait.

        for _ in access.turns:
            try:
                access.is_inside = True
                …
            finally:
                access.is_inside = False
                access.release()

    `for` takes the lock in C, and CPython runs no signal handler between there and the `try`, nor between the end of
    the `try` and the release: no interrupt leaves the lock taken. Around a call of `acquire` one would; a `with` is as
    safe, but takes 50 ns more of the 1,050 of a `record`.

    Attributes:
        turns: takes the lock at each step, and waits for it.
        release: gives it back.
        is_inside: whether a call has the lock, in whatever thread.
        is_closed: whether the engine is closed.
    """

    __slots__ = ("_served", "is_closed", "is_inside", "release", "turns")

    turns: Iterator[bool]
    release: Callable[[], None]
    is_inside: bool
    is_closed: bool

    def __init__(self) -> None:
        """Open; no call is inside."""
        lock = threading.Lock()
        self.turns, self.release = iter(lock.acquire, None), lock.release
        self.is_inside = self.is_closed = False
        self._served = set[int]()

    def serves(self, owner: object) -> None:
        """Counts the calls of an object among those of the engine; the object owns this one."""
        self._served.add(id(owner))

    def refuse_nested(self) -> None:
        """Raises if the calling function runs within a call of the engine; to be called where `is_inside`.

        A signal handler, a finalizer, a clock or a mapping of the app runs on top of the call that it came into. The
        call of another thread is not among the frames of this one: it is waited for.

        Raises:
            NestedCallError: a frame of this thread has its turn, or waits for it.
        """
        frame: FrameType | None = sys._getframe(2)  # noqa: SLF001 - `inspect` has a public name for it, and costs 8 ms of import
        while frame is not None:
            if frame.f_code in _TURN_TAKERS and id(frame.f_locals.get("self")) in self._served:
                raise NestedCallError
            frame = frame.f_back

    def require_open(self) -> None:
        """Raises if the engine is closed.

        Raises:
            RuntimeError: the engine is closed.
        """
        if self.is_closed:
            self.refuse()

    def refuse(self) -> NoReturn:
        """Raises the error of a call on a closed engine."""
        raise RuntimeError("the engine is closed; open a new one with Engine.open")


class Serialised:
    """A class with calls that take turns. It sets `_access`."""

    _access: Access


def takes_turn(method: Callable[P, R]) -> Callable[P, R]:
    """Declares that a method takes its turn by itself, as in `Access`: for the two that have no time for `in_turn`."""
    _TURN_TAKERS.add(method.__code__)
    return method


def in_turn(method: Callable[Concatenate[OwnerT, P], R]) -> Callable[Concatenate[OwnerT, P], R]:
    """Lets a method run when it is its turn. A nested call is refused; a closed engine the method refuses itself."""

    @takes_turn
    @wraps(method)
    def taking_turn(self: OwnerT, /, *args: P.args, **kwargs: P.kwargs) -> R:
        access = self._access
        if access.is_inside:
            access.refuse_nested()
        for _ in access.turns:
            try:
                access.is_inside = True
                return method(self, *args, **kwargs)
            finally:
                access.is_inside = False
                access.release()
        raise AssertionError  # turns do not end

    return taking_turn


def in_turn_while_open(method: Callable[Concatenate[OwnerT, P], R]) -> Callable[Concatenate[OwnerT, P], R]:
    """As `in_turn`, of an engine that is open: a closed one raises RuntimeError."""

    @in_turn
    @wraps(method)
    def open_only(self: OwnerT, /, *args: P.args, **kwargs: P.kwargs) -> R:
        self._access.require_open()
        return method(self, *args, **kwargs)

    return open_only
