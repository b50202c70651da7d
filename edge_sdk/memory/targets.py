"""What rules count for or have a state for: rows of targets, where row 0 stands for none."""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class Scope(IntEnum):
    """What a cap counts for, or a machine has a state for."""

    OFFER = 0
    CATEGORY = 1
    USER = 2


USER_ROW: Final = 1  # the one row of a rule per user


def target_rows(per: Scope, offer_rows: int, category_rows: int) -> int:
    """How many rows the targets of a rule have, row 0 among them; so do the offers' and the categories' numbers."""
    return {Scope.OFFER: offer_rows, Scope.CATEGORY: category_rows, Scope.USER: USER_ROW + 1}[per]
