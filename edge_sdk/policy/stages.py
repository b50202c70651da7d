"""Scores of every candidate after each step of the policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from edge_sdk.types import F32

if TYPE_CHECKING:
    pass


class Stages(NamedTuple):
    """Every candidate's score after each step, each (C,) float32. A step that did nothing shares the former array."""

    base: F32  # base logits fused with the weights
    model: F32  # the model's logits fused with the weights
    adjusted: F32  # after the gate and the largest shift
    boosted: F32  # after the operator's boosts
    priced: F32  # after λ · cost
    bounded: F32  # after the largest move
    final: F32  # after diversity

    @classmethod
    def of_base(cls, scores: F32) -> Stages:
        """Nothing but the base."""
        return cls(scores, scores, scores, scores, scores, scores, scores)
