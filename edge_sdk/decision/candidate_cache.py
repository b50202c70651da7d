"""Cached candidate sets: everything that decisions about the same base decision share."""

from __future__ import annotations

import numpy as np

from edge_sdk.base_decision import BaseDecision
from edge_sdk.limits import CONTEXTS_KEPT, PREPARED_BASES
from edge_sdk.memory.layout import MemoryLayout
from edge_sdk.memory.memory import Memory
from edge_sdk.policy.candidates import CandidateSet
from edge_sdk.policy.compiled import CompiledPolicy
from edge_sdk.policy.conditions import TargetingContext
from edge_sdk.policy.eligibility import EvaluatedRules
from edge_sdk.policy.scoring import fused
from edge_sdk.types import F32, I64, by_score


class CachedCandidates:
    """A candidate set, its rules evaluated for the last few contexts, and its order under each rule's weights."""

    __slots__ = ("_evaluated", "_policy", "_weighted", "candidates")

    def __init__(self, candidates: CandidateSet, policy: CompiledPolicy) -> None:
        """Starts without an evaluation."""
        self.candidates, self._policy = candidates, policy
        self._evaluated: dict[TargetingContext, EvaluatedRules] = {}
        self._weighted: dict[int, tuple[F32, I64]] = {}

    def evaluated(self, memory: Memory, context: TargetingContext, now_ms: int) -> EvaluatedRules:
        """Returns the rules evaluated in this context; evaluates them again only when an input has changed."""
        policy = self._policy
        versions = tuple([memory.machines.version(index, now_ms) for index in policy.target_machines])
        known = self._evaluated.get(context)
        if known is None or not known.is_current(now_ms, versions):
            if len(self._evaluated) >= CONTEXTS_KEPT:
                self._evaluated.clear()
            known = EvaluatedRules(
                policy.rules,
                self.candidates.candidates,
                self.candidates.masks,
                memory,
                context,
                now_ms=now_ms,
                versions=versions,
                target_machines=policy.target_machines,
            )
            self._evaluated[context] = known
        return known

    def weighted_by(self, weights: F32) -> tuple[F32, I64]:
        """Returns base scores (C,) and base order under weights that live as long as the policy."""
        known = self._weighted.get(id(weights))
        if known is None:
            with np.errstate(over="ignore", invalid="ignore"):
                scores = fused(self.candidates.logits, weights)
            known = self._weighted[id(weights)] = scores, by_score(scores)
        return known


class CandidateCache:
    """The candidate sets of the newest base decisions, found by the identity of the base decision."""

    def __init__(self, layout: MemoryLayout, policy: CompiledPolicy) -> None:
        """Starts empty; for one policy over one layout."""
        self._layout, self._policy = layout, policy
        self._by_base: dict[int, CachedCandidates] = {}
        self._row_of: dict[
            str, int
        ] = {}  # row by offer name, so that a new base decision does not hash known names again

    def of(self, base: BaseDecision) -> CachedCandidates:
        """Returns the candidate set of a base decision."""
        cached = self._by_base.get(id(base))
        if cached is None:  # the candidate set refers to the base, so its id is not reused
            if len(self._by_base) >= PREPARED_BASES:
                del self._by_base[next(iter(self._by_base))]
            candidates = CandidateSet.of(base, self._layout, self._policy, self._row_of)
            cached = self._by_base[id(base)] = CachedCandidates(candidates, self._policy)
        return cached

    def clear(self) -> None:
        """Drops all candidate sets and the names of their offers."""
        self._by_base.clear()
        self._row_of.clear()
