"""What an engine knows of the time: the clock's last reading, local time, and what is wrong with either."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Final

from edge_sdk.clock import NEVER_MS, UTC, Clock, LocalTime
from edge_sdk.decision.request import RequestError
from edge_sdk.engine.access import Serialised
from edge_sdk.engine.local_time import LocalClock
from edge_sdk.errors import ErrorCode, StateUnusableError
from edge_sdk.log.event_input import checked_offsets, within_range
from edge_sdk.log.local_field import local_field, local_fields
from edge_sdk.types import I64, U16

if TYPE_CHECKING:
    import numpy.typing as npt

    from edge_sdk.engine.counts import Counts
    from edge_sdk.state.folder import StateFolder

_ASK_EVERY_MS: Final = 60_000  # a zone that changes is noticed at once by a decision, and by an event after so long


class TimeKeeper:
    """Keeps the time of the app's clock and local time; neither may stop an engine. Not thread-safe: calls take turns.

    Attributes:
        local: local time.
        problem: why the clock's last reading was no time; "" = it was one.
    """

    def __init__(self, local: LocalClock) -> None:
        """Nothing is wrong; whether the clock was set back is not known."""
        self.local, self.problem = local, ""
        self._is_forgotten = True

    def settled(self, found: object, last_ms: int) -> int:
        """Returns a reading of the clock within the log's range; the last time if it is none, and `problem` says why.

        Args:
            found: what the clock returned, or raised.
            last_ms: its last time.
        """
        try:
            now_ms = within_range(found)  # type: ignore[arg-type]  # what is no number raises
            self.problem = ""
        except Exception as problem:
            cause = found if isinstance(found, Exception) else problem
            now_ms, self.problem = last_ms, f"clock: {type(cause).__name__}: {cause}"
        return now_ms

    def was_set_back(self, now_ms: int, last_ms: int) -> bool:
        """Returns whether something may be stamped ahead of now: the clock was set back, or `forget` was called."""
        is_back, self._is_forgotten = self._is_forgotten or now_ms < last_ms, False
        return is_back

    def forget(self) -> None:
        """Lets the next `was_set_back` be true: events with times of their own came."""
        self._is_forgotten = True

    def of_request(self, now_ms: int, *, reads_local_time: bool) -> tuple[LocalTime, RequestError | None]:
        """Returns local time, UTC where no rule reads it, and why a decision does not know its time; None = it does."""
        local = self.local.at(now_ms) if reads_local_time else UTC  # the system takes a microsecond
        if self.problem:
            return local, RequestError(ErrorCode.CLOCK_FAILED, f"{self.problem}; decided as of the clock's last time")
        if reads_local_time and self.local.problem:
            detail = f"{self.local.problem}; decided with the last UTC offset"
            return local, RequestError(ErrorCode.LOCAL_TIME_FAILED, detail)
        return local, None

    def field(self, now_ms: int) -> tuple[int, int]:
        """Returns the field `local` of events from now on, and until when it holds (milliseconds since 1970)."""
        local = self.local.at(now_ms)
        until_ms = now_ms if self.local.problem else min(local.changes_ms, now_ms + _ASK_EVERY_MS)
        return local_field(local.offset_s), until_ms

    def fields(self, times_ms: I64, given: npt.ArrayLike | None) -> U16:
        """Returns the fields `local` of back-filled events at these times, (E,).

        Args:
            times_ms: (E,) milliseconds since 1970.
            given: (E,) UTC offsets in seconds; None = those of local time.

        Raises:
            InvalidValueError: an offset is out of range, or there is not one for each event.
        """
        return local_fields(self.local.at_each(times_ms) if given is None else checked_offsets(given, len(times_ms)))


class Timekeeping(Serialised):
    """A class that reads the clock in its turn. It sets all of these."""

    _state: StateFolder
    _counts: Counts
    _clock: Clock
    _time: TimeKeeper
    _fresh_from_ms: int  # the clock's last time; from then until the next there is nothing to look at: see `_refresh`
    _fresh_until_ms: int
    _steady_until_ms: int  # until then the UTC offset is not asked for

    def _tell_time(self, opened_ms: int) -> None:
        """Starts at the clock's time, and lets the folder ask for its last one; the folder does not hold the engine."""
        self._fresh_from_ms, self._fresh_until_ms, self._steady_until_ms = opened_ms, 0, 0
        held = weakref.WeakMethod(self._last_ms)
        self._state.last_ms = lambda: NEVER_MS if (last_ms := held()) is None else last_ms()

    def _last_ms(self) -> int:
        return self._fresh_from_ms

    def _now(self) -> int:
        """Returns the clock's time; its last one where it fails. What calls this writes no event, and needs no log."""
        try:
            found: object = self._clock()
        except Exception as problem:  # the app's
            found = problem
        if found.__class__ is int and self._fresh_from_ms <= found < self._steady_until_ms:
            self._fresh_from_ms = found
            return found
        try:
            return self._look(found)
        except StateUnusableError:
            return self._time.settled(found, self._fresh_from_ms)

    def _refresh(self, found: object) -> int:
        """Looks, for an event, at what may have changed since the last millisecond: `record` has no time to look at it.

        That is, each millisecond, whether the log is whole and the clock was set back, and each minute, the UTC offset
        with which events are recorded. A closed engine has no fresh time: each of its calls comes here and is refused.

        Args:
            found: what the clock returned, or raised. Its failure is counted: no decision tells of it.

        Returns:
            The time, clipped to the range of the log's format.

        Raises:
            RuntimeError: the engine is closed.
            StateUnusableError: another process has cut the log.
        """
        if found.__class__ is int and self._fresh_from_ms <= found < self._steady_until_ms:
            self._state.require_sound()
            self._fresh_from_ms, self._fresh_until_ms = found, found + 1
            return found
        now_ms = self._look(found)
        if self._time.problem:
            self._counts.failed(ErrorCode.CLOCK_FAILED)
        return now_ms

    def _look(self, found: object) -> int:
        """Looks at everything: each minute, where the clock was set back or failed, and after `_look_again`."""
        self._access.require_open()
        last_ms = self._fresh_from_ms
        now_ms = self._time.settled(found, last_ms)
        self._fresh_from_ms, self._fresh_until_ms = now_ms, 0  # not fresh yet
        self._state.log.local, steady_ms = self._time.field(now_ms)
        if self._time.was_set_back(now_ms, last_ms):
            self._follow()
            self._state.set_back()
        self._state.require_sound()  # after all that needs no log: a decision goes on without it
        self._fresh_until_ms, self._steady_until_ms = (0, 0) if self._time.problem else (now_ms + 1, steady_ms)
        return now_ms

    def _now_to_record(self) -> int:
        """Returns the time of events that are recorded now: the clock's, or its last one where it fails.

        Raises:
            StateUnusableError: another process has cut the log.
        """
        try:
            now_ms: object = self._clock()
        except Exception as problem:  # the app's
            now_ms = problem
        if now_ms.__class__ is int and self._fresh_from_ms <= now_ms < self._fresh_until_ms:
            return now_ms
        return self._refresh(now_ms)

    def _follow(self) -> None:
        """Completes, before memory is read, what an interrupt has cut short."""

    def _look_again(self) -> None:
        """Makes the next call of `_refresh` look at everything."""
        self._fresh_until_ms = self._steady_until_ms = 0
        self._time.forget()
