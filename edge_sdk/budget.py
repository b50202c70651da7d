"""What the device has spent in the running period: the values of shown events add up."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BudgetRule:
    """What counts as spending."""

    kinds: frozenset[int]  # kind ids of shown events; their value is the cost
    period_s: int  # periods begin at whole multiples since 1970-01-01 UTC
