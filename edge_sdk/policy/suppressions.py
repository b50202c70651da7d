"""Why a candidate does not stand: every rule that holds it, and until when. Pure; for explanations, not for ranking.

A time is given where time alone ends the rule's hold, if nothing else happens until then. Where an event must come
first, or the app must pass something else, there is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from edge_sdk.clock import NEVER_MS
from edge_sdk.memory.memory import Memory
from edge_sdk.policy.conditions import ContextCondition, OfferSelector, StateCondition, TargetingContext
from edge_sdk.policy.rules import DropRule, Policy, QuietHours
from edge_sdk.policy.targeting import Candidates, is_quiet, selected
from edge_sdk.reasons import Reason
from edge_sdk.types import F32, I64

_DAY_MS: Final = 86_400_000
_REASONS: Final = tuple((int(reason), reason) for reason in Reason)  # enum arithmetic costs 1 µs a step
_DATES: Final = int(Reason.NOT_YET_VALID | Reason.EXPIRED)
_QUIET: Final = int(Reason.QUIET)
_CHANGES_MAX: Final = 8  # of machines, that are followed into the future


@dataclass(frozen=True, slots=True)
class Suppression:
    """A rule that keeps an offer from standing."""

    reason: Reason  # one bit
    rule: str  # its name; "" = it has none
    until_ms: int | None  # milliseconds since 1970; None = time alone does not end it


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """What the rules looked at in a decision."""

    policy: Policy
    memory: Memory  # as it was
    candidates: Candidates
    situation: TargetingContext
    given: tuple[int, ...]  # value index of each context field as the app gave it; -1 = not given
    machine_fields: tuple[tuple[int, int, tuple[int, ...]], ...]  # machine, field that it gives, value of each state
    now_ms: int
    utc_offset_s: int
    costs: F32  # (C,) of showing each once


class Suppressions:
    """Every suppression of every dropped candidate of a decision; made at once, because memory goes on."""

    def __init__(self, by_candidate: Mapping[int, tuple[Suppression, ...]]) -> None:
        """Use `found`."""
        self._by_candidate = by_candidate

    @classmethod
    def found(cls, held: Held, bits: I64 | None) -> Suppressions:
        """Look at each rule.

        Args:
            held: what the rules looked at.
            bits: (C,) the decision's word on each candidate, 0 = it stands; None = all stand. The rules looked at here
                only name and date it; a bit that none of them explains was set by a step after the scores.
        """
        if bits is None:
            return cls({})
        out = np.flatnonzero(bits)
        words, indices = bits[out], out.tolist()
        found: list[list[Suppression]] = [[] for _ in indices]
        missing = words.tolist()
        channels = held.candidates.channels
        some = Candidates(held.candidates.rows[out], None if channels is None else channels[out])
        for bit, suppression, places in _findings(held, some, words):
            for at in places:
                found[at].append(suppression)
                missing[at] &= ~bit
        for at, left in enumerate(missing):
            if left:
                found[at] += [_later_step(reason, held, indices[at]) for bit, reason in _REASONS if left & bit]
        return cls({index: tuple(suppressions) for index, suppressions in zip(indices, found, strict=True)})

    def of(self, index: int) -> tuple[Suppression, ...]:
        """Of one candidate, in the order of the steps."""
        return self._by_candidate.get(index, ())

    def first_free_ms(self) -> int | None:
        """The first moment at which time alone lets one of the candidates stand; None = it never does."""
        moments = [
            max(suppression.until_ms or NEVER_MS for suppression in found)
            for found in self._by_candidate.values()
            if found
        ]
        first = min(moments, default=NEVER_MS)
        return None if first >= NEVER_MS else first


_Finding = tuple[int, Suppression, list[int]]  # its bit, and the places of the candidates among those asked about


def _findings(held: Held, candidates: Candidates, words: I64) -> Iterator[_Finding]:
    """What the rules say whose reason is among the candidates' words, (C,)."""
    policy, memory, now_ms = held.policy, held.memory, held.now_ms
    said = int(np.bitwise_or.reduce(words))
    if said & _DATES:
        yield from _dates(policy, candidates, now_ms)
    for drop in policy.drops:
        bit = int(drop.reason)
        if said & bit:
            yield from _drops(drop, bit, held, candidates, words)
    for index, cap in enumerate(memory.caps.rules):
        reason = cap.reason
        bit = int(reason)
        if said & bit:
            ends = memory.caps.held_until(index, candidates.rows, candidates.channels, now_ms).tolist()
            for at, end_ms in enumerate(ends):
                if end_ms:
                    yield bit, Suppression(reason, cap.name, end_ms if end_ms < NEVER_MS else None), [at]
    for quiet in policy.quiet_hours if said & _QUIET else ():
        if is_quiet(quiet, now_ms, held.utc_offset_s):
            suppression = Suppression(Reason.QUIET, quiet.name, quiet_until_ms(quiet, now_ms, held.utc_offset_s))
            yield (
                _QUIET,
                suppression,
                np.flatnonzero(selected(OfferSelector(None, quiet.channels), candidates)).tolist(),
            )


def _dates(policy: Policy, candidates: Candidates, now_ms: int) -> Iterator[_Finding]:
    starts, ends = policy.valid_from_ms[candidates.rows], policy.valid_until_ms[candidates.rows]
    for at in np.flatnonzero(starts > now_ms).tolist():
        yield int(Reason.NOT_YET_VALID), Suppression(Reason.NOT_YET_VALID, "", int(starts[at])), [at]
    over = np.flatnonzero((ends > 0) & (ends <= now_ms)).tolist()
    if over:
        yield int(Reason.EXPIRED), Suppression(Reason.EXPIRED, "", None), over


def quiet_until_ms(quiet: QuietHours, now_ms: int, utc_offset_s: int) -> int:
    """When quiet hours that hold now end, milliseconds since 1970."""
    into_day_ms = (now_ms + utc_offset_s * 1000) % _DAY_MS
    return now_ms + (quiet.until_minute * 60_000 - into_day_ms) % _DAY_MS


def _later_step(reason: Reason, held: Held, index: int) -> Suppression:
    """Budget, null option, room on the list."""
    until_ms, policy, budget = None, held.policy, held.policy.budget
    if reason is Reason.OVER_BUDGET and budget is not None:
        period_ms = budget.period_s * 1000
        if held.costs[index] <= budget.amount:  # else no period has enough
            until_ms = (held.now_ms // period_ms + 1) * period_ms
    elif reason is Reason.BELOW_MINIMUM and policy.retry_after_s:
        until_ms = held.now_ms + policy.retry_after_s * 1000
    return Suppression(reason, "", until_ms)


# ---- conditions, now and later ----


def _drops(rule: DropRule, bit: int, held: Held, candidates: Candidates, words: I64) -> Iterator[_Finding]:
    about = np.flatnonzero(selected(rule.selection, candidates) & ((words & bit) > 0)).tolist()
    if not rule.when.of_target:  # what looks at the user alone is the same for all
        drops, until_ms = _Watch(rule, held, 0).answer() if about else (False, None)
        if drops:
            yield bit, Suppression(rule.reason, rule.name, until_ms), about
        return
    for at in about:
        drops, until_ms = _Watch(rule, held, int(candidates.rows[at])).answer()
        if drops:
            yield bit, Suppression(rule.reason, rule.name, until_ms), [at]


class _Watch:
    """The conditions of one rule for one offer: which of them time can change, and what it makes of them."""

    def __init__(self, rule: DropRule, held: Held, row: int) -> None:
        self._drops_when, self._machines, self._now_ms = rule.drops_when, held.memory.machines, held.now_ms
        self._row = row
        self._of_target = rule.when.of_target
        self._of_user: list[StateCondition] = []
        self._rest_holds = True  # of the conditions that time does not change
        by_field = {field: (machine, values) for machine, field, values in held.machine_fields if held.given[field] < 0}
        for condition in rule.when.of_user:
            if isinstance(condition, StateCondition):
                self._of_user.append(condition)
            elif isinstance(condition, ContextCondition) and condition.field in by_field:
                machine, values = by_field[condition.field]
                allowed = frozenset(state for state, value in enumerate(values) if value in condition.allowed)
                self._of_user.append(StateCondition(machine, allowed))
            else:
                self._rest_holds &= condition.holds(held.situation)

    def answer(self) -> tuple[bool, int | None]:
        """Whether the rule drops the offer, and when time alone makes it let go."""
        at_ms = self._now_ms
        if not self._drops(at_ms):
            return False, None
        for _ in range(_CHANGES_MAX):
            at_ms = self._changes_at(at_ms)
            if at_ms >= NEVER_MS:
                break
            if not self._drops(at_ms):
                return True, at_ms
        return True, None

    def _drops(self, at_ms: int) -> bool:
        machines, row = self._machines, self._row
        holds = (
            self._rest_holds
            and all(machines.state(c.machine, at_ms) in c.allowed for c in self._of_user)
            and all(machines.state_of(c.machine, row, at_ms) in c.allowed for c in self._of_target)
        )
        return holds is self._drops_when

    def _changes_at(self, at_ms: int) -> int:
        machines, row = self._machines, self._row
        of_user = [machines.user_changes_at(condition.machine, at_ms) for condition in self._of_user]
        of_target = [machines.changes_of(condition.machine, row, at_ms) for condition in self._of_target]
        return min([*of_user, *of_target], default=NEVER_MS)
