"""Targets of rules: offers, categories or the user, as rows; row 0 is no target."""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class Scope(IntEnum):
    """The targets of a rule: a cap counts for each, a machine has a state for each."""

    OFFER = 0
    CATEGORY = 1
    USER = 2


USER_ROW: Final = 1  # the one row of a rule per user


def target_rows(per: Scope, offer_rows: int, category_rows: int) -> int:
    """Returns the number of rows of a rule's targets; this and both arguments count row 0."""
    return {Scope.OFFER: offer_rows, Scope.CATEGORY: category_rows, Scope.USER: USER_ROW + 1}[per]
