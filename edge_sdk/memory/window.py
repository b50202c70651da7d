"""The window: the last N events as the model reads them, newest first."""

from __future__ import annotations

from typing import Final, cast

import numpy as np
import numpy.typing as npt

from edge_sdk.limits import TIME_MS_MAX
from edge_sdk.types import F32, I32, I64, Mask

_NEVER: Final = 1 << 62  # time of an empty place: its age clamps to 0
_EVENT_BYTES: Final = 20  # time 8, item 4, kind 4, value 4


class Window:
    """A ring of N events; a new one replaces the oldest."""

    def __init__(self, size: int, keep_ms: I64 | None) -> None:
        """Starts empty.

        Args:
            size: N.
            keep_ms: by kind row, how long an event of that kind is shown, in ms; None = no kind has a bound.
        """
        self._size = size
        self._keep_ms = keep_ms
        self._shortest_ms = 0 if keep_ms is None else int(keep_ms.min())
        self._oldest_ms = _NEVER  # no event in the window is older: checking all of them takes 3% of a decision
        # Each event is written twice, N apart, from the end on: "newest first" is always one contiguous slice.
        # One block, so that one move copies all of it.
        self._block = np.zeros(2 * size * _EVENT_BYTES, np.uint8)
        self._time, self._item, self._kind, self._value = _columns_of(self._block, size)
        self._time.fill(_NEVER)
        self._columns: tuple[npt.NDArray[np.generic], ...] = (self._item, self._kind, self._value, self._time)
        self._at = 0
        # A cache of the window's events reads from these what is new: as many events as `changes` grew by, or all of
        # them if the token is another object.
        self.changes = 0
        self.token = object()
        # Element writes through a memoryview cost a third of those through numpy.
        values = cast("memoryview[float]", self._value.data)
        self._views = (self._item.data, self._kind.data, values, self._time.data)
        self._ages = np.zeros(size, np.int64)  # zeroed: memory freed by an erase must not reappear here
        self._seconds = np.zeros(size, np.float64)

    def push(self, kind_row: int, item_row: int, time_ms: int, value: float) -> None:
        """Replaces the oldest event by a new one."""
        n = self._size
        at = self._at = (self._at or n) - 1
        self.changes += 1
        if time_ms < self._oldest_ms:
            self._oldest_ms = time_ms
        items, kinds, values, times = self._views
        items[at] = items[at + n] = item_row
        kinds[at] = kinds[at + n] = kind_row
        values[at] = values[at + n] = value
        times[at] = times[at + n] = time_ms

    def push_many(self, kind_rows: I32, item_rows: I32, times_ms: I64, values: F32) -> None:
        """Pushes M events, each array (M,), oldest first; M is at most N."""
        rest = slice(self._at, self._at + self._size - len(times_ms))
        new_columns: tuple[npt.NDArray[np.generic], ...] = (item_rows, kind_rows, values, times_ms)
        for column, new in zip(self._columns, new_columns, strict=True):
            newest_first = new[::-1]
            full = newest_first if len(new) == self._size else np.concatenate([newest_first, column[rest]])
            column.reshape(2, self._size)[:] = full
        self._at = 0
        self._oldest_ms = int(self._time.min())
        self.changes += len(times_ms)

    @property
    def rows(self) -> tuple[I32, I32, F32]:
        """Item rows, kind rows and values, each (N,), newest first: views, with expired events among them."""
        part = slice(self._at, self._at + self._size)
        return self._item[part], self._kind[part], self._value[part]

    def fill(self, now_ms: int, item: I32, kind: I32, age_s: F32, value: F32) -> None:
        """Writes the events into the caller's arrays, each (N,); missing and expired events are all 0."""
        item[:], kind[:], value[:] = self.rows
        expired = self.fill_ages(now_ms, age_s)
        if expired is not None:
            for column in (item, kind, value):
                column[expired] = 0

    def fill_ages(self, now_ms: int, age_s: F32) -> Mask | None:
        """Writes the events' ages in seconds, (N,), as `fill` does.

        Returns:
            Which events have expired, (N,); None = none.
        """
        part = slice(self._at, self._at + self._size)
        np.subtract(now_ms, self._time[part], out=self._ages)
        np.maximum(self._ages, 0, out=self._ages)  # a clock that stepped back makes no negative ages
        np.divide(self._ages, 1000.0, out=self._seconds)
        age_s[:] = self._seconds
        if self._keep_ms is None or now_ms - self._oldest_ms <= self._shortest_ms:
            return None
        self._oldest_ms = int(self._time[part].min())
        expired: Mask = self._ages > self._keep_ms.take(self._kind[part])
        age_s[expired] = 0
        return expired if expired.any() else None

    def forget_expired(self, now_ms: int) -> bool:
        """Overwrites the events that `fill` would leave out now. Returns whether there were any."""
        if self._keep_ms is None:
            return False
        expired = now_ms - self._time > self._keep_ms.take(self._kind)
        if expired.any():
            for column, empty in zip(self._columns, (0, 0, 0, _NEVER), strict=True):
                column[expired] = empty
            self.token = object()
        return bool(expired.any())

    def copy(self) -> WindowCopy:
        """Returns the events as they are now."""
        return WindowCopy(self._block.copy(), self._at, self._size, self._keep_ms, self.changes, self.token)

    def dump(self) -> bytes:
        """Returns items, kinds, values and times, newest first; the length depends on N alone."""
        return b"".join(column[self._at : self._at + self._size].tobytes() for column in self._columns)

    def load(self, raw: bytes) -> int:
        """Restores what `dump` wrote; `raw` may be longer. Returns the number of bytes read.

        Raises:
            ValueError: too few bytes, a row below 0, a value that is no number, or a time that no event has.
        """
        at = self._at = 0
        for column in self._columns:
            part = np.frombuffer(raw, column.dtype, self._size, at)
            column.reshape(2, self._size)[:] = part
            at += part.nbytes
        is_time = (self._time >= 0) & (self._time <= TIME_MS_MAX) | (self._time == _NEVER)
        if not is_time.all() or self._item.min() < 0 or self._kind.min() < 0 or not np.isfinite(self._value).all():
            raise ValueError("not the events of a window")
        self._oldest_ms = int(self._time.min())
        self.token = object()
        return at


class WindowCopy:
    """The last N events as they were at one moment."""

    __slots__ = ("_at", "_block", "_keep_ms", "_size", "changes", "token")

    def __init__(
        self, block: npt.NDArray[np.uint8], at: int, size: int, keep_ms: I64 | None, changes: int, token: object
    ) -> None:
        """Use `Window.copy`. The copy is current while `changes` and `token` are those of the window."""
        self._block, self._at, self._size, self._keep_ms = block, at, size, keep_ms
        self.changes, self.token = changes, token

    def read(self, now_ms: int) -> tuple[I32, I32, F32, F32]:
        """Returns items, kinds, ages in seconds and values, each (N,), as `Window.fill` would have given them."""
        part = slice(self._at, self._at + self._size)
        times, items, kinds, values = _columns_of(self._block, self._size)
        item, kind, value = items[part].copy(), kinds[part].copy(), values[part].copy()
        ages_ms = np.maximum(now_ms - times[part], 0)
        age_s = (ages_ms / 1000.0).astype(np.float32)
        if self._keep_ms is not None:
            expired = ages_ms > self._keep_ms.take(kind)
            item[expired] = kind[expired] = 0
            age_s[expired] = value[expired] = 0
        return item, kind, age_s, value

    def erase(self) -> None:
        """Overwrites the events."""
        self._block.fill(0)


def _columns_of(block: npt.NDArray[np.uint8], size: int) -> tuple[I64, I32, I32, F32]:
    """Returns times, items, kinds and values, each (2N,), as views of one block."""
    times, rest = block[: 16 * size].view(np.int64), block[16 * size :].reshape(3, -1)
    return times, rest[0].view(np.int32), rest[1].view(np.int32), rest[2].view(np.float32)
