"""Suppressions: every rule that suppresses a candidate, and until when. For explanations, not for ranking. Pure.

A suppression has an end where time alone ends it, if nothing else happens until then. It has none where an event must
happen first, or where the app must pass another value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from edge_sdk.clock import NEVER_MS, LocalTime
from edge_sdk.memory.spending import units
from edge_sdk.policy.compiled import CompiledPolicy
from edge_sdk.policy.conditions import ContextCondition, MachineField, OfferSelector, StateCondition, TargetingContext
from edge_sdk.policy.pipeline import Request
from edge_sdk.policy.rules import DropRule, Policy, QuietHours
from edge_sdk.policy.targeting import Candidates, is_quiet, selected
from edge_sdk.reasons import Reason
from edge_sdk.types import F32, I64

_DAY_MS: Final = 86_400_000
_REASONS: Final = tuple((int(reason), reason) for reason in Reason)  # enum arithmetic takes 1 µs a step
_DATES: Final = int(Reason.NOT_YET_VALID | Reason.EXPIRED)
_QUIET: Final = int(Reason.QUIET)
_CHANGES_MAX: Final = 8  # future state changes that are followed


@dataclass(frozen=True, slots=True)
class Suppression:
    """A rule that suppresses an offer."""

    reason: Reason  # one bit
    rule: str  # name of the rule; "" = the rule has no name
    until_ms: int | None  # milliseconds since 1970; None = time alone does not end it


class StateReader(Protocol):
    """The states of machines now and later, if only time passes. `Machines` and `FrozenStates` implement this."""

    def state(self, index: int, at_ms: int, /) -> int:
        """Returns the state of a machine of the user."""

    def user_changes_at(self, index: int, at_ms: int, /) -> int:
        """Returns when time next changes the state of a machine of the user, in ms; `NEVER_MS` = never."""

    def state_of(self, index: int, offer_row: int, at_ms: int, /) -> int:
        """Returns the state of an offer, or of its category."""

    def changes_of(self, index: int, offer_row: int, at_ms: int, /) -> int:
        """Returns when time next changes the state of an offer, or of its category, in ms; `NEVER_MS` = never."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SuppressionInputs:
    """Everything that the rules read in one decision."""

    policy: CompiledPolicy
    candidates: Candidates
    context: TargetingContext
    given: tuple[int, ...]  # value index of each context field as the app gave it; -1 = not given
    machine_fields: tuple[MachineField, ...]
    states: StateReader
    free_at_ms: I64 | None  # (R, C) `CapCounts.free_times`; None = no cap suppresses a candidate
    request: Request
    costs: F32  # (C,) of showing each once


class Suppressions:
    """Every suppression of every dropped candidate of a decision."""

    def __init__(self, by_candidate: Mapping[int, tuple[Suppression, ...]]) -> None:
        """Takes the suppressions by candidate index; `found` makes them."""
        self._by_candidate = by_candidate

    @classmethod
    def found(cls, inputs: SuppressionInputs, bits: I64 | None) -> Suppressions:
        """Returns the suppressions by every rule.

        Args:
            inputs: everything that the rules read.
            bits: (C,) the decision's reason bits, 0 = eligible; None = all are. The rules here only name a bit and give
                its end. A bit that no rule here explains was set by a step after the scores.
        """
        if bits is None:
            return cls({})
        out = np.flatnonzero(bits)
        out_bits, indices = bits[out], out.tolist()
        found: list[list[Suppression]] = [[] for _ in indices]
        missing = out_bits.tolist()
        candidates = inputs.candidates.taken(out)
        free_at_ms = None if inputs.free_at_ms is None else inputs.free_at_ms[:, out]
        for bit, suppression, places in _findings(inputs, candidates, free_at_ms, out_bits):
            for at in places:
                found[at].append(suppression)
                missing[at] &= ~bit
        for at, left in enumerate(missing):
            if left:
                found[at] += [_later_step(reason, inputs, indices[at]) for bit, reason in _REASONS if left & bit]
        return cls({index: tuple(suppressions) for index, suppressions in zip(indices, found, strict=True)})

    def of(self, index: int) -> tuple[Suppression, ...]:
        """Returns the suppressions of one candidate, in the order of the steps."""
        return self._by_candidate.get(index, ())

    def first_free_ms(self) -> int | None:
        """Returns the first moment at which time alone makes a candidate eligible; None = never."""
        moments = [
            max(suppression.until_ms or NEVER_MS for suppression in found)
            for found in self._by_candidate.values()
            if found
        ]
        first = min(moments, default=NEVER_MS)
        return None if first >= NEVER_MS else first


_Finding = tuple[int, Suppression, list[int]]  # reason bit, suppression, positions of its candidates


def _findings(
    inputs: SuppressionInputs, candidates: Candidates, free_at_ms: I64 | None, bits: I64
) -> Iterator[_Finding]:
    """Yields the suppressions by the rules whose reason is among the candidates' reason bits, (C,)."""
    policy, caps, request = inputs.policy.rules, inputs.policy.caps, inputs.request
    now_ms = request.now_ms
    any_bits = int(np.bitwise_or.reduce(bits))
    if any_bits & _DATES:
        yield from _dates(policy, candidates, now_ms)
    for drop in policy.drops:
        bit = int(drop.reason)
        if any_bits & bit:
            yield from _drops(drop, bit, inputs, candidates, bits)
    until = None if free_at_ms is None else caps.capped_until(free_at_ms, now_ms)
    for index, cap in enumerate(caps.rules):
        bit = int(cap.reason)
        if until is not None and any_bits & bit:
            for at, end_ms in enumerate(until[index].tolist()):
                if end_ms:
                    yield bit, Suppression(cap.reason, cap.name, end_ms if end_ms < NEVER_MS else None), [at]
    for cap, mask in caps.uncounted(candidates.rows, candidates.channels):
        yield int(cap.reason), Suppression(cap.reason, cap.name, None), np.flatnonzero(mask).tolist()
    for quiet in policy.quiet_hours if any_bits & _QUIET else ():
        if is_quiet(quiet, now_ms, request.local.offset_at(now_ms)):
            suppression = Suppression(Reason.QUIET, quiet.name, quiet_until_ms(quiet, now_ms, request.local))
            mask = selected(OfferSelector(None, quiet.channels), candidates)
            yield _QUIET, suppression, np.flatnonzero(mask).tolist()


def _dates(policy: Policy, candidates: Candidates, now_ms: int) -> Iterator[_Finding]:
    starts, ends = policy.valid_from_ms[candidates.offers], policy.valid_until_ms[candidates.offers]
    for at in np.flatnonzero(starts > now_ms).tolist():
        yield int(Reason.NOT_YET_VALID), Suppression(Reason.NOT_YET_VALID, "", int(starts[at])), [at]
    over = np.flatnonzero((ends > 0) & (ends <= now_ms)).tolist()
    if over:
        yield int(Reason.EXPIRED), Suppression(Reason.EXPIRED, "", None), over


def quiet_until_ms(quiet: QuietHours, now_ms: int, local: LocalTime) -> int:
    """Returns when quiet hours that apply now end, in milliseconds since 1970.

    Where the clocks change before, they end by the new local time: at the change itself if it skips their last minute.
    """
    end_ms = _at_minute(quiet.until_minute, now_ms, local.offset_at(now_ms))
    if now_ms >= local.changes_ms or end_ms < local.changes_ms:
        return end_ms
    if not is_quiet(quiet, local.changes_ms, local.offset_after_s):
        return local.changes_ms
    return _at_minute(quiet.until_minute, local.changes_ms, local.offset_after_s)


def _at_minute(minute: int, from_ms: int, utc_offset_s: int) -> int:
    """Returns the next moment of a minute of the local day."""
    into_day_ms = (from_ms + utc_offset_s * 1000) % _DAY_MS
    return from_ms + (minute * 60_000 - into_day_ms) % _DAY_MS


def _later_step(reason: Reason, inputs: SuppressionInputs, index: int) -> Suppression:
    """Returns the suppression by the budget, the minimum score or a rule of the slate."""
    policy, now_ms = inputs.policy.rules, inputs.request.now_ms
    until_ms, budget = None, policy.budget
    if reason is Reason.OVER_BUDGET and budget is not None:
        if units(float(inputs.costs[index]), budget.units_per_one) <= budget.amount_units:  # else no period is enough
            until_ms = budget.periods.end_ms(now_ms, inputs.request.local)
    elif reason is Reason.BELOW_MINIMUM and policy.retry_after_s:
        until_ms = now_ms + policy.retry_after_s * 1000
    return Suppression(reason, "", until_ms)


# ---- conditions now and later ----


def _drops(
    rule: DropRule, bit: int, inputs: SuppressionInputs, candidates: Candidates, bits: I64
) -> Iterator[_Finding]:
    chosen = np.flatnonzero(selected(rule.selection, candidates) & ((bits & bit) > 0)).tolist()
    if not rule.when.of_target:  # conditions on the user alone are the same for all candidates
        drops, until_ms = _DropForecast(rule, inputs, 0).result() if chosen else (False, None)
        if drops:
            yield bit, Suppression(rule.reason, rule.name, until_ms), chosen
        return
    for at in chosen:
        drops, until_ms = _DropForecast(rule, inputs, int(candidates.rows[at])).result()
        if drops:
            yield bit, Suppression(rule.reason, rule.name, until_ms), [at]


class _DropForecast:
    """Forecasts until when one rule suppresses one offer, if only time passes."""

    def __init__(self, rule: DropRule, inputs: SuppressionInputs, row: int) -> None:
        self._drops_when, self._states, self._now_ms = rule.drops_when, inputs.states, inputs.request.now_ms
        self._row = row
        self._of_target = rule.when.of_target
        self._of_user: list[StateCondition] = []
        self._rest_matches = True  # whether all conditions match that time does not change
        by_field = {
            field: (machine, values) for machine, field, values in inputs.machine_fields if inputs.given[field] < 0
        }
        for condition in rule.when.of_user:
            if isinstance(condition, StateCondition):
                self._of_user.append(condition)
            elif isinstance(condition, ContextCondition) and condition.field in by_field:
                machine, values = by_field[condition.field]
                allowed = frozenset(state for state, value in enumerate(values) if value in condition.allowed)
                self._of_user.append(StateCondition(machine, allowed))
            else:
                self._rest_matches &= condition.matches(inputs.context)

    def result(self) -> tuple[bool, int | None]:
        """Returns whether the rule suppresses the offer, and when time alone ends this (None = never)."""
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
        states, row = self._states, self._row
        matches = (
            self._rest_matches
            and all(states.state(c.machine, at_ms) in c.allowed for c in self._of_user)
            and all(states.state_of(c.machine, row, at_ms) in c.allowed for c in self._of_target)
        )
        return matches is self._drops_when

    def _changes_at(self, at_ms: int) -> int:
        states, row = self._states, self._row
        of_user = [states.user_changes_at(condition.machine, at_ms) for condition in self._of_user]
        of_target = [states.changes_of(condition.machine, row, at_ms) for condition in self._of_target]
        return min([*of_user, *of_target], default=NEVER_MS)
