"""The engine's local time: asks the system, the app or a named zone, and keeps the last good answer."""

from __future__ import annotations

import os
import time
from operator import index
from typing import TYPE_CHECKING, Final

import numpy as np

from edge_sdk.clock import UTC, LocalTime, UtcOffset
from edge_sdk.errors import InvalidValueError
from edge_sdk.limits import TIME_MS_MAX, UTC_OFFSET_S_MAX
from edge_sdk.types import I64

if TYPE_CHECKING:
    from datetime import tzinfo

_DAY_MS: Final = 86_400_000
_QUARTER_MS: Final = 900_000
_AHEAD_MS: Final = 8 * _DAY_MS  # a change is looked for so far ahead: a week and the day for which an answer is kept
_ASK_SYSTEM_EVERY_NS: Final = 1_000_000  # reading the system's zone takes 1 to 3 µs


class SystemZone:
    """The system's local time, also after the system's zone has changed while the process runs."""

    def __init__(self) -> None:
        """Reads the zone at the first call."""
        self._read_ns = -_ASK_SYSTEM_EVERY_NS
        self._file: tuple[object, ...] = ()  # which file the zone was read from
        self._of_file: UtcOffset | None = None

    def __call__(self, now_ms: int) -> int:
        """Returns by how many seconds the system's local time is ahead of UTC at a moment."""
        at_ns = time.monotonic_ns()
        if at_ns - self._read_ns >= _ASK_SYSTEM_EVERY_NS:
            self._read_ns = at_ns
            self._read()
        if self._of_file is not None:
            return self._of_file(now_ms)
        return time.localtime(now_ms // 1000).tm_gmtoff

    def _read(self) -> None:
        """Looks whether the zone has changed.

        The C library looks once a process if nobody asks it again (`tzset`), and even then it does not read a file anew
        that TZ names: that one is read here.
        """
        path = os.environ.get("TZ", "").removeprefix(":")
        if not path.startswith("/"):
            self._file, self._of_file = (), None
            if hasattr(time, "tzset"):  # on Windows the C library looks for itself
                time.tzset()
            return
        try:
            found = os.stat(path)
            file = (path, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
            if file != self._file:
                self._file, self._of_file = file, _offset_of_file(path)
        except (OSError, ValueError):  # absent for a moment, or no zone: as it was
            pass


def _offset_of_file(path: str) -> UtcOffset:
    from zoneinfo import ZoneInfo  # most devices name no file: 3 ms

    with open(path, "rb") as file:
        return _offset_in(ZoneInfo.from_file(file))


def _offset_in(zone: tzinfo) -> UtcOffset:
    from datetime import datetime

    def offset_s(now_ms: int) -> int:
        offset = datetime.fromtimestamp(now_ms // 1000, zone).utcoffset()
        assert offset is not None  # the zones of the database give one for every moment
        return offset.days * 86_400 + offset.seconds

    return offset_s


def utc_offset_of(zone: str) -> UtcOffset:
    """Returns a function for `Engine.open(utc_offset_s=…)` that follows a zone, wherever the device is.

    Args:
        zone: a name of the IANA time zone database, e.g. "Europe/Berlin".

    Raises:
        InvalidValueError: no such zone, or the device has no time zone database.
    """
    from zoneinfo import ZoneInfo  # an app that follows the system's zone saves 3 ms

    try:
        return _offset_in(ZoneInfo(zone))
    except (KeyError, ValueError, TypeError, AttributeError, OSError):  # not found, no name at all, a folder of names
        raise InvalidValueError("time_zone", zone) from None


class LocalClock:
    """Local time as an engine knows it. Not thread-safe: the engine serialises.

    Attributes:
        problem: why the last question got no usable answer; "" = it did.
    """

    def __init__(self, ask: UtcOffset) -> None:
        """Starts in UTC; `ask` gives the offset at a moment."""
        self._ask = ask
        self._known, self._from_ms, self._until_ms = UTC, 0, 0
        self.problem = ""

    def check(self, now_ms: int) -> None:
        """Asks for the first time.

        Raises:
            InvalidValueError: the function raises, or returns no usable offset.
        """
        try:
            found = self._ask(now_ms)
        except Exception as problem:
            raise InvalidValueError("utc_offset_s", problem) from problem
        as_offset(found)
        self.at(now_ms)
        if self.problem:  # at a later moment
            raise InvalidValueError("utc_offset_s", self.problem)

    def at(self, now_ms: int) -> LocalTime:
        """Returns local time at a moment. Without a usable answer: as it was last, and `problem` says why."""
        try:
            offset_s = as_offset(self._ask(now_ms))
            if offset_s != self._known.offset_s or not self._from_ms <= now_ms < self._until_ms:
                self._known = self._looked_ahead(now_ms, offset_s)
                self._from_ms, self._until_ms = now_ms, min(self._known.changes_ms, now_ms + _DAY_MS)
            self.problem = ""
        except Exception as problem:  # the app's function may raise anything; `rank` always answers
            self.problem = _described(problem)
        return self._known

    def at_each(self, times_ms: I64) -> I64:
        """Returns the offset in seconds at each of these moments, (E,); the last known one where there is no answer.

        It asks once for each quarter of an hour with an event: clocks change at no other moments.
        """
        quarters = times_ms // _QUARTER_MS
        offsets_s = {quarter: self._known.offset_s for quarter in set(quarters.tolist())}
        try:
            offsets_s = {quarter: as_offset(self._ask(quarter * _QUARTER_MS)) for quarter in offsets_s}
            self.problem = ""
        except Exception as problem:
            self.problem = _described(problem)
        return np.array([offsets_s[quarter] for quarter in quarters.tolist()], np.int64)

    def _looked_ahead(self, now_ms: int, offset_s: int) -> LocalTime:
        """Finds the next change by bisection, to the second; of two changes within 8 days that cancel out, neither."""
        low, high = now_ms // 1000, min(now_ms + _AHEAD_MS, TIME_MS_MAX) // 1000
        after_s = as_offset(self._ask(high * 1000))
        if after_s == offset_s:
            return LocalTime(offset_s)
        while high - low > 1:
            middle = (low + high) // 2
            found = as_offset(self._ask(middle * 1000))
            if found == offset_s:
                low = middle
            else:
                high, after_s = middle, found
        return LocalTime(offset_s, high * 1000, after_s)


def as_offset(found: object) -> int:
    """Returns a UTC offset in whole seconds.

    Raises:
        InvalidValueError: it is no number, or further from UTC than any zone.
    """
    try:
        number = found if isinstance(found, float) else index(found)  # type: ignore[arg-type]
    except TypeError:
        raise InvalidValueError("utc_offset_s", found) from None
    if isinstance(found, bool) or not abs(number) <= UTC_OFFSET_S_MAX:  # NaN is not
        raise InvalidValueError("utc_offset_s", found)
    return int(number)


def _described(problem: Exception) -> str:
    if isinstance(problem, InvalidValueError):
        return str(problem)
    return f"utc_offset_s: {type(problem).__name__}: {problem}"
