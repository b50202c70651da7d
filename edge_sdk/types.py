"""Array types, records, orders of candidates, and lists of names."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import NoReturn, dataclass_transform

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]
U16 = npt.NDArray[np.uint16]
U32 = npt.NDArray[np.uint32]
Integers = npt.NDArray[np.integer]  # of any width, signed or not
Mask = npt.NDArray[np.bool_]


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Record:
    """A frozen record of the annotated fields, built by keyword.

    For records that are made once an opening: a named tuple's class takes 100 µs of the import, this one's 5.
    """

    def __init__(self, **fields: object) -> None:
        """Sets the fields.

        Raises:
            TypeError: a field is missing or unknown.
        """
        if fields.keys() != self.__annotations__.keys():
            raise TypeError(f"{type(self).__name__} has the fields {', '.join(self.__annotations__)}")
        self.__dict__.update(fields)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__}.{name} is frozen")


def by_score(scores: F32) -> I64:
    """Returns candidate indices by descending score; the lower index first among equal scores."""
    order: I64 = (-scores).argsort(kind="stable")
    return order


def places(order: I64) -> I64:
    """Returns the place (0 = first) of each candidate in an order that holds all of them."""
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return place


def as_names(field: str, names: Iterable[str]) -> tuple[str, ...]:
    """Returns a list of names as a tuple. A string is refused, because it would count as a list of its letters.

    Raises:
        TypeError: `names` is one string, or bytes, or no list at all.
    """
    if isinstance(names, str | bytes | bytearray | memoryview):
        raise TypeError(f"{field} is one string; pass a list of names: {field}=[{names!r}]")
    try:
        return tuple(names)
    except TypeError:
        raise TypeError(f"{field} is {names!r}; pass a list of names") from None


def whole_number(given: object) -> int | None:
    """Returns a whole number of any type, such as numpy's, as an int; None if it is none. True and False are none."""
    if isinstance(given, bool | np.bool_):
        return None
    try:
        return operator.index(given)  # type: ignore[arg-type]
    except Exception:  # the type is the app's
        return None
