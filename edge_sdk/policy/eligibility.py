"""The policy's rules evaluated for one candidate set and one user context; cached until an input changes.

Contexts change rarely, validity dates a few times a year, and the states of offers only by events and time. So nearly
every decision reuses a cached evaluation. The result of the frequency caps is cached until a target becomes capped or
free. Quiet hours and the budget are not part of the evaluation.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from edge_sdk.clock import NEVER_MS
from edge_sdk.memory.caps import CapCounts
from edge_sdk.memory.machine_states import TargetStates
from edge_sdk.memory.memory import Memory
from edge_sdk.policy.conditions import TargetingContext
from edge_sdk.policy.frequency_caps import FrequencyCap, FrequencyCaps
from edge_sdk.policy.rules import Boost, Pin, Policy
from edge_sdk.policy.targeting import Candidates, match_targets
from edge_sdk.reasons import Reason
from edge_sdk.types import F32, I64, Mask


class Masks(NamedTuple):
    """The candidates that each rule of a policy selects, each (C,)."""

    drops: list[Mask]
    boosts: list[Mask]
    pins: list[Mask]
    uncounted: list[tuple[FrequencyCap, Mask]]  # `FrequencyCaps.uncounted`


class Eligibility(NamedTuple):
    """Which candidates are eligible by dates, eligibility rules, blocks and caps, and when this is valid."""

    bits: I64 | None  # (C,) reason bits, 0 = eligible; None = all are
    mask: Mask | None  # (C,) True = eligible; None = all are
    free_at_ms: I64 | None  # (R, C) when each cap frees each candidate; None = no cap suppresses anything
    version: int  # of the cap counts; 0 = not evaluated yet
    from_ms: int
    until_ms: int  # exclusive


_NOT_EVALUATED: Final = Eligibility(None, None, None, 0, 0, 0)


class EvaluatedRules:
    """The evaluated rules, and how long they are valid."""

    __slots__ = (
        "_cached",
        "_from_ms",
        "_until_ms",
        "_versions",
        "bits",
        "boost",
        "boosts",
        "context",
        "pins",
        "target_states",
        "weight_rule",
        "weights",
    )

    context: TargetingContext
    bits: I64 | None  # (C,) reason bits of dates, eligibility and blocks, 0 = eligible; None = all are
    boost: F32 | None  # (C,) sum of the boosts in force; None = none
    boosts: tuple[tuple[Boost, Mask], ...]  # boosts in force, and the candidates that each applies to, (C,)
    pins: tuple[tuple[Pin, Mask], ...]  # pins in force, likewise
    weights: F32  # (K,)
    weight_rule: str  # name of the rule that set the weights; "" = none
    target_states: dict[int, TargetStates]  # by machine: the candidates' states that rules read, before time steps

    def __init__(
        self,
        policy: Policy,
        candidates: Candidates,
        masks: Masks,
        memory: Memory,
        context: TargetingContext,
        *,
        now_ms: int,
        versions: tuple[int, ...],
        target_machines: tuple[int, ...],
    ) -> None:
        """Evaluates every rule.

        Args:
            policy: the rules.
            candidates: the C candidates.
            masks: the candidates that each rule selects.
            memory: has the candidates' states.
            context: the user's context.
            now_ms: milliseconds since 1970.
            versions: the version of each machine in `target_machines`.
            target_machines: indices of the machines per offer or category that rules read.
        """
        rows = candidates.rows
        starts, ends = policy.valid_from_ms[candidates.offers], policy.valid_until_ms[candidates.offers]
        bits = np.where(starts > now_ms, int(Reason.NOT_YET_VALID), 0)
        bits |= np.where((ends > 0) & (ends <= now_ms), int(Reason.EXPIRED), 0)
        for rule, mask in zip(policy.drops, masks.drops, strict=True):
            matches = rule.when.match_user(context)
            if matches and rule.when.of_target:
                of_each = match_targets(rule.when, memory, rows, now_ms)
                bits[mask & (of_each == rule.drops_when)] |= int(rule.reason)
            elif matches is rule.drops_when:
                bits[mask] |= int(rule.reason)
        for cap, mask in masks.uncounted:
            bits[mask] |= int(cap.reason)
        self.context, self.bits = context, bits if bits.any() else None
        self.boosts = tuple(
            (rule, mask & match_targets(rule.when, memory, rows, now_ms))
            for rule, mask in zip(policy.boosts, masks.boosts, strict=True)
            if rule.when.match_user(context)
        )
        self.boost = _sum_of(self.boosts, len(rows))
        self.pins = tuple(
            (rule, mask & match_targets(rule.when, memory, rows, now_ms))
            for rule, mask in zip(policy.pins, masks.pins, strict=True)
            if rule.when.match_user(context)
        )
        weighted = next((rule for rule in policy.weight_rules if rule.when.match_user(context)), None)
        self.weights = policy.weights if weighted is None else weighted.weights
        self.weight_rule = "" if weighted is None else weighted.name
        self.target_states = {index: memory.machines.candidate_states(index, rows) for index in target_machines}
        bounds = np.concatenate([starts, ends])
        self._from_ms = int(bounds[bounds <= now_ms].max(initial=0))
        self._until_ms = int(bounds[bounds > now_ms].min(initial=NEVER_MS))
        self._versions, self._cached = versions, _NOT_EVALUATED

    def eligibility(self, caps: FrequencyCaps, counts: CapCounts, cells: I64, now_ms: int) -> Eligibility:
        """Returns `bits` together with the bits of caps and cooldowns.

        The result is cached, because evaluating takes a tenth of a decision.

        Args:
            caps: the policy's caps and cooldowns.
            counts: the memory's cap counts.
            cells: (R, C) `FrequencyCaps.cells` of the candidates.
            now_ms: milliseconds since 1970.
        """
        cached = self._cached
        if cached.version == counts.version and cached.from_ms <= now_ms < cached.until_ms:
            return cached
        capped, free_at_ms, until_ms = caps.answer(counts, cells, now_ms)
        bits = self.bits if capped is None else capped if self.bits is None else self.bits | capped
        mask = None if bits is None else bits == 0
        self._cached = answer = Eligibility(bits, mask, free_at_ms, counts.version, now_ms, until_ms)
        return answer

    @property
    def free_at_ms(self) -> I64 | None:
        """(R, C) when each cap frees each candidate, by the last `eligibility`; None = no cap suppresses anything."""
        return self._cached.free_at_ms

    def is_current(self, now_ms: int, versions: tuple[int, ...]) -> bool:
        """Returns whether a new evaluation would give the same result."""
        return self._versions == versions and self._from_ms <= now_ms < self._until_ms


def _sum_of(boosts: tuple[tuple[Boost, Mask], ...], count: int) -> F32 | None:
    total = np.zeros(count, np.float32)
    for rule, mask in boosts:
        total[mask] += rule.add
    return total if total.any() else None
