"""Targeting: which candidates a rule applies to and whether its conditions match.

Also quiet hours and the budget check. Pure functions over arrays.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from edge_sdk.clock import LocalTime
from edge_sdk.memory.memory import Memory
from edge_sdk.policy.conditions import Conditions, OfferSelector
from edge_sdk.policy.rules import Policy, QuietHours
from edge_sdk.reasons import Reason
from edge_sdk.types import F64, I64, Mask
from edge_sdk.vocabulary import LOW_WORD

_DAY_S = 86_400


class Candidates(NamedTuple):
    """The columns of the candidates that rules read.

    A candidate row is an offer row or, of an offer that the bundle does not know, the row that stands for all such
    offers of its category (`memory.targets.candidate_categories`).
    """

    rows: I64  # (C,) candidate rows
    channels: I64 | None  # (C,) indices into `Policy.channels`; None = all in the app
    offers: I64  # (C,) offer rows; 0 = unknown
    unknown_ids: I64 | None  # (C,) item id of each offer that the bundle does not know, 0 = known; None = all are known

    def taken(self, indices: I64) -> Candidates:
        """Returns some of the candidates."""
        channels, ids = self.channels, self.unknown_ids
        return Candidates(
            self.rows[indices],
            None if channels is None else channels[indices],
            self.offers[indices],
            None if ids is None else ids[indices],
        )


def selected(selector: OfferSelector, candidates: Candidates) -> Mask:
    """Returns which candidates a selector selects, (C,)."""
    count = len(candidates.rows)
    mask = np.ones(count, np.bool_) if selector.offers is None else selector.offers[candidates.rows]
    if selector.unknown and candidates.unknown_ids is not None:
        ids, listed = candidates.unknown_ids, list(selector.unknown)
        mask = mask | np.isin(ids, listed) | np.isin(ids & LOW_WORD, listed)  # an old policy lists low words
    if selector.channels is not None:
        mask = mask & in_channels(selector.channels, candidates)
    return mask


def in_channels(channels: frozenset[int], candidates: Candidates) -> Mask:
    """Returns which candidates use one of these channels, (C,)."""
    of = np.zeros(len(candidates.rows), np.int64) if candidates.channels is None else candidates.channels
    return _table(channels)[of]


def match_targets(conditions: Conditions, memory: Memory, rows: I64, now_ms: int) -> Mask:
    """Returns whether the conditions on each candidate's own state are true, (C,)."""
    matches = np.ones(len(rows), np.bool_)
    for condition in conditions.of_target:
        matches &= _table(condition.allowed)[memory.machines.states(condition.machine, rows, now_ms)]
    return matches


def quiet_bits(policy: Policy, candidates: Candidates, now_ms: int, local: LocalTime) -> I64 | None:
    """Returns the reason bits (C,) of candidates in quiet hours; None = no candidate is."""
    bits: I64 | None = None
    offset_s = local.offset_at(now_ms)
    for rule in policy.quiet_hours:
        if is_quiet(rule, now_ms, offset_s):
            count = len(candidates.rows)
            mask = np.ones(count, np.bool_) if rule.channels is None else in_channels(rule.channels, candidates)
            found = np.where(mask, int(Reason.QUIET), 0)
            bits = found if bits is None else bits | found
    return bits


def is_quiet(rule: QuietHours, now_ms: int, utc_offset_s: int) -> bool:
    """Returns whether the local time of day is within the rule's hours."""
    minute = (now_ms // 1000 + utc_offset_s) % _DAY_S // 60
    if rule.from_minute <= rule.until_minute:
        return rule.from_minute <= minute < rule.until_minute
    return minute >= rule.from_minute or minute < rule.until_minute


def budget_bits(cost_units: F64, left: float) -> I64 | None:
    """Returns the reason bits (C,) of candidates that cost more units than are left; None = no candidate does."""
    is_over = cost_units > left
    return np.where(is_over, int(Reason.OVER_BUDGET), 0) if is_over.any() else None


@cache
def _table(allowed: frozenset[int]) -> Mask:
    """Returns whether each index is allowed; states and channels number at most 256."""
    table = np.zeros(256, np.bool_)
    table[list(allowed)] = True
    return table
