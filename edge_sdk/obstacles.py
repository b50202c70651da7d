"""Why a candidate does not stand: every rule that holds it, and until when. Pure; for explanations, not for ranking.

A time is given where time alone ends the rule's hold, if nothing else happens until then. Where an event must come
first, or the app must pass something else, there is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from edge_sdk.contributions import selected
from edge_sdk.policy import DropRule, Policy, QuietHours, Selection, Situation, StateCondition
from edge_sdk.reasons import Reason
from edge_sdk.types import I64, NEVER_MS

if TYPE_CHECKING:
    from edge_sdk.caps import CapRule

_DAY_MS: Final = 86_400_000
_CHANGES_MAX: Final = 8  # of machines, that are followed into the future


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A rule that keeps an offer from standing."""

    reason: Reason  # one bit
    rule: str  # its name; "" = it has none
    until_ms: int | None  # milliseconds since 1970; None = time alone does not end it


class CapsView(Protocol):
    """What is asked of `Memory.caps`."""

    def held_until(self, index: int, offer_rows: I64, channels: I64 | None, now_ms: int) -> I64:
        """When a cap lets each candidate go, (C,) ms; 0 = it does not hold it, NEVER_MS = it never does."""


class MachinesView(Protocol):
    """What is asked of `Memory.machines`."""

    def state(self, index: int, now_ms: int) -> int:
        """The state of a machine of the user."""

    def states(self, index: int, rows: I64, now_ms: int) -> I64:
        """The state of a machine per offer or category, for each offer row."""

    def changes_at(self, index: int, rows: I64, now_ms: int) -> I64:
        """When time alone changes either, for each offer row, ms; NEVER_MS = it does not."""


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """The candidates to speak of, and what a decision knew when it dropped them."""

    rows: I64  # (C,) offer rows
    channels: I64 | None  # (C,) channel indices; None = all in the app
    bits: I64  # (C,) their reason bits, 0 = it stands
    situation: Situation
    now_ms: int
    utc_offset_s: int


Finding = tuple[Obstacle, int]  # and the candidate's index


class Obstacles:
    """Every obstacle of every dropped candidate of a decision; made at once, because memory goes on."""

    def __init__(self, by_candidate: dict[int, list[Obstacle]]) -> None:
        """Use `found`."""
        self._by_candidate = by_candidate

    @classmethod
    def found(
        cls, policy: Policy, rules: Sequence[CapRule], caps: CapsView, machines: MachinesView, held: Held
    ) -> Obstacles:
        """Look at each rule.

        Args:
            policy: in force at the decision.
            rules: the caps of the memory's layout.
            caps: the counts as they were at the decision.
            machines: likewise.
            held: the candidates.
        """
        out, bits = np.flatnonzero(held.bits), held.bits.tolist()
        by_candidate: dict[int, list[Obstacle]] = {index: [] for index in out.tolist()}
        for obstacle, index in _findings(policy, rules, caps, machines, held, out):
            if bits[index] & obstacle.reason:  # the decision's word counts; this names and dates it
                by_candidate[index].append(obstacle)
        for index, found in by_candidate.items():
            missing = bits[index] & ~int(reduce(or_, (obstacle.reason for obstacle in found), Reason(0)))
            found += [_later_step(reason, policy, held.now_ms) for reason in Reason if missing & reason]
        return cls(by_candidate)

    def of(self, index: int) -> tuple[Obstacle, ...]:
        """Of one candidate, in the order of the steps."""
        return tuple(self._by_candidate.get(index, ()))

    def first_free_ms(self) -> int | None:
        """The first moment at which time alone lets one of the candidates stand; None = it never does."""
        moments = [
            max(obstacle.until_ms or NEVER_MS for obstacle in found) for found in self._by_candidate.values() if found
        ]
        first = min(moments, default=NEVER_MS)
        return None if first >= NEVER_MS else first


def _findings(
    policy: Policy, rules: Sequence[CapRule], caps: CapsView, machines: MachinesView, held: Held, out: I64
) -> Iterator[Finding]:
    rows = held.rows[out]
    channels = None if held.channels is None else held.channels[out]
    yield from _dates(policy, rows, out, held.now_ms)
    for rule in policy.drops:
        yield from _drops(rule, machines, rows, channels, held, out)
    for index, cap in enumerate(rules):
        ends = caps.held_until(index, rows, channels, held.now_ms)
        for at in np.flatnonzero(ends).tolist():
            yield Obstacle(cap.reason, cap.name, _moment(int(ends[at]))), int(out[at])
    for quiet in policy.quiet_hours:
        end_ms = quiet_until_ms(quiet, held.now_ms, held.utc_offset_s)
        chosen = selected(Selection(None, quiet.channels), rows, channels) if end_ms else np.zeros(0, np.bool_)
        for at in np.flatnonzero(chosen).tolist():
            yield Obstacle(Reason.QUIET, quiet.name, end_ms), int(out[at])


def _drops(
    rule: DropRule, machines: MachinesView, rows: I64, channels: I64 | None, held: Held, out: I64
) -> Iterator[Finding]:
    known: dict[int, tuple[bool, int | None]] = {}  # by offer row; of the user, all have the same
    for at in np.flatnonzero(selected(rule.selection, rows, channels)).tolist():
        key = int(rows[at]) if rule.when.of_target else 0
        if key not in known:
            known[key] = _dropped_until(rule, machines, rows[at : at + 1], held)
        is_held, until_ms = known[key]
        if is_held:
            yield Obstacle(rule.reason, rule.name, until_ms), int(out[at])


def _dates(policy: Policy, rows: I64, out: I64, now_ms: int) -> Iterator[Finding]:
    starts, ends = policy.valid_from_ms[rows].tolist(), policy.valid_until_ms[rows].tolist()
    for index, start_ms, end_ms in zip(out.tolist(), starts, ends, strict=True):
        if start_ms > now_ms:
            yield Obstacle(Reason.NOT_YET_VALID, "", start_ms), index
        if 0 < end_ms <= now_ms:
            yield Obstacle(Reason.EXPIRED, "", None), index


def quiet_until_ms(quiet: QuietHours, now_ms: int, utc_offset_s: int) -> int:
    """When quiet hours end that hold now, milliseconds since 1970; 0 = they do not hold."""
    into_day_ms = (now_ms + utc_offset_s * 1000) % _DAY_MS
    start_ms, end_ms = quiet.from_minute * 60_000, quiet.until_minute * 60_000
    if not (into_day_ms - start_ms) % _DAY_MS < (end_ms - start_ms) % _DAY_MS:
        return 0
    return now_ms + (end_ms - into_day_ms) % _DAY_MS


def _later_step(reason: Reason, policy: Policy, now_ms: int) -> Obstacle:
    """Of a bit that no rule above explains: it was set by the steps after the scores."""
    until_ms = None
    if reason is Reason.OVER_BUDGET and policy.budget is not None:
        period_ms = policy.budget.period_s * 1000
        until_ms = (now_ms // period_ms + 1) * period_ms
    elif reason is Reason.NOT_WORTH and policy.again_after_s:
        until_ms = now_ms + policy.again_after_s * 1000
    return Obstacle(reason, "", until_ms)


def _moment(until_ms: int) -> int | None:
    return None if until_ms >= NEVER_MS else until_ms


# ---- conditions, now and later ----


def _dropped_until(rule: DropRule, machines: MachinesView, row: I64, held: Held) -> tuple[bool, int | None]:
    """Whether a rule drops a candidate that it is about, and when time alone makes it let go; `row` is (1,)."""
    of_user = [condition for condition in rule.when.of_user if isinstance(condition, StateCondition)]
    given = all(c.holds(held.situation) for c in rule.when.of_user if not isinstance(c, StateCondition))

    def drops(at_ms: int) -> bool:
        holds = (
            given
            and all(machines.state(c.machine, at_ms) in c.allowed for c in of_user)
            and all(int(machines.states(c.machine, row, at_ms)[0]) in c.allowed for c in rule.when.of_target)
        )
        return holds is rule.drops_when

    at_ms = held.now_ms
    if not drops(at_ms):
        return False, None
    for _ in range(_CHANGES_MAX):
        changes = (int(machines.changes_at(c.machine, row, at_ms)[0]) for c in (*of_user, *rule.when.of_target))
        at_ms = min(changes, default=NEVER_MS)
        if at_ms >= NEVER_MS:
            break
        if not drops(at_ms):
            return True, at_ms
    return True, None
