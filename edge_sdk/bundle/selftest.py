"""Runs a bundle's golden vectors on this device before the bundle is used."""

from __future__ import annotations

import numpy as np

from edge_sdk.bundle.bundle import Bundle
from edge_sdk.bundle.golden import Golden
from edge_sdk.errors import BundleInvalidError, SelfTestError
from edge_sdk.limits import LOGIT_TOLERANCE
from edge_sdk.memory.memory import replay
from edge_sdk.model.graph_check import check_graph, explainer_contract, ranker_contract
from edge_sdk.model.inputs import ModelInputs, Shape
from edge_sdk.model.protobuf import GraphError
from edge_sdk.model.session import ModelSession


def model_shape(bundle: Bundle) -> Shape:
    """Returns the sizes of the bundle's graph."""
    layout = bundle.layout
    return Shape(layout.window, layout.counter_features, bundle.policy.context_features, len(bundle.objectives))


def check_graphs(bundle: Bundle) -> None:
    """Proves both graphs before onnxruntime sees one of them; that of the explainer gets no session before it is used.

    Raises:
        BundleInvalidError: a graph has an operator, a field, a shape or a cost that this runtime does not allow.
    """
    layout, sizes = bundle.layout, model_shape(bundle)
    dimension = None if bundle.tables is None else bundle.tables.dimension
    rows = {
        "event_item": len(layout.items) + 1,
        "event_kind": len(layout.kinds) + 1,
        "candidate": len(layout.offers) + 1,
    }
    graphs = [("model", bundle.model, ranker_contract(sizes, dimension, rows))]
    if len(bundle.explainer):
        graphs.append(("explainer", bundle.explainer, explainer_contract(sizes, dimension, rows)))
    for field, graph, contract in graphs:
        try:
            check_graph(graph, contract)
        except GraphError as problem:
            raise BundleInvalidError(bundle.path, field, str(problem)) from problem


def tested_session(bundle: Bundle) -> ModelSession:
    """Checks both graphs, loads the model and runs the golden vectors.

    Raises:
        BundleInvalidError: a graph is not allowed, or onnxruntime cannot load it.
        SelfTestError: a vector gives other arrays on this device.
    """
    check_graphs(bundle)
    try:
        session = ModelSession(bundle.model, model_shape(bundle), bundle.tables, bundle.stand_ins)
        session.bound_inputs(1).run()  # a graph of another shape fails here even where no vector is packed
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
    memory.counters.fill(golden.now_ms, bundle.layout.counter_slots(golden.candidates), inputs.counters)
    for name in ("event_item", "event_kind", "event_age_s", "event_value", "counters"):
        if getattr(inputs, name).tobytes() != getattr(golden, name).tobytes():
            return name
    inputs.context[:] = golden.context
    inputs.candidate[:] = golden.candidates
    inputs.base_logits[:] = golden.base_logits
    call = session.bound_inputs(len(golden.candidates))
    call.set_inputs(inputs)
    call.run()
    return "" if np.allclose(call.logits, golden.logits, rtol=0.0, atol=LOGIT_TOLERANCE) else "logits"
