"""The field `local` of an event's record: the UTC offset where the event happened, and whether it was back-filled."""

from __future__ import annotations

from typing import Final

import numpy as np

from edge_sdk.log.record import BACK_FILLED, OFFSET_BASE, OFFSET_BITS
from edge_sdk.types import I64, U16, Integers

NOT_KNOWN: Final = 0  # the offset; counted as of UTC


def local_field(offset_s: int, *, is_back_filled: bool = False) -> int:
    """Returns the field for an offset in seconds, of which the record holds whole minutes, rounded down."""
    return offset_s // 60 + OFFSET_BASE | (BACK_FILLED if is_back_filled else 0)


def local_fields(offsets_s: Integers) -> U16:
    """Returns the fields of back-filled events with these offsets, (E,)."""
    return (offsets_s.astype(np.int64) // 60 + OFFSET_BASE | BACK_FILLED).astype(np.uint16)


def offset_s_of(local: int) -> int:
    """Returns the offset in seconds; 0 where it is not known."""
    minutes = local & OFFSET_BITS
    return (minutes - OFFSET_BASE) * 60 if minutes else 0


def offsets_s_of(local: U16) -> I64:
    """Returns the offsets in seconds, (E,)."""
    minutes = (local & OFFSET_BITS).astype(np.int64)
    return np.where(minutes, (minutes - OFFSET_BASE) * 60, 0)


def is_stamped_by_clock(local: int) -> bool:
    """Returns whether the engine's clock stamped the event when it was recorded; not known = no.

    The events of a log of version 1 and those of a cloud's log do not say.
    """
    return 0 < local < BACK_FILLED
