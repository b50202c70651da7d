"""A bundle's golden vectors: events, one decision, and the arrays that every device must compute for it.

`selftest` runs them. The cloud makes them in cloud_export/export/golden.py.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from edge_sdk.bundle.policy_symbols import Fail, numbers
from edge_sdk.limits import CANDIDATES_MAX
from edge_sdk.log.record import NO_RECORDS, Records, items_of
from edge_sdk.memory.layout import MemoryLayout
from edge_sdk.policy.rules import Policy
from edge_sdk.types import F32, I32, Record

if TYPE_CHECKING:
    from edge_sdk.bundle.format.generated.edge_generated import GoldenT


class Golden(Record):
    """One golden vector: a decision after these events gives these arrays."""

    times_ms: tuple[int, ...]
    kinds: tuple[int, ...]
    items: tuple[int, ...]
    values: tuple[float, ...]
    now_ms: int
    context: F32  # (X,)
    candidates: I32  # (C,) offer rows
    base_logits: F32  # (C, K)
    event_item: I32  # (N,)
    event_kind: I32  # (N,)
    event_age_s: F32  # (N,)
    event_value: F32  # (N,)
    counters: F32  # (C, F)
    logits: F32  # (C, K)


def read_golden(raw: GoldenT, layout: MemoryLayout, policy: Policy, fail: Fail) -> Golden:
    """Returns one golden vector, its arrays checked against the sizes of the layout."""
    events: Records = NO_RECORDS if raw.events is None else raw.events
    candidates = numbers(raw.candidates, np.int32)
    if len(candidates) and not 0 <= candidates.min() <= candidates.max() <= len(layout.offers):
        fail("golden.candidates", "a row beyond the offers")
    c, k = len(candidates), len(policy.objectives)
    if c > CANDIDATES_MAX or not np.isfinite(events["value"]).all():
        fail("golden", f"{c} candidates, at most {CANDIDATES_MAX}; or an event whose value is NaN or infinite")
    return Golden(
        times_ms=tuple((events["time_s"].astype(np.int64) * 1000 + events["time_ms"]).tolist()),
        kinds=tuple(events["kind"].tolist()),
        items=tuple(items_of(events).tolist()),
        values=tuple(events["value"].tolist()),
        now_ms=raw.nowS * 1000 + raw.nowMs,
        context=_table(fail, "golden.context", raw.context, policy.context_features),
        candidates=candidates,
        base_logits=_table(fail, "golden.base_logits", raw.baseLogits, c, k),
        event_item=numbers(raw.eventItem, np.int32),
        event_kind=numbers(raw.eventKind, np.int32),
        event_age_s=numbers(raw.eventAgeS, np.float32),
        event_value=numbers(raw.eventValue, np.float32),
        counters=_table(fail, "golden.counters", raw.counters, c, layout.counter_features),
        logits=_table(fail, "golden.logits", raw.logits, c, k),
    )


def _table(fail: Fail, field: str, raw: object, *shape: int) -> F32:
    found = numbers(raw, np.float32)
    if len(found) != math.prod(shape):
        fail(field, f"{len(found)} numbers, not {math.prod(shape)}")
    return found.reshape(shape)
