"""Runs a bundle's golden vectors on this device before the bundle is used."""

from __future__ import annotations

import numpy as np

from edge_sdk.bundle.bundle import Bundle
from edge_sdk.bundle.golden import Golden
from edge_sdk.errors import BundleInvalidError, SelfTestError
from edge_sdk.limits import LOGIT_TOLERANCE
from edge_sdk.memory.memory import replay
from edge_sdk.model.inputs import ModelInputs, Shape
from edge_sdk.model.session import ModelSession


def model_shape(bundle: Bundle) -> Shape:
    """Returns the sizes of the bundle's graph."""
    layout = bundle.layout
    return Shape(layout.window, layout.counter_features, bundle.policy.context_features, len(bundle.objectives))


def tested_session(bundle: Bundle) -> ModelSession:
    """Loads the model and runs the golden vectors.

    Raises:
        BundleInvalidError: onnxruntime cannot load the graph, or the graph has inputs of another shape.
        SelfTestError: a vector gives other arrays on this device.
    """
    try:
        session = ModelSession(bundle.model, model_shape(bundle), bundle.tables)
        session.bound(1).run()  # a graph of another shape fails here even where no vector is packed
        for number, golden in enumerate(bundle.golden):
            stage = _differing_stage(bundle, session, golden)
            if stage:
                raise SelfTestError(bundle.path, stage, number)
    except SelfTestError:
        raise
    except Exception as problem:  # onnxruntime's own exceptions share no root below Exception
        raise BundleInvalidError(bundle.path, "model", f"{type(problem).__name__}: {problem}") from problem
    return session


def _differing_stage(bundle: Bundle, session: ModelSession, golden: Golden) -> str:
    """The first array that differs; empty when all agree."""
    memory = replay(bundle.layout, golden.times_ms, golden.kinds, golden.items, golden.values)
    inputs = ModelInputs.empty(session.shape, len(golden.candidates))
    memory.fill_window(golden.now_ms, inputs.event_item, inputs.event_kind, inputs.event_age_s, inputs.event_value)
    memory.fill_counters(golden.now_ms, bundle.layout.counter_slots(golden.candidates), inputs.counters)
    for name in ("event_item", "event_kind", "event_age_s", "event_value", "counters"):
        if getattr(inputs, name).tobytes() != getattr(golden, name).tobytes():
            return name
    inputs.context[:] = golden.context
    inputs.candidate[:] = golden.candidates
    inputs.base_logits[:] = golden.base_logits
    call = session.bound(len(golden.candidates))
    call.take(inputs)
    call.run()
    return "" if np.allclose(call.logits, golden.logits, rtol=0.0, atol=LOGIT_TOLERANCE) else "logits"
