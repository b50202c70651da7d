"""Decisions without an engine: a random memory, random candidates and scores, under any policy."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from edge_sdk.base_decision import BaseDecision
from edge_sdk.bundle.bundle import Bundle, with_policy
from edge_sdk.bundle.container import open_container
from edge_sdk.bundle.policy_reader import read_policy_file
from edge_sdk.bundle.reader import read_bundle
from edge_sdk.clock import LocalTime
from edge_sdk.decision.candidate_cache import CachedCandidates
from edge_sdk.decision.maker import current_spend
from edge_sdk.log.local_field import local_field
from edge_sdk.memory.memory import Memory
from edge_sdk.memory.targets import Scope
from edge_sdk.policy.candidates import CandidateSet
from edge_sdk.policy.compiled import CompiledPolicy
from edge_sdk.policy.conditions import TargetingContext
from edge_sdk.policy.pipeline import PolicyInputs, PolicyResult, Request, Spend, apply_policy
from edge_sdk.types import F32
from edge_sdk.vocabulary import item_id, kind_id
from tests.support.naive_policy import Candidate, Ledger, Moment
from tests.support.policy_month import candidates
from tests.support.random_policies import SHOWN, Table
from tests.support.rich_engine import signed, treatments
from tests.support.scene import NOW_MS, OFFERS, Small

CONTEXT = {"surface": ("home", "wealth"), "stage": ("new", "active")}


@dataclass(frozen=True, eq=False)
class Scores:
    """The base and model score of each candidate, and the weight of the model."""

    base: F32
    model: F32
    model_weight: float


class Case:
    """A user, candidates and scores, all from one seed."""

    def __init__(self, rich: Small, seed: int) -> None:
        random = np.random.default_rng(seed)
        self.bundle = _bundle(rich.bundle)
        self.base = treatments(random, most=10)
        count = len(self.base.offers)
        base, model = random.normal(size=(2, count)).astype(np.float32)
        self.scores = Scores(base, model, float(random.choice([0.0, 0.25, 1.0])))
        self.limit = int(random.integers(0, 6)) if random.random() < 0.5 else None
        self.context = {name: str(random.choice(values)) for name, values in CONTEXT.items() if random.random() < 0.7}
        self.attributes = {"balance": float(random.normal(100, 100))} if random.random() < 0.7 else {}
        self.now_ms, self.offset_s = NOW_MS + int(random.integers(0, 86_400_000)), 7200
        self.ledger, self.events = Ledger(), list[tuple[int, str, str, float]]()
        times = self.now_ms - np.sort(random.integers(1, 86_400_000, int(random.integers(0, 16))))[::-1]
        for time_ms in times.tolist():
            kind = str(random.choice(["view", "click", "dismiss", "convert", *SHOWN.values()]))
            event = (time_ms, kind, str(random.choice(OFFERS)), float(random.integers(0, 3)) / 4)
            self.events.append(event)
            self.ledger.add(*event)

    @property
    def moment(self) -> Moment:
        return Moment(self.now_ms, self.offset_s, self.context, self.attributes)

    @property
    def candidates(self) -> list[Candidate]:
        return candidates(self.base)

    def inputs(self, policy: Table, base: BaseDecision | None = None) -> PolicyInputs:
        """Everything that the policy reads besides the scores."""
        bundle = with_policy(self.bundle, read_policy_file(
            "policy", signed(policy), self.bundle.scene, self.bundle.symbols, trusted_keys=(), allow_unsigned=True,
        ))  # fmt: skip
        rules, memory = bundle.policy, Memory(bundle.layout)
        for time_ms, kind, item, value in self.events:
            memory.add(time_ms, kind_id(kind), item_id(item), value, local_field(self.offset_s))
        compiled = CompiledPolicy(rules, bundle.layout)
        request = Request(self.now_ms, LocalTime(self.offset_s), self.limit, seed=5, number=7)
        cached = CachedCandidates(CandidateSet.of(base or self.base, bundle.layout, compiled, {}), compiled)
        return PolicyInputs(
            policy=compiled,
            candidates=cached.candidates,
            evaluated=cached.evaluated(memory, self._context(bundle, memory), self.now_ms),
            memory=memory,
            request=request,
            spend=Spend(rules.cost_weight, float("inf"))
            if rules.budget is None
            else current_spend(rules.cost_weight, rules.budget, memory, request),
        )

    def result(self, policy: Table) -> PolicyResult:
        return apply_policy(self.inputs(policy), self.scores.base, self.scores.model, self.scores.model_weight)

    def permuted(self, policy: Table, order: np.ndarray) -> PolicyResult:
        """The result with the candidates in another order."""
        base = self.base
        assert base.channels is not None
        reordered = BaseDecision(
            [base.offers[index] for index in order], base.logits[order],
            channels=[base.channels[index] for index in order],
            costs=None if base.costs is None else base.costs[order],
        )  # fmt: skip
        scores = self.scores
        return apply_policy(
            self.inputs(policy, reordered), scores.base[order], scores.model[order], scores.model_weight
        )

    def _context(self, bundle: Bundle, memory: Memory) -> TargetingContext:
        machines, context = memory.machines, list(bundle.policy.chosen(self.context))
        states = tuple(
            machines.state(index, self.now_ms) if rule.per is Scope.USER else -1
            for index, rule in enumerate(machines.rules)
        )
        for machine, field, values in bundle.machine_fields:
            if context[field] < 0:
                context[field] = values[states[machine]]
        return TargetingContext(tuple(context), states, (self.attributes.get("balance", float("inf")),))


@cache
def _bundle(path: Path) -> Bundle:
    return read_bundle(path, open_container(path, trusted_keys=(), allow_unsigned=True))
