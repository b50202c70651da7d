"""The arrays that the model's graphs read."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edge_sdk.model.projection import Projection
from edge_sdk.types import F32, I32

RAW_INPUTS = (
    "event_item",
    "event_kind",
    "event_age_s",
    "event_value",
    "counters",
    "context",
    "candidate",
    "base_logits",
    "weights",
)


class Shape(NamedTuple):
    """The sizes of a scene's graph."""

    window: int  # N
    counter_features: int  # F
    context_features: int  # X
    objectives: int  # K


class ModelInputs(NamedTuple):
    """The inputs of one decision about C candidates, as rows: what graphs up to format 2 read."""

    event_item: I32  # (N,) newest first; 0 = unknown item or no event
    event_kind: I32  # (N,) 0 = no event
    event_age_s: F32  # (N,)
    event_value: F32  # (N,)
    counters: F32  # (C, F)
    context: F32  # (X,)
    candidate: I32  # (C,) offer rows
    base_logits: F32  # (C, K)
    weights: F32  # (K,)

    @classmethod
    def empty(cls, shape: Shape, candidates: int) -> ModelInputs:
        """Returns zeroed arrays for this number of candidates."""
        n, c = shape.window, candidates
        return cls(
            event_item=np.zeros(n, np.int32),
            event_kind=np.zeros(n, np.int32),
            event_age_s=np.zeros(n, np.float32),
            event_value=np.zeros(n, np.float32),
            counters=np.zeros((c, shape.counter_features), np.float32),
            context=np.zeros(shape.context_features, np.float32),
            candidate=np.zeros(c, np.int32),
            base_logits=np.zeros((c, shape.objectives), np.float32),
            weights=np.zeros(shape.objectives, np.float32),
        )

    def named(self) -> dict[str, F32 | I32]:
        """Returns the arrays by name."""
        return {name: getattr(self, name) for name in RAW_INPUTS}


def graph_inputs(projection: Projection | None, raw: ModelInputs) -> dict[str, F32 | I32]:
    """Returns the arrays that a graph of a bundle may read, by name; without a projection, the raw arrays."""
    if projection is None:
        return raw.named()
    term, scale, fading = projection.events(raw.event_item, raw.event_kind, raw.event_value)
    return {
        "event_term": term,
        "event_scale": scale,
        "event_fading": np.reshape(fading, (-1, 1)),
        "event_age_s": raw.event_age_s[:, None],
        "context_row": projection.context_row(raw.context),
        "query": projection.queries.take(raw.candidate, axis=0),
        "readout": projection.readouts.take(raw.candidate, axis=1),
        "counters": raw.counters,
        "base_logits": np.ascontiguousarray(raw.base_logits.T),
        "weights": raw.weights,
    }
