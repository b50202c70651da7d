"""Access to an engine: one call at a time, none within another, and none when the engine is closed."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import wraps
from types import CodeType, FrameType
from typing import Concatenate, Final, NoReturn, ParamSpec, TypeVar
from weakref import WeakSet

from edge_sdk.errors import ForkedError, NestedCallError

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
        in_child: gives a method that is called in a forked child; None where nobody has it any more.
    """

    __slots__ = ("__weakref__", "_owner", "_served", "in_child", "is_closed", "is_inside", "release", "turns")

    turns: Iterator[bool]
    release: Callable[[], None]
    is_inside: bool
    is_closed: bool
    in_child: Callable[[], Callable[[], object] | None]

    def __init__(self) -> None:
        """Open; no call is inside."""
        self._renew()
        self.is_closed = False
        self.in_child = lambda: None
        self._served = set[int]()
        self._owner = os.getpid()
        _open.add(self)

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
        """Raises the error of a call on a closed engine, or of a call in a child that was forked from its process."""
        if self._owner != os.getpid():
            raise ForkedError(self._owner)
        raise RuntimeError("the engine is closed; open a new one with Engine.open")

    def leave_in_child(self) -> None:
        """Closes the engine of a child; the parent's stays as it is. The parent's other threads do not exist here.

        One of those may have had its turn at that moment, and would never give it back. A call within which this very
        thread has forked does so itself.
        """
        self.is_closed = True
        forget = self.in_child()
        if forget is not None:
            forget()
        with suppress(NestedCallError):
            self.refuse_nested()
            self._renew()

    def _renew(self) -> None:
        lock = threading.Lock()
        self.turns, self.release, self.is_inside = iter(lock.acquire, None), lock.release, False


_open: Final = WeakSet[Access]()


def _leave_all() -> None:
    for access in list(_open):
        access.leave_in_child()


os.register_at_fork(after_in_child=_leave_all)


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
