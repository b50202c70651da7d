"""Targets of rules: offers, categories or the user, as rows.

Offers that the bundle does not know count as one, row 0 of the offers: what is counted of all of them is never below
what is counted of one. Row 0 of the categories is no target.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import numpy as np

from edge_sdk.types import I64


class Scope(IntEnum):
    """The targets of a rule: a cap counts for each, a machine has a state for each."""

    OFFER = 0
    CATEGORY = 1
    USER = 2


USER_ROW: Final = 1  # the one row of a rule per user
NO_TARGET: Final = -1


def target_rows(per: Scope, offer_rows: int, category_rows: int) -> int:
    """Returns the number of rows of a rule's targets; this and both arguments count row 0."""
    return {Scope.OFFER: offer_rows, Scope.CATEGORY: category_rows, Scope.USER: USER_ROW + 1}[per]


def candidate_categories(offer_categories: I64, category_rows: int) -> I64:
    """Returns the category row of each candidate row, (offers + categories + 1,).

    Candidate rows are the offer rows and behind them a row for each category: an offer of that category that the bundle
    does not know. Row 0 is such an offer of no known category.
    """
    return np.concatenate([offer_categories, np.arange(1, category_rows)])


def candidate_targets(per: Scope, offer_categories: I64, category_rows: int) -> I64:
    """Returns the target of each candidate row under a rule, (offers + categories + 1,).

    Args:
        per: of the rule.
        offer_categories: category row of each offer row, (offers + 1,).
        category_rows: with row 0.
    """
    if per == Scope.CATEGORY:
        return candidate_categories(offer_categories, category_rows)
    targets = np.zeros(len(offer_categories) + category_rows - 1, np.int64)
    if per == Scope.OFFER:
        targets[: len(offer_categories)] = np.arange(len(offer_categories))
    else:
        targets[:] = USER_ROW
    return targets
