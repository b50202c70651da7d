"""Names and their ids: an id is computed from the name's crc32, so ids in the event log outlive any bundle."""

from __future__ import annotations

import zlib
from bisect import bisect_left

import numpy as np

from edge_sdk.types import U16, U32


def item_id(name: str) -> int:
    """Returns the id of an item: crc32 of its UTF-8 bytes, 1 instead of 0 (0 means "about no item")."""
    return zlib.crc32(name.encode()) or 1


def category_id(name: str) -> int:
    """Returns the id of a category: crc32 of its UTF-8 bytes."""
    return zlib.crc32(name.encode())


def name_id(name: str) -> int:
    """Returns the id of a machine or of one of its states: crc32 of its UTF-8 bytes."""
    return zlib.crc32(name.encode())


def kind_id(name: str) -> int:
    """Returns the id of a kind: the low 16 bits of its crc32. Packing refuses a scene whose kinds collide."""
    return zlib.crc32(name.encode()) & 0xFFFF


class Vocabulary:
    """Ids with a table row each: row r (from 1) is ids[r - 1]; row 0 is "unknown".

    Rows ascend by id, so a lookup is a binary search and needs no table in memory.
    """

    def __init__(self, ids: U32, joined_names: bytes, categories: U16) -> None:
        """`ids` ascend; `joined_names` has a line each; `categories` is the category row of each id, (len(ids),)."""
        self.ids = ids
        self._search = ids.data  # element access 3× faster than through numpy
        self._joined_names = joined_names
        self.row_category = np.concatenate([np.zeros(1, np.int64), categories.astype(np.int64)])

    def __len__(self) -> int:
        """The number of rows without row 0."""
        return len(self.ids)

    def row(self, identifier: int) -> int:
        """Returns the row of an id; 0 = the id is unknown."""
        at = bisect_left(self._search, identifier)
        return at + 1 if at < len(self._search) and self._search[at] == identifier else 0

    def names(self) -> list[str]:
        """Returns all names, row 1 first. Splits a string: for explanations and tools, not for ranking."""
        return self._joined_names.decode().split("\n") if self._joined_names else []
