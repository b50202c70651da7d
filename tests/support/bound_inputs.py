"""Reads the model's inputs of an engine's latest decision."""

from __future__ import annotations

from edge_sdk import Decision, Engine
from edge_sdk.model.inputs import ModelInputs, graph_inputs
from edge_sdk.model.projection import Projection
from edge_sdk.testing.white_box import internals
from tests.support.engine_acts import inputs_of


def made_from(engine: Engine, decision: Decision) -> ModelInputs:
    """Returns the arrays of the engine's latest decision, and checks that the graph was bound to exactly these."""
    inputs = inputs_of(decision)
    tables = internals(engine).bundle.tables
    assert tables is not None
    bound = internals(engine).session.bound_inputs(len(decision.candidates)).arrays
    for name, expected in graph_inputs(Projection(tables), inputs).items():
        if name != "weights":  # the graph that ranks has none
            assert bound[name].tobytes() == expected.tobytes(), name
    return inputs
