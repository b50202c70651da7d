"""Exploration: offers get a chance that the scores do not give them, with probabilities that are known exactly.

Whoever learns from the answers later (off-policy estimates, a cloud model) needs to know how probable it was that an
offer stood where it stood. So the draw is made after everything that the scores decide and before the slate's rules,
which are fixed by then; both probabilities below are those of the list that is shown.

A mode is one branch in `drawn_order`, one in `Draw.first_propensity` and one in `Draw.inclusion`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from edge_sdk.policy.inclusion import _WORST, _arrivals_within
from edge_sdk.policy.rules import Exploration, Explore
from edge_sdk.policy.slate import Slate
from edge_sdk.types import F32, F64, I64

_MASK: Final = 0xFFFFFFFF
_GOLDEN: Final = 0x9E3779B9  # 2^32 / golden ratio


def uniforms(seed: int, number: int, count: int) -> F64:
    """Noise of a decision, (count,): (24 bits + 1/2) / 2^24, so neither 0 nor 1.

    Bits in every language: h(h(h(seed) ^ number) ^ index) >> 8, with h(x) the finalizer of MurmurHash3 (Appleby, public
    domain) of x + 0x9E3779B9, all in 32 bits.
    """
    key = _mixed(_mixed(seed & _MASK) ^ (number & _MASK))
    x = np.arange(count, dtype=np.uint32) ^ np.uint32(key)
    x += np.uint32(_GOLDEN)
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x85EBCA6B)
    x ^= x >> np.uint32(13)
    x *= np.uint32(0xC2B2AE35)
    x ^= x >> np.uint32(16)
    return ((x >> np.uint32(8)).astype(np.float64) + 0.5) * 2.0**-24


def _mixed(x: int) -> int:
    x = (x + _GOLDEN) & _MASK
    x = ((x ^ x >> 16) * 0x85EBCA6B) & _MASK
    x = ((x ^ x >> 13) * 0xC2B2AE35) & _MASK
    return x ^ x >> 16


def uniform(seed: int, number: int, index: int) -> float:
    """One of them: a tenth of numpy's cost."""
    return ((_mixed(_mixed(_mixed(seed & _MASK) ^ (number & _MASK)) ^ index) >> 8) + 0.5) * 2.0**-24


def drawn_order(exploration: Exploration, scores: F32, slate: Slate, seed: int, number: int) -> I64:
    """The order after the draw.

    Args:
        exploration: the mode.
        scores: (C,) final ones.
        slate: who stands, best first, and the slate's rules.
        seed, number: of the noise. 0 and 1 of it are for epsilon-greedy, from 2 on one is each candidate's.

    Returns:
        (S,) candidate indices.
    """
    order = slate.best_first
    if exploration.mode is Explore.EPSILON_GREEDY:
        if uniform(seed, number, 0) < exploration.epsilon and len(slate.free):
            return _led_by(order, int(slate.free[int(uniform(seed, number, 1) * len(slate.free))]))
        return order
    if exploration.mode is Explore.SOFTMAX:
        noise = uniforms(seed, number, len(scores) + 2)[2:]
        keys = scores[order] / exploration.temperature - np.log(-np.log(noise[order]))
        drawn: I64 = order[np.argsort(-keys, kind="stable")]
        return drawn
    return order


class Draw(NamedTuple):
    """How an order was drawn, and the probabilities that it had."""

    exploration: Exploration
    scores: F32  # (C,)
    slate: Slate
    order: I64  # (S,) as drawn, before the slate's rules

    def raised(self) -> I64:
        """Candidate indices that the draw put higher than their scores do."""
        if self.order is self.slate.best_first:
            return np.zeros(0, np.int64)
        by_score, by_draw = np.empty((2, len(self.scores)), np.int64)
        by_score[self.slate.best_first] = by_draw[self.order] = np.arange(len(self.order))
        is_higher = by_draw[self.order] < by_score[self.order]
        return self.order[is_higher]

    def first_propensity(self) -> F64:
        """(C,) the probability to stand first; they sum to 1 where any candidate stands."""
        probabilities, slate, free = np.zeros(len(self.scores)), self.slate, self.slate.free
        first = slate.listed(slate.best_first)[:1]
        if not len(first) or slate.is_pinned_first or not len(free):
            probabilities[first] = 1.0
        elif self.exploration.mode is Explore.SOFTMAX:
            weights = self._weights(free)
            probabilities[free] = weights / weights.sum()
        elif self.exploration.mode is Explore.EPSILON_GREEDY:
            probabilities[first] = 1.0 - self.exploration.epsilon
            probabilities[free] += self.exploration.epsilon / len(free)
        else:
            probabilities[first] = 1.0
        return probabilities

    def inclusion(self, limit: int | None) -> F64:
        """(C,) the probability to be among the first `limit` of the list (None = anywhere on it).

        Softmax: candidates arrive at exponential times of rates exp(score / temperature) (Plackett–Luce is the order of
        such arrivals), so given one's own time the others' arrivals are independent, and how many have come of each
        category is a Poisson-binomial count. The integral over one's own time is a trapezoid in its logarithm.
        """
        probabilities, slate, free = np.zeros(len(self.scores)), self.slate, self.slate.free
        size = len(slate.best_first) if limit is None else max(0, limit)
        shown = slate.listed(slate.best_first)[:size]
        if self.exploration.mode is Explore.EPSILON_GREEDY and len(free):
            probabilities[shown] = 1.0 - self.exploration.epsilon
            for index in free.tolist():
                led = slate.listed(_led_by(slate.best_first, index))[:size]
                probabilities[led] += self.exploration.epsilon / len(free)
        elif self.exploration.mode is Explore.SOFTMAX and len(free):
            pinned = slate.pinned_within(size)
            probabilities[pinned] = 1.0
            places = size - len(pinned)
            if places > 0:
                probabilities[free] = _arrivals_within(self._weights(free), *slate.groups(), places)
        else:
            probabilities[shown] = 1.0
        return probabilities

    def _weights(self, free: I64) -> F64:
        logits = self.scores[free].astype(np.float64) / self.exploration.temperature
        weights: F64 = np.exp(np.maximum(logits - logits.max(), _WORST))
        return weights


def _led_by(order: I64, index: int) -> I64:
    """The order with one candidate in front."""
    return np.concatenate([[index], order[order != index]])


# ---- inclusion of Plackett–Luce under category limits ----
