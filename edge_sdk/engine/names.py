"""The ids of the names that an app gives: of kinds, and of items."""

from __future__ import annotations

from typing import Final

from edge_sdk.bundle.bundle import Bundle
from edge_sdk.errors import UnknownKindError
from edge_sdk.limits import NAMES_CACHED
from edge_sdk.log.event_input import NO_ITEM, words_of_name
from edge_sdk.vocabulary import HIGH_AT

_NO_ITEM_ALONE: Final = {"": NO_ITEM}


class Names:
    """The names of one bundle's kinds, and the items that the app named lately.

    Attributes:
        kinds: id of each kind that an app may record, by name.
        words: the two words of each item's id, by name; always the same dictionary, so that `record` reads it directly.
        unknown: ids of items that the bundle lacks, at most `NAMES_CACHED`.
    """

    __slots__ = ("_layout", "kinds", "unknown", "words")

    def __init__(self, bundle: Bundle) -> None:
        """Knows the kinds, and no item."""
        self._layout, self.kinds = bundle.layout, bundle.kind_ids
        self.words: dict[str, tuple[int, int]] = dict(_NO_ITEM_ALONE)
        self.unknown: set[int] = set()

    def kind(self, name: str) -> int:
        """Returns the id of a kind.

        Raises:
            UnknownKindError: the scene has no such kind.
        """
        try:
            return self.kinds[name]
        except (KeyError, TypeError, ValueError):  # it is not there, or is no str
            raise UnknownKindError(name, tuple(self.kinds)) from None

    def item(self, name: str) -> tuple[int, int]:
        """Returns the words of an item's id; `record` has this look-up inline.

        Raises:
            InvalidValueError: the item is no valid name.
        """
        try:
            return self.words[name]
        except Exception:  # it is not there, or cannot be hashed
            return self.new_item(name)

    def new_item(self, name: str) -> tuple[int, int]:
        """Returns the words of an item's id, and keeps them.

        Raises:
            InvalidValueError: the item is no valid name.
        """
        words = low, high = words_of_name(name)
        if len(self.words) >= NAMES_CACHED:
            self.forget_items()  # rare, and cheaper than keeping an order of use
        self.words[name] = words
        number = low | high << HIGH_AT
        if len(self.unknown) < NAMES_CACHED and not (self._layout.items.row(number) or self._layout.offers.row(number)):
            self.unknown.add(number)
        return words

    def forget_items(self) -> None:
        """Forgets the names of items; `unknown` stays."""
        self.words.clear()
        self.words.update(_NO_ITEM_ALONE)
