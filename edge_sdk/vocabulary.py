"""Names and their ids: an id is computed from the name alone, so ids in the event log outlive any bundle.

An item's id has 48 bits: a low word of 32, the name's crc32, and a high word of 16, from the name's SHA-256. A log of
version 1 and a bundle up to format 4 have the low word alone; their high word is 0, "not known". In Python an id is one
int, `low | high << 32`.
"""

from __future__ import annotations

import zlib
from bisect import bisect_left
from functools import cached_property
from typing import Final

import numpy as np

from edge_sdk._sha256 import sha256
from edge_sdk.types import I64, U16, U32

LOW_WORD: Final = 0xFFFFFFFF
HIGH_BITS: Final = 16
HIGH_AT: Final = 32  # bits of the low word


def item_words(name: str) -> tuple[int, int]:
    """Returns the low and the high word of an item's id.

    The low word is the crc32 of the name's UTF-8 bytes, the high word the first two bytes of their SHA-256, both
    little-endian. Each is 1 instead of 0: low word 0 means "about no item", high word 0 "not known".
    """
    raw = name.encode()
    return zlib.crc32(raw) or 1, int.from_bytes(sha256(raw).digest()[:2], "little") or 1


def item_id(name: str) -> int:
    """Returns the id of an item, `low | high << 32` of its words."""
    low, high = item_words(name)
    return low | high << HIGH_AT


def category_id(name: str) -> int:
    """Returns the id of a category: crc32 of its UTF-8 bytes, 1 instead of 0 (0 means "every other category")."""
    return zlib.crc32(name.encode()) or 1


def name_id(name: str) -> int:
    """Returns the id of a machine or of one of its states: crc32 of its UTF-8 bytes."""
    return zlib.crc32(name.encode())


def kind_id(name: str) -> int:
    """Returns the id of a kind: the low 16 bits of its crc32. Packing refuses a scene whose kinds collide."""
    return zlib.crc32(name.encode()) & 0xFFFF


def joined_words(low: U32, high: U16) -> I64:
    """Returns the item ids (E,) of these words."""
    return low.astype(np.int64) | high.astype(np.int64) << HIGH_AT


def sort_keys(ids: I64) -> I64:
    """Returns what item ids (E,) are sorted by: the low word first. Like an id, a key has 48 bits."""
    return (ids & LOW_WORD) << HIGH_BITS | ids >> HIGH_AT


def words_of(ids: I64) -> tuple[U32, U16]:
    """Returns the low and the high words (E,) of item ids."""
    return (ids & LOW_WORD).astype(np.uint32), (ids >> HIGH_AT).astype(np.uint16)


class Vocabulary:
    """Item ids with a table row each: row r (from 1) is the r-th id; row 0 is "unknown".

    Rows ascend by the low word, then by the high word, so a lookup is a binary search and needs no table in memory. All
    high words are known, or none is. Where one of two ids does not know its high word, their low words decide; if
    several rows have the low word, such an id means the first of them.

    Attributes:
        lows: the low word of each id, (R,).
        highs: the high word of each id, (R,); None = not known, as in bundles up to format 4.
        row_category: the category row of each row, (R + 1,).
    """

    def __init__(self, lows: U32, joined_names: bytes, categories: U16, highs: U16 | None = None) -> None:
        """`joined_names` has a line for each id; `categories` is the category row of each id, (R,)."""
        self.lows, self.highs = lows, highs
        self._lows = lows.data  # element access 3× faster than through numpy
        self._highs = None if highs is None else highs.data
        self._joined_names = joined_names
        self.row_category = np.concatenate([np.zeros(1, np.int64), categories.astype(np.int64)])

    def __len__(self) -> int:
        """The number of rows without row 0."""
        return len(self.lows)

    @cached_property
    def ids(self) -> I64:
        """The ids, (R,), row 1 first. Made when first needed: opening a bundle does not need them."""
        return self.lows.astype(np.int64) if self.highs is None else joined_words(self.lows, self.highs)

    def row(self, identifier: int) -> int:
        """Returns the row of an id; 0 = the id is unknown."""
        lows, highs = self._lows, self._highs
        low, high = identifier & LOW_WORD, identifier >> HIGH_AT
        at = bisect_left(lows, low)
        if high and highs is not None:
            while at < len(lows) and lows[at] == low and highs[at] != high:
                at += 1
        return at + 1 if at < len(lows) and lows[at] == low else 0

    def rows(self, ids: I64) -> I64:
        """Returns the row of each id (E,), as `row` does."""
        keys, wanted = sort_keys(self.ids), sort_keys(ids if self.highs is not None else ids & LOW_WORD)
        if not len(keys):
            return np.zeros(len(ids), np.int64)
        at = np.searchsorted(keys, wanted).astype(np.int64)
        found = keys.take(at, mode="clip")
        return np.where((found == wanted) | (found >> HIGH_BITS << HIGH_BITS == wanted), at + 1, 0)

    def has_ids_of(self, other: Vocabulary) -> bool:
        """Whether both have the same ids, as far as the high words are known."""
        has_same_highs = self.highs is None or other.highs is None or np.array_equal(self.highs, other.highs)
        return has_same_highs and np.array_equal(self.lows, other.lows)

    def names(self) -> list[str]:
        """Returns all names, row 1 first. Splits a string: for explanations and tools, not for ranking."""
        return self._joined_names.decode().split("\n") if self._joined_names else []
