"""Exploration: the order is drawn at random, and the probabilities of each candidate are known exactly.

Off-policy estimates and a cloud model that learn from the user's responses need the probability with which each offer
was shown. So the draw comes after all scores and before the slate's rules, which are fixed before the draw. Both
probabilities below are those of the final list.

A mode is one branch in `drawn_order`, one in `Draw.first_propensity` and one in `Draw.inclusion`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from edge_sdk.policy.inclusion import arrivals_within
from edge_sdk.policy.rules import Exploration, Explore
from edge_sdk.policy.slate import Slate
from edge_sdk.types import F32, F64, I64

_MASK: Final = 0xFFFFFFFF
_GOLDEN: Final = 0x9E3779B9  # 2^32 / golden ratio


def uniforms(seed: int, number: int, count: int) -> F64:
    """Returns the noise of a decision, (count,): (24 bits + 1/2) / 2^24, so never 0 or 1.

    The bits are the same in every language: h(h(h(seed) ^ number) ^ index) >> 8, with h(x) the finalizer of
    MurmurHash3 (Appleby, public domain) of x + 0x9E3779B9, all in 32 bits.
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
    """Returns one number of `uniforms`, in a tenth of the time."""
    return ((_mixed(_mixed(_mixed(seed & _MASK) ^ (number & _MASK)) ^ index) >> 8) + 0.5) * 2.0**-24


def drawn_order(exploration: Exploration, scores: F32, slate: Slate, seed: int, number: int) -> I64:
    """Returns the order after the draw.

    Args:
        exploration: the mode and its parameter.
        scores: (C,) final scores.
        slate: the eligible candidates, best first, and the slate's rules.
        seed, number: of the noise. Epsilon-greedy reads its numbers 0 and 1; number 2 + i is of candidate i.

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
        drawn: I64 = order[_by_sum(_logits(exploration, scores[order]), -np.log(-np.log(noise[order])))]
        return drawn
    return order


def _logits(exploration: Exploration, scores: F32) -> F64:
    """Returns the logarithms of the draw's weights: finite for every score, as f64 holds each quotient of two f32."""
    logits: F64 = scores.astype(np.float64) / exploration.temperature
    return logits


def _by_sum(one: F64, other: F64) -> I64:
    """Returns the places by the exact sums, highest first; equal sums keep their order.

    A rounded sum loses the noise of logits that are huge, and with it the draw among candidates of equal scores. The
    error of a sum is a number itself (Knuth's TwoSum), which decides where two rounded sums are equal.
    """
    total = one + other
    part = total - one
    error = (one - (total - part)) + (other - part)
    return np.lexsort((-error, -total))


class Draw(NamedTuple):
    """A drawn order, and the probabilities of the draw."""

    exploration: Exploration
    scores: F32  # (C,)
    slate: Slate
    order: I64  # (S,) as drawn, before the slate's rules

    def raised(self) -> I64:
        """Returns the candidate indices that the draw ranks higher than their scores do."""
        if self.order is self.slate.best_first:
            return np.zeros(0, np.int64)
        by_score, by_draw = np.empty((2, len(self.scores)), np.int64)
        by_score[self.slate.best_first] = by_draw[self.order] = np.arange(len(self.order))
        is_higher = by_draw[self.order] < by_score[self.order]
        return self.order[is_higher]

    def first_propensity(self) -> F64:
        """Returns the probability of each candidate to be first, (C,); the sum is 1 where any candidate is eligible."""
        probabilities, slate, free = np.zeros(len(self.scores)), self.slate, self.slate.free
        first = slate.listed(slate.best_first)[:1]
        if not len(first) or slate.is_pinned_first or not len(free):
            probabilities[first] = 1.0
        elif self.exploration.mode is Explore.SOFTMAX:
            logits = _logits(self.exploration, self.scores[free])
            weights = np.exp(logits - logits.max())
            probabilities[free] = weights / weights.sum()
        elif self.exploration.mode is Explore.EPSILON_GREEDY:
            probabilities[first] = 1.0 - self.exploration.epsilon
            probabilities[free] += self.exploration.epsilon / len(free)
        else:
            probabilities[first] = 1.0
        return probabilities

    def inclusion(self, limit: int | None) -> F64:
        """Returns the probability of each candidate to be among the first `limit` of the list, (C,); None = all of it.

        Softmax: candidates arrive at exponential times of rates exp(score / temperature), see `arrivals_within`.
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
                logits = _logits(self.exploration, self.scores[free])
                probabilities[free] = arrivals_within(logits, *slate.groups(), places)
        else:
            probabilities[shown] = 1.0
        return probabilities


def _led_by(order: I64, index: int) -> I64:
    """Returns the order with one candidate moved to the front."""
    return np.concatenate([[index], order[order != index]])
