"""The scores of every candidate after each step of the policy."""

from __future__ import annotations

from typing import NamedTuple

from edge_sdk.types import F32


class Stages(NamedTuple):
    """Every candidate's score after each step, each (C,) float32. A step without a change shares the former array."""

    base: F32  # base logits fused with the weights
    model: F32  # the model's logits fused with the weights
    adjusted: F32  # after the warm-up weight and `max_score_change`
    boosted: F32  # after the operator's boosts
    priced: F32  # after λ · cost
    bounded: F32  # after `max_rank_change`
    final: F32  # after diversity

    @classmethod
    def of_base(cls, scores: F32) -> Stages:
        """Returns stages in which no step changed the base scores."""
        return cls(scores, scores, scores, scores, scores, scores, scores)
