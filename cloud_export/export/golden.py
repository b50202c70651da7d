"""Makes a bundle's golden vectors: the last events of real users, and what a device must compute from them.

The reader is edge_sdk/bundle/golden.py; edge_sdk/bundle/selftest.py runs the vectors on the device.
"""

from __future__ import annotations

import numpy as np

from cloud_export.data.log import Log
from cloud_export.features.layout import DeviceLayout, context_vectors
from edge_sdk.bundle.golden import Golden
from edge_sdk.memory.memory import replay
from edge_sdk.model.inputs import ModelInputs, Shape
from edge_sdk.model.projection import ModelTables
from edge_sdk.model.session import ModelSession
from edge_sdk.types import F32, I64

VECTORS = 3
EVENTS_MAX = 40  # enough to fill a window of 32 and to push events out of it
CANDIDATES_MAX = 8


def make_golden(
    log: Log, layout: DeviceLayout, model: bytes, tables: ModelTables, decisions: I64, base_logits: F32, seed: int
) -> tuple[Golden, ...]:
    """Returns golden vectors of logged decisions.

    Args:
        log: the log.
        layout: the device's tables.
        model: the graph that ranks, ONNX.
        tables: the model's tables.
        decisions: (D,) indices of the decisions to draw from.
        base_logits: (D, C, K) their base logits.
        seed: of the draw.
    """
    generator = np.random.default_rng(seed)
    session = ModelSession(memoryview(model), shape_of(layout), tables)
    drawn = generator.choice(len(decisions), min(VECTORS, len(decisions)), replace=False)
    return tuple(
        _vector(log, layout, session, int(decisions[index]), base_logits[index]) for index in np.sort(drawn).tolist()
    )


def shape_of(layout: DeviceLayout) -> Shape:
    """Returns the sizes of a layout's graph."""
    policy, memory = layout.policy, layout.memory
    return Shape(memory.window, memory.counter_features, policy.context_features, len(policy.objectives))


def _vector(log: Log, layout: DeviceLayout, session: ModelSession, decision: int, base_logits: F32) -> Golden:
    decisions = log.decisions
    position, begin = int(decisions.position[decision]), int(log.event_offsets[decisions.user[decision]])
    rows = np.arange(begin + max(0, position - EVENTS_MAX), begin + position)
    times = tuple(log.event_time_ms[rows].tolist())
    kinds = tuple(layout.kind_ids[log.event_kind[rows]].tolist())
    items = tuple(layout.item_ids[log.event_item[rows]].tolist())
    values = tuple(log.event_value[rows].tolist())
    offers = decisions.candidate[decisions.offsets[decision] : decisions.offsets[decision + 1]]
    candidates = layout.offer_row[offers][:CANDIDATES_MAX].astype(np.int32)
    now_ms = int(decisions.time_ms[decision])
    memory = replay(layout.memory, times, kinds, items, values)
    inputs = ModelInputs.empty(session.shape, len(candidates))
    memory.fill_window(now_ms, inputs.event_item, inputs.event_kind, inputs.event_age_s, inputs.event_value)
    memory.fill_counters(now_ms, layout.memory.counter_slots(candidates), inputs.counters)
    inputs.context[:] = context_vectors(layout.policy, decisions.context[decision : decision + 1])[0]
    inputs.candidate[:] = candidates
    inputs.base_logits[:] = base_logits[: len(candidates)]
    call = session.bound(len(candidates))
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
