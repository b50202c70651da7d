"""A port written from format.md, "From scores to the list", alone makes the same list, to the bit."""

from __future__ import annotations

from collections import defaultdict
from math import floor, log

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.memory.targets import Scope
from edge_sdk.policy.pipeline import PolicyInputs, apply_policy, suppressed
from edge_sdk.policy.rules import NO_LIMIT, Explore
from tests.support.random_policies import Table, policies
from tests.support.random_settings import Case
from tests.support.rich_engine import rich as rich
from tests.support.scene import Small

F = np.float32
Bits = dict[int, int]


@given(policies(), st.integers(0, 2**32 - 1))
@settings(max_examples=300, deadline=None)
def test_a_port_from_the_document_makes_the_same_list(rich: Small, policy: Table, seed: int) -> None:
    case = Case(rich, seed)
    inputs, scores = case.inputs(policy), case.scores
    result = apply_policy(inputs, scores.base, scores.model, scores.model_weight)
    ported = Ported(inputs)

    final, listed = ported.result(list(scores.base), list(scores.model), scores.model_weight)

    assert np.array(final, F).tobytes() == result.stages.final.tobytes()
    assert listed == result.eligible_order.tolist()
    found = np.zeros(len(final), np.int64) if result.dropped_bits is None else result.dropped_bits
    assert [ported.bits[c] for c in range(len(final))] == found.tolist()


class Ported:
    """Steps 3 to 13; what boosts add and the bits of step 6 are taken as they are."""

    def __init__(self, inputs: PolicyInputs) -> None:
        self.of, self.policy, self.memory = inputs, inputs.policy.rules, inputs.memory
        self.rows, self.costs = inputs.candidates.rows.tolist(), list(inputs.candidates.costs)
        self.units_per_one = self.policy.budget.units_per_one if self.policy.budget else 1
        self.category = inputs.candidates.categories.tolist()
        channels = inputs.candidates.candidates.channels
        self.channel = [0] * len(self.rows) if channels is None else channels.tolist()
        out = suppressed(inputs).bits
        self.bits: Bits = defaultdict(int, {} if out is None else dict(enumerate(out.tolist())))
        limit = inputs.request.limit
        self.size = len(self.rows) if limit is None else max(0, min(limit, len(self.rows)))

    def by(self, scores: list[F]) -> list[int]:
        """Returns the eligible candidates by these scores."""
        return sorted((c for c in range(len(scores)) if not self.bits[c]), key=lambda c: (-scores[c], c))

    def result(self, base: list[F], model: list[F], model_weight: float) -> tuple[list[F], list[int]]:
        policy, all_of = self.policy, range(len(base))
        scores = self.shifted(base, model, model_weight)
        anchor = base
        if self.of.evaluated.boost is not None:
            t = self.of.evaluated.boost
            scores, anchor = [scores[c] + t[c] for c in all_of], [base[c] + t[c] for c in all_of]
        price = self.of.spend.cost_weight
        if price != 0 and any(self.costs):
            scores = [scores[c] - F(price) * self.costs[c] for c in all_of]
            anchor = [anchor[c] - F(price) * self.costs[c] for c in all_of]
        pinned = self.fitted(scores)
        scores = self.bounded(scores, anchor)
        seen: dict[int, int] = defaultdict(int)
        final = list(scores)
        if policy.diversity:
            for c in self.by(scores):
                n = seen[self.category[c]] if self.category[c] else 0
                final[c] = scores[c] - F(n) * F(policy.diversity)
                seen[self.category[c]] += 1
        if policy.minimum_score is not None:
            for c in self.by(final):
                if final[c] < F(policy.minimum_score) and c not in pinned:
                    self.bits[c] |= 16384
        return final, self.listed(final, pinned)

    def shifted(self, base: list[F], model: list[F], model_weight: float) -> list[F]:
        if model_weight == 0:
            return base
        d, largest = [m - b for m, b in zip(model, base, strict=True)], self.policy.max_score_change
        if model_weight == 1 and (largest is None or all(abs(one) <= largest for one in d)):
            return model
        if largest is not None:
            d = [max(F(-largest), min(F(largest), one)) for one in d]
        return [b + F(model_weight) * one for b, one in zip(base, d, strict=True)]

    # ---- step 7 ----

    def fitted(self, scores: list[F]) -> dict[int, int]:
        """Who is pinned, and where (1 = first)."""
        while True:
            order, others = list[int](), list[int]()
            for c in self.by(scores):
                met = {self.rows[better] for better in order}
                (others if self.rows[c] and self.rows[c] in met else order).append(c)
            pinned = self.pinned(order)
            beyond = self.beyond([*pinned, *(c for c in order if c not in pinned)]) if self.size else {}
            for c, bit in beyond.items():
                self.bits[c] |= bit
            if not beyond:
                for c in others:
                    self.bits[c] |= 65536
                return pinned

    def pinned(self, order: list[int]) -> dict[int, int]:
        wishes: dict[int, int] = {}
        for rule, mask in self.of.evaluated.pins:
            for number, c in enumerate([c for c in order if mask[c]][: rule.count]):
                wishes.setdefault(c, rule.place + 1 + number)
        given: dict[int, int] = {}
        for c, place in sorted(wishes.items(), key=lambda wish: wish[1]):
            given[c] = max(place, max(given.values(), default=0) + 1)
        return given

    def beyond(self, by_right: list[int]) -> Bits:
        found: Bits = {}
        shown = {channel.shown_kind for channel in self.policy.channels}
        for index, cap in enumerate(self.policy.caps):
            rule = cap.counted
            if rule.per is Scope.OFFER or not shown & {*rule.kinds}:
                continue
            if self.passes(index):
                continue
            counts: dict[int, int] = defaultdict(int)
            for c in by_right:
                channel = self.channel[c]
                if c in found or self.policy.channels[channel].shown_kind not in rule.kinds:
                    continue
                if cap.channels and channel not in cap.channels:
                    continue
                target = 1 if rule.per is Scope.USER else self.category[c]
                if target and counts[target] >= self.room(index, target):
                    found[c] = 256 if rule.cooldown else 128
                counts[target] += 1
        left, units = self.of.spend.units_left, [round(float(cost) * self.units_per_one) for cost in self.costs]
        if sum(sorted(units, reverse=True)[: self.size]) > left:
            kept: list[int] = []
            for c in [c for c in by_right if c not in found]:
                tried = sorted([*kept, units[c]])
                if sum(tried[-self.size :]) > left:
                    found[c] = 8192
                else:
                    kept = tried
        return found

    def over(self, index: int, target: int) -> list[bool]:
        """Of the target's ring, oldest first."""
        within_ms, now_ms = self.memory.caps.rules[index].within_s * 1000, self.of.request.now_ms
        times = self.memory.caps.newest(index, np.array([target]))[0].tolist()
        if not within_ms:
            return [time_ms == 0 for time_ms in times]
        return [t == 0 or t + within_ms <= now_ms or t > now_ms + within_ms for t in times]

    def room(self, index: int, target: int) -> int:
        return sum(self.over(index, target)[: self.size])

    def passes(self, index: int) -> bool:
        rule = self.memory.caps.rules[index]
        targets = 2 if rule.per is Scope.USER else int(max(self.memory.layout.offers.row_category)) + 1
        return self.size <= rule.limit and all(self.over(index, t)[self.size - 1] for t in range(1, targets))

    # ---- steps 9, 12, 13 ----

    def bounded(self, scores: list[F], anchor: list[F]) -> list[F]:
        m, wanted, homes = self.policy.max_rank_change, self.by(scores), self.by(anchor)
        home = {c: place for place, c in enumerate(homes)}
        if m is None or len(wanted) <= m + 1 or all(abs(home[c] - place) <= m for place, c in enumerate(wanted)):
            return scores
        order: list[int] = []
        for place in range(len(wanted)):
            late = homes[place - m] if place >= m else None
            if late is None or late in order:
                late = next(c for c in wanted if c not in order and home[c] <= place + m)
            order.append(late)
        bounded = list(scores)
        for place, c in enumerate(order):
            bounded[c] = scores[wanted[place]]
        return bounded

    def listed(self, final: list[F], pinned: dict[int, int]) -> list[int]:
        limits = self.policy.category_limits
        quota: dict[int, int] = defaultdict(lambda: NO_LIMIT)
        if limits is not None:
            quota |= {row: limit - sum(self.category[c] == row for c in pinned) for row, limit in enumerate(limits)}
        order, exploration = self.by(final), self.policy.exploration
        free = [c for c in order if c not in pinned and quota[self.category[c]] > 0]
        u = [(n + 0.5) / 2**24 for n in numbers(self.of.request.seed, self.of.request.number, len(final) + 2)]
        if exploration.mode is Explore.EPSILON_GREEDY and free and u[0] < exploration.epsilon:
            led = free[floor(u[1] * len(free))]
            order = [led, *(c for c in order if c != led)]
        if exploration.mode is Explore.SOFTMAX:
            keys = {c: float(final[c] / F(exploration.temperature)) - log(-log(u[2 + c])) for c in order}
            order.sort(key=lambda c: -keys[c])
        found: list[int] = []
        for c in [c for c in order if c not in pinned]:
            quota[self.category[c]] -= 1
            if quota[self.category[c]] >= 0:
                found.append(c)
            else:
                self.bits[c] |= 32768
        for c, place in pinned.items():
            found.insert(place - 1, c)
        return found


def numbers(seed: int, decision: int, count: int) -> list[int]:
    def h(x: int) -> int:
        x = (x + 0x9E3779B9) % 2**32
        x = (x ^ x >> 16) * 0x85EBCA6B % 2**32
        x = (x ^ x >> 13) * 0xC2B2AE35 % 2**32
        return x ^ x >> 16

    key = h(h(seed) ^ decision)
    return [h(key ^ index) >> 8 for index in range(count)]
