"""What a policy says of some candidates in one situation of the user, kept while nothing that it looks at changes.

Situations change rarely, dates a few times a year, and the states of offers when something happens to them; so nearly
every decision finds this ready. What caps say is kept while nothing is counted for them and none lets go; quiet hours
and the budget are not in here.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from edge_sdk.clock import NEVER_MS
from edge_sdk.memory.caps import CapCounts
from edge_sdk.memory.memory import Memory
from edge_sdk.policy.conditions import TargetingContext
from edge_sdk.policy.rules import Pin, Policy
from edge_sdk.policy.targeting import Candidates, match_targets
from edge_sdk.reasons import Reason
from edge_sdk.types import F32, I64, Mask


class Masks(NamedTuple):
    """Whom each rule of a policy is about, each (C,)."""

    drops: list[Mask]
    boosts: list[Mask]
    pins: list[Mask]


class Held(NamedTuple):
    """Who may not stand by dates, eligibility, blocks and caps, and how long that holds."""

    bits: I64 | None  # (C,) reason bits, 0 = may stand; None = all may
    stands: Mask | None  # (C,) None = all
    version: int  # of the caps' counts; 0 = never asked
    from_ms: int
    until_ms: int  # exclusive


_NEVER_ASKED: Final = Held(None, None, 0, 0, 0)


class EvaluatedRules(NamedTuple):
    """The answer, and how long it holds."""

    situation: TargetingContext
    bits: I64 | None  # (C,) reason bits of dates, eligibility and blocks, 0 = may stand; None = all may
    boost: F32 | None  # (C,) what the operator's boosts add; None = nothing
    pins: tuple[tuple[Pin, Mask], ...]  # those in force, and whom each is about (C,)
    weights: F32  # (K,)
    weight_rule: str  # name of the rule that set them; "" = none
    from_ms: int
    until_ms: int  # exclusive
    versions: tuple[int, ...]  # of the machines whose states of candidates were looked at
    held: list[Held]  # one: the last answer of `held_now`

    def held_now(self, caps: CapCounts, cells: I64, now_ms: int) -> Held:
        """`bits` and what caps and cooldowns say. Kept: looking anew costs a tenth of a decision.

        Args:
            caps: of the memory.
            cells: (R, C) `cap_cells` of the candidates.
            now_ms: the clock.
        """
        (held,) = self.held
        if held.version == caps.version and held.from_ms <= now_ms < held.until_ms:
            return held
        counted, until_ms = caps.reasons_at(cells, now_ms)
        bits = self.bits if counted is None else counted if self.bits is None else self.bits | counted
        stands = None if bits is None else bits == 0
        self.held[0] = held = Held(bits, stands, caps.version, now_ms, until_ms)
        return held

    def holds(self, now_ms: int, versions: tuple[int, ...]) -> bool:
        """Whether it would come out the same."""
        return self.versions == versions and self.from_ms <= now_ms < self.until_ms


def machines_looked_at(policy: Policy) -> tuple[int, ...]:
    """Indices of the machines per offer or category that some rule looks at."""
    whens = (rule.when for rules in (policy.drops, policy.boosts, policy.pins) for rule in rules)
    return tuple(sorted({condition.machine for when in whens for condition in when.of_target}))


def evaluate_rules(
    policy: Policy,
    candidates: Candidates,
    masks: Masks,
    memory: Memory,
    situation: TargetingContext,
    now_ms: int,
    versions: tuple[int, ...],
) -> EvaluatedRules:
    """Look at every rule.

    Args:
        policy: the rules.
        candidates: C of them.
        masks: whom the rules are about.
        memory: for the candidates' states.
        situation: of the user.
        now_ms: the clock.
        versions: of the machines, for the answer.
    """
    rows = candidates.rows
    start, end = policy.valid_from_ms[rows], policy.valid_until_ms[rows]
    bits = np.where(start > now_ms, int(Reason.NOT_YET_VALID), 0)
    bits |= np.where((end > 0) & (end <= now_ms), int(Reason.EXPIRED), 0)
    for rule, mask in zip(policy.drops, masks.drops, strict=True):
        holds = rule.when.match_user(situation)
        if holds and rule.when.of_target:
            of_each = match_targets(rule.when, memory, rows, now_ms)
            bits[mask & (of_each == rule.drops_when)] |= int(rule.reason)
        elif holds is rule.drops_when:
            bits[mask] |= int(rule.reason)
    boost = np.zeros(len(rows), np.float32)
    for added, mask in zip(policy.boosts, masks.boosts, strict=True):
        if added.when.match_user(situation):
            boost[mask & match_targets(added.when, memory, rows, now_ms)] += added.add
    weighted = next((rule for rule in policy.weight_rules if rule.when.match_user(situation)), None)
    bounds = np.concatenate([start, end])
    return EvaluatedRules(
        situation=situation,
        bits=bits if bits.any() else None,
        boost=boost if boost.any() else None,
        pins=tuple(
            (pin, mask & match_targets(pin.when, memory, rows, now_ms))
            for pin, mask in zip(policy.pins, masks.pins, strict=True)
            if pin.when.match_user(situation)
        ),
        weights=policy.weights if weighted is None else weighted.weights,
        weight_rule="" if weighted is None else weighted.name,
        from_ms=int(bounds[bounds <= now_ms].max(initial=0)),
        until_ms=int(bounds[bounds > now_ms].min(initial=NEVER_MS)),
        versions=versions,
        held=[_NEVER_ASKED],
    )
