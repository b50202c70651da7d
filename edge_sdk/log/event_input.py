"""Checks what an app passes to be recorded: names, numbers, times, and whole columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from edge_sdk.errors import InvalidValueError
from edge_sdk.limits import RECORD_MANY_MAX, TIME_MS_MAX, UTC_OFFSET_S_MAX
from edge_sdk.log.record import RECORD, Records
from edge_sdk.types import F32, I64, U16, as_names, whole_number
from edge_sdk.vocabulary import HIGH_AT, item_words, words_of

NO_ITEM: Final = (0, 0)  # the words of the id of no item
FLOAT32_MAX: Final = float(np.finfo(np.float32).max)


class EventColumns(NamedTuple):
    """Many events, oldest first, dictionary-encoded: codes into lists of ids."""

    times_ms: I64  # (E,)
    kinds: npt.NDArray[np.integer]  # (E,) indices into `kind_ids`
    kind_ids: tuple[int, ...]
    items: npt.NDArray[np.integer]  # (E,) indices into `item_ids`
    item_ids: tuple[int, ...]
    values: F32  # (E,)
    decisions: npt.NDArray[np.uint32]  # (E,)
    local: U16  # (E,) that field of their records

    def newest(self, count: int) -> Records:
        """Returns the last `count` events as records, without sequence numbers."""
        part = slice(max(0, len(self.times_ms) - count), None)
        records = np.zeros(len(self.times_ms[part]), RECORD)
        records["time_s"], records["time_ms"] = np.divmod(self.times_ms[part], 1000)
        records["kind"] = np.array(self.kind_ids, np.uint16)[self.kinds[part]]
        low, high = words_of(np.array(self.item_ids, np.int64))
        records["item"], records["item_high"] = low[self.items[part]], high[self.items[part]]
        records["value"], records["decision"] = self.values[part], self.decisions[part]
        records["local"] = self.local[part]
        return records


def as_float32(value: object) -> float:
    """Returns a number of any type as a float within float32.

    Raises:
        InvalidValueError: the value is no finite float32.
    """
    if not isinstance(value, str | bytes | bytearray):  # float("12") accepts text
        try:
            number = float(value)  # type: ignore[arg-type]
            if -FLOAT32_MAX <= number <= FLOAT32_MAX:
                return number
        except (TypeError, ValueError, ArithmeticError):
            pass
    raise InvalidValueError("value", value)


def as_whole(field: str, given: object) -> int:
    """Returns a whole number of any type as an int.

    Raises:
        InvalidValueError: it is none, or True or False.
    """
    number = whole_number(given)
    if number is None:
        raise InvalidValueError(field, given)
    return number


def as_seconds(field: str, given: object) -> float:
    """Returns seconds of any type of number as a float.

    Raises:
        InvalidValueError: they are no finite number, or less than 0.
    """
    try:
        seconds = as_float32(given)
    except InvalidValueError:
        seconds = -1.0
    if seconds < 0 or isinstance(given, bool):
        raise InvalidValueError(field, given)
    return seconds


def decision_id(given: object) -> int:
    """Returns the id of a decision; 0 = none.

    Raises:
        InvalidValueError: it is no whole number of 32 bits.
    """
    number = whole_number(given)
    if number is None or not 0 <= number <= 0xFFFFFFFF:
        raise InvalidValueError("decision", given)
    return number


def within_range(time_ms: float) -> int:
    """Returns whole milliseconds, clipped to the range of the log's format."""
    return int(min(max(0, time_ms), TIME_MS_MAX))  # in this order NaN becomes 0, and infinity the maximum


def id_of(item: str) -> int:
    """Returns the id of an item's name; 0 for "".

    Raises:
        InvalidValueError: the item is no valid name.
    """
    low, high = words_of_name(item)
    return low | high << HIGH_AT


def words_of_name(item: str) -> tuple[int, int]:
    """Returns the low and the high word of the id of an item's name; 0 and 0 for "".

    Raises:
        InvalidValueError: the item is no valid name.
    """
    try:
        return item_words(item) if as_name("item", item) else NO_ITEM
    except UnicodeEncodeError:  # half a surrogate pair
        raise InvalidValueError("item", item) from None


def listed(field: str, names: Iterable[str]) -> tuple[str, ...]:
    """Returns the names.

    Raises:
        InvalidValueError: the argument is one name instead of a list, or no list.
    """
    try:
        return as_names(field, names)
    except TypeError:
        raise InvalidValueError(field, names) from None


def as_name(field: str, given: object) -> str:
    """Returns a name. What compares or hashes in a way of its own, such as an array, is none.

    Raises:
        InvalidValueError: it is no str.
    """
    if not isinstance(given, str):
        raise InvalidValueError(field, given)
    return str.__str__(given)  # a class of the app's may compare in a way of its own, too


def checked_columns(
    times_ms: npt.ArrayLike,
    kinds: npt.ArrayLike,
    kind_ids: Sequence[int],
    items: npt.ArrayLike | None,
    item_ids: Sequence[int],
    values: npt.ArrayLike | None,
    decisions: npt.ArrayLike | None,
) -> EventColumns:
    """Returns the columns of `Engine.record_many` as arrays, with each value checked.

    Raises:
        InvalidValueError: a column has another length or type, or a value is out of range; the error names the first.
    """
    times = _integers("times_ms", times_ms, TIME_MS_MAX + 1)
    count = len(times)
    if count > RECORD_MANY_MAX:
        raise InvalidValueError("times_ms", f"{count} events")
    if items is None:
        items, item_ids = np.zeros(count, np.uint8), (0,)
    return EventColumns(
        times_ms=times.astype(np.int64, copy=False),
        kinds=_integers("kinds", kinds, len(kind_ids), count),
        kind_ids=tuple(kind_ids),
        items=_integers("items", items, len(item_ids), count),
        item_ids=tuple(item_ids),
        values=np.zeros(count, np.float32) if values is None else _floats(values, count),
        decisions=(
            np.zeros(count, np.uint32)
            if decisions is None
            else _integers("decisions", decisions, 1 << 32, count).astype(np.uint32, copy=False)
        ),
        local=np.zeros(count, np.uint16),
    )


def checked_offsets(given: npt.ArrayLike, count: int) -> I64:
    """Returns UTC offsets in seconds (E,), one for each event.

    Raises:
        InvalidValueError: the column has another length or type, or an offset is out of range.
    """
    column = _column("utc_offsets_s", given, count)
    if len(column) and column.dtype.kind not in "iu":
        raise InvalidValueError("utc_offsets_s", column.dtype.name)
    for extreme in (int(column.min(initial=0)), int(column.max(initial=0))):
        if abs(extreme) > UTC_OFFSET_S_MAX:
            raise InvalidValueError("utc_offsets_s", extreme)
    return column.astype(np.int64)


def _integers(field: str, given: npt.ArrayLike, bound: int, count: int | None = None) -> npt.NDArray[np.integer]:
    """Returns a column of whole numbers, each at least 0 and less than `bound`."""
    column: npt.NDArray[Any] = _column(field, given, count)
    if not len(column):
        return np.zeros(0, np.int64)
    if column.dtype.kind not in "iu":
        raise InvalidValueError(field, column.dtype.name)
    for extreme in (int(column.min()), int(column.max())):
        if not 0 <= extreme < bound:
            raise InvalidValueError(field, extreme)
    return column


def _floats(given: npt.ArrayLike, count: int) -> F32:
    column = _column("values", given, count)
    if column.dtype.kind not in "fiu":
        raise InvalidValueError("values", column.dtype.name)
    with np.errstate(over="ignore"):
        floats = column.astype(np.float32, copy=False)
    finite = np.isfinite(floats)
    if not finite.all():
        raise InvalidValueError("values", column[int(np.argmin(finite))])
    return floats


def _column(field: str, given: npt.ArrayLike, count: int | None) -> npt.NDArray[Any]:
    try:
        column = np.asarray(given)
    except ValueError:  # ragged rows
        raise InvalidValueError(field, given) from None
    if column.ndim != 1 or (count is not None and len(column) != count):
        raise InvalidValueError(field, f"shape {column.shape}")
    return column
