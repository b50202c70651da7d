"""The rules between scores and the final list. Pure over arrays; each rule leaves a reason code.

Order of the steps: validity dates, eligibility, caps and cooldowns take offers out; then the fused scores order what is
left. Fusion is a weighted sum of logits: it stays additive, so that an explanation's terms sum to the score, and a
person can change the weights without a new model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge_sdk.types import F32, I64, Reason


@dataclass(frozen=True, slots=True)
class ContextField:
    """A field of `rank`'s context and the closed list of its values."""

    name: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class EligibilityRule:
    """These offers may stand only while the context field has an allowed value; an absent field has none."""

    offers: npt.NDArray[np.bool_]  # (offers + 1,)
    field: int
    allowed: frozenset[int]


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """What validity dates and eligibility say of some offers, from one bound of a date to the next."""

    bits: I64 | None  # (C,) reason bits, 0 = may stand; None = all may
    from_ms: int
    until_ms: int  # exclusive


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """What a person set: objective weights and limits (caps live in memory, beside their counts)."""

    objectives: tuple[str, ...]
    weights: F32  # (K,)
    context: tuple[ContextField, ...]
    valid_from_ms: I64  # (offers + 1,) 0 = always
    valid_until_ms: I64  # (offers + 1,) 0 = for ever
    eligibility: tuple[EligibilityRule, ...]

    @property
    def context_features(self) -> int:
        """X: one place a value; at least 1, because a graph input may not be empty."""
        return max(1, sum(len(field.values) for field in self.context))

    def encode(self, context: Mapping[str, str]) -> tuple[F32, tuple[int, ...]]:
        """One-hot vector (X,) and the value index of each field (-1 = not given).

        Raises:
            KeyError: a field that the scene does not declare.
            ValueError: a value that the field does not list.
        """
        vector = np.zeros(self.context_features, np.float32)
        chosen: list[int] = []
        at = 0
        for field in self.context:
            value = context.get(field.name)
            index = -1 if value is None else field.values.index(value)
            if index >= 0:
                vector[at + index] = 1.0
            chosen.append(index)
            at += len(field.values)
        unknown = set(context).difference(field.name for field in self.context)
        if unknown:
            raise KeyError(sorted(unknown)[0])
        return vector, tuple(chosen)

    def standing(self, offer_rows: I64, chosen: tuple[int, ...], now_ms: int) -> Standing:
        """Which offers validity and eligibility take out, and how long that answer holds."""
        start, end = self.valid_from_ms[offer_rows], self.valid_until_ms[offer_rows]
        bits = np.where(start > now_ms, int(Reason.NOT_YET_VALID), 0)
        bits |= np.where((end > 0) & (end <= now_ms), int(Reason.EXPIRED), 0)
        for rule in self.eligibility:
            if chosen[rule.field] not in rule.allowed:
                bits |= np.where(rule.offers[offer_rows], int(Reason.NOT_ELIGIBLE), 0)
        bounds = np.concatenate([start, end])
        return Standing(
            bits=bits if bits.any() else None,
            from_ms=int(bounds[bounds <= now_ms].max(initial=0)),
            until_ms=int(bounds[bounds > now_ms].min(initial=1 << 62)),
        )


def fused(logits: F32, weights: F32) -> F32:
    """Logits (C, K) as one score each, (C,): products added in the order of the objectives, each step in float32.

    One arithmetic for the base's and the device's logits: where events say nothing the two are equal to the bit, and so
    are equal candidates wherever they stand (a matrix product rounds by position).
    """
    scores: F32 = logits[:, 0] * weights[0]
    for k in range(1, len(weights)):
        scores += logits[:, k] * weights[k]
    return scores


def by_score(scores: F32) -> I64:
    """Candidate indices, score descending, then lower index."""
    return np.argsort(-scores, kind="stable")


def places(order: I64) -> I64:
    """The place (0 = first) of each candidate in an order that holds them all."""
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return place
