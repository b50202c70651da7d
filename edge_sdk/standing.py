"""Who may stand: dates, eligibility, blocks, caps, cooldowns, quiet hours, budget. Each rule leaves its reason bit.

Pure over the memory and a base decision made ready. What depends on the user alone holds for a while and is kept with
the base decision (`Kept`); what depends on each offer's own state or count is looked at every time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from edge_sdk.memory import Memory
from edge_sdk.policy import Policy, QuietHours, Selection, Situation, When
from edge_sdk.reasons import Reason
from edge_sdk.types import F32, I64, NEVER_MS, Mask

_DAY_S = 86_400


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """What rules look at of each candidate."""

    rows: I64  # (C,) offer rows; 0 = unknown
    channels: I64 | None  # (C,) indices into `Policy.channels`; None = all in the app


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """What dates and the rules about the user say of some candidates, from one bound of a date to the next."""

    bits: I64 | None  # (C,) reason bits, 0 = may stand; None = all may
    from_ms: int
    until_ms: int  # exclusive


def selected(selection: Selection, candidates: Candidates) -> Mask:
    """Which candidates a rule is about, (C,)."""
    count = len(candidates.rows)
    mask = np.ones(count, np.bool_) if selection.offers is None else selection.offers[candidates.rows]
    if selection.channels is not None:
        mask = mask & in_channels(selection.channels, candidates)
    return mask


def in_channels(channels: frozenset[int], candidates: Candidates) -> Mask:
    """Which candidates are of one of these channels, (C,)."""
    of = np.zeros(len(candidates.rows), np.int64) if candidates.channels is None else candidates.channels
    return _table(channels)[of]


def holds_for_targets(when: When, memory: Memory, rows: I64, now_ms: int) -> Mask:
    """Whether the conditions on each candidate's own state hold, (C,)."""
    holds = np.ones(len(rows), np.bool_)
    for condition in when.of_target:
        holds &= _table(condition.allowed)[memory.machines.states(condition.machine, rows, now_ms)]
    return holds


def kept_standing(policy: Policy, candidates: Candidates, masks: list[Mask], situation: Situation, now_ms: int) -> Kept:
    """Dates, and the rules whose conditions look at the user alone.

    Args:
        policy: the rules.
        candidates: C of them.
        masks: `selected` of each of the policy's drop rules.
        situation: of the user.
        now_ms: the clock.
    """
    start, end = policy.valid_from_ms[candidates.rows], policy.valid_until_ms[candidates.rows]
    bits = np.where(start > now_ms, int(Reason.NOT_YET_VALID), 0)
    bits |= np.where((end > 0) & (end <= now_ms), int(Reason.EXPIRED), 0)
    for rule, mask in zip(policy.drops, masks, strict=True):
        holds = rule.when.holds_for_user(situation)
        if (holds and rule.drops_when and not rule.when.of_target) or (not holds and not rule.drops_when):
            bits |= np.where(mask, int(rule.reason), 0)
    bounds = np.concatenate([start, end])
    return Kept(
        bits=bits if bits.any() else None,
        from_ms=int(bounds[bounds <= now_ms].max(initial=0)),
        until_ms=int(bounds[bounds > now_ms].min(initial=NEVER_MS)),
    )


def state_bits(
    policy: Policy, rows: I64, masks: list[Mask], memory: Memory, situation: Situation, now_ms: int
) -> I64 | None:
    """The rules whose conditions look at each candidate's own state; None = they let all stand."""
    bits: I64 | None = None
    for rule, mask in zip(policy.drops, masks, strict=True):
        if rule.when.of_target and rule.when.holds_for_user(situation):
            holds = holds_for_targets(rule.when, memory, rows, now_ms)
            found = np.where(mask & (holds if rule.drops_when else ~holds), int(rule.reason), 0)
            bits = found if bits is None else bits | found
    return bits


def quiet_bits(policy: Policy, candidates: Candidates, now_ms: int, utc_offset_s: int) -> I64 | None:
    """Quiet hours; None = all may stand."""
    bits: I64 | None = None
    for rule in policy.quiet_hours:
        if is_quiet(rule, now_ms, utc_offset_s):
            count = len(candidates.rows)
            mask = np.ones(count, np.bool_) if rule.channels is None else in_channels(rule.channels, candidates)
            found = np.where(mask, int(Reason.QUIET), 0)
            bits = found if bits is None else bits | found
    return bits


def is_quiet(rule: QuietHours, now_ms: int, utc_offset_s: int) -> bool:
    """Whether the local time of day is within the hours."""
    minute = (now_ms // 1000 + utc_offset_s) % _DAY_S // 60
    if rule.from_minute <= rule.until_minute:
        return rule.from_minute <= minute < rule.until_minute
    return minute >= rule.from_minute or minute < rule.until_minute


def budget_bits(costs: F32, left: float) -> I64 | None:
    """Who costs more than is left to spend; None = nobody."""
    is_over = costs > left
    return np.where(is_over, int(Reason.OVER_BUDGET), 0) if is_over.any() else None


@cache
def _table(allowed: frozenset[int]) -> Mask:
    """Whether each index is among the allowed ones; states and channels number at most 256."""
    table = np.zeros(256, np.bool_)
    table[list(allowed)] = True
    return table
