"""Golden vectors: real users' last events and what the device must make of them, packed into every bundle."""

from __future__ import annotations

import numpy as np

from cloud_export.data.log import Log
from cloud_export.features.layout import DeviceLayout, context_vectors
from edge_sdk.bundle.golden import Golden
from edge_sdk.memory.memory import replay
from edge_sdk.model.inputs import ModelInputs, Shape
from edge_sdk.model.projection import ModelTables
from edge_sdk.model.session import ModelSession
from edge_sdk.types import F32, I32, I64

VECTORS = 3
EVENTS_MAX = 40  # enough to fill a window of 32 and to push events out of it
CANDIDATES_MAX = 8


def make_golden(
    log: Log, layout: DeviceLayout, model: bytes, tables: ModelTables, decisions: I64, base_logits: F32, seed: int
) -> tuple[Golden, ...]:
    """Self-tests from logged decisions.

    Args:
        log: the log.
        layout: the device's tables.
        model: the graph that ranks, ONNX.
        tables: those beside it.
        decisions: (D,) indices of the decisions to draw from.
        base_logits: (D, C, K) their base logits.
        seed: which ones.
    """
    generator = np.random.default_rng(seed)
    ranker = ModelSession(memoryview(model), shape_of(layout), tables)
    drawn = generator.choice(len(decisions), min(VECTORS, len(decisions)), replace=False)
    vectors = []
    for index in np.sort(drawn).tolist():
        decision = int(decisions[index])
        position = int(log.decisions.position[decision])
        begin = int(log.events.offsets[log.decisions.user[decision]])
        offers = log.decisions.candidate[log.decisions.offsets[decision] : log.decisions.offsets[decision + 1]]
        candidates = layout.offer_row[offers][:CANDIDATES_MAX].astype(np.int32)
        rows = np.arange(begin + max(0, position - EVENTS_MAX), begin + position)
        now_ms = int(log.decisions.time_ms[decision])
        context = context_vectors(layout.policy, log.decisions.context[decision : decision + 1])[0]
        base = base_logits[index, : len(candidates)]
        vectors.append(_vector(log, layout, ranker, rows, now_ms, context, candidates, base))
    return tuple(vectors)


def shape_of(layout: DeviceLayout) -> Shape:
    """The sizes of a layout's graph."""
    policy, memory = layout.policy, layout.memory
    return Shape(memory.window, memory.counter_features, policy.context_features, len(policy.objectives))


def _vector(
    log: Log,
    layout: DeviceLayout,
    ranker: ModelSession,
    rows: I64,
    now_ms: int,
    context: F32,
    candidates: I32,
    base_logits: F32,
) -> Golden:
    times = tuple(log.events.time_ms[rows].tolist())
    kinds = tuple(layout.kind_ids[log.events.kind[rows]].tolist())
    items = tuple(layout.item_ids[log.events.item[rows]].tolist())
    values = tuple(log.events.value[rows].tolist())
    memory = replay(layout.memory, times, kinds, items, values)
    inputs = ModelInputs.empty(ranker.shape, len(candidates))
    memory.fill_window(now_ms, inputs.event_item, inputs.event_kind, inputs.event_age_s, inputs.event_value)
    memory.fill_counters(now_ms, layout.memory.counter_slots(candidates), inputs.counters)
    inputs.context[:] = context
    inputs.candidate[:] = candidates
    inputs.base_logits[:] = base_logits
    call = ranker.bound(len(candidates))
    call.take(inputs)
    call.run()
    return Golden(
        times_ms=times,
        kinds=kinds,
        items=items,
        values=values,
        now_ms=now_ms,
        context=inputs.context,
        candidates=candidates,
        base_logits=inputs.base_logits,
        event_item=inputs.event_item,
        event_kind=inputs.event_kind,
        event_age_s=inputs.event_age_s,
        event_value=inputs.event_value,
        counters=inputs.counters,
        logits=call.logits.copy(),
    )
