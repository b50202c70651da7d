"""Exports the device's two ONNX graphs and the tables beside them; `parity.py` compares them with torch.

    logits = base + counters·w + Σ_d readout ⊙ (gates @ h)           gates = sigmoid(query @ hᵀ + b)
    h      = (e + relu(e·A)·B) ⊙ exp(age·fading)                      e = tanh((ages·T + context) ⊙ scale + term)

The graphs are built node by node, not traced: ONNX Runtime spends 0.3 µs and more on each node, so the choice of nodes
decides the model's speed. Their bytes depend on the weights alone, not on the version of torch.
Times below: ONNX Runtime 1.31, one thread, pre-bound, 50 candidates, d = 16, K = 2, of 13.8 µs at N = 32.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import torch
from onnx import helper
from torch import Tensor

from cloud_export.errors import CloudError
from cloud_export.models.device_model import DeviceModel
from edge_sdk.model.graph_check import Contract, check_graph, explainer_contract, ranker_contract
from edge_sdk.model.inputs import Shape
from edge_sdk.model.operators import OPERATORS
from edge_sdk.model.projection import ModelTables
from edge_sdk.model.protobuf import GraphError
from edge_sdk.types import F32

OPSET = 18
IR_VERSION = 8  # the oldest that knows opset 18; ONNX Runtime 1.20 takes up to 10
RANKER_OUTPUTS = ("logits",)
EXPLAINER_OUTPUTS = ("event_contribution", "counter_contribution")
ALLOWED_OPERATORS = frozenset(OPERATORS)  # those that a port must implement: the device's own list
_FREE = "candidates"


class ExportError(CloudError):
    """A model cannot be shipped as an ONNX graph."""


class ForeignOperatorError(ExportError):
    """The graph needs operators outside `ALLOWED_OPERATORS`."""

    def __init__(self, operators: tuple[str, ...]) -> None:
        self.operators = operators
        super().__init__(
            f"the graph uses {', '.join(operators)}, outside ALLOWED_OPERATORS; "
            "rewrite that part of cloud_export/export/onnx_graphs.py with the allowed operators"
        )


def export_ranker(model: DeviceModel) -> bytes:
    """Returns the graph that runs at every decision.

    Args:
        model: any mode; it is exported as in evaluation.

    Returns:
        A serialised ONNX model; docs/format.md lists its inputs. The output is logits float32 (K, candidates). The
        window is fixed, the number of candidates free.

    Raises:
        ForeignOperatorError: a node's operator is outside `ALLOWED_OPERATORS`.
        ExportError: a device would refuse the graph.
    """
    nodes = [
        *_events(model),
        *_gates("query", "h"),
        _node("MatMul", ["gates", "h"], "evidence"),
        # (K, C, d), not (C, K, d): no Unsqueeze, and evidence is read along its rows. With the two transposed factors
        # of the counters this is 1.5 µs less, 9%.
        _node("Mul", ["evidence", "readout"], "read"),
        _node("ReduceSum", ["read", "last_axis"], "residual", keepdims=0),
        _node("Gemm", ["counter_weights", "counters", "base_logits"], "counted", transB=1),
        _node("Add", ["counted", "residual"], "logits"),
    ]
    inputs = _event_inputs(model) | _candidate_inputs(model) | {"base_logits": [model.config.objectives, _FREE]}
    constants = _event_constants(model) | {
        "last_axis": np.array([-1], np.int64),
        "counter_weights": _array(model.counter_weights().T),
    }
    graph = _graph(nodes, inputs, {"logits": [model.config.objectives, _FREE]}, constants)
    return _proved(graph, ranker_contract(_sizes(model), model.config.dimension, {}))


def export_explainer(model: DeviceModel) -> bytes:
    """Returns the graph that runs on `explain` only.

    ONNX Runtime computes every output of a graph, so the contributions have a graph of their own: as further outputs of
    the ranking graph, gates and events would cost each decision 2%.

    Args:
        model: any mode; it is exported as in evaluation.

    Returns:
        A serialised ONNX model with the inputs of the ranking graph but base_logits, and weights float32 (K,). Outputs:
        event_contribution float32 (N, candidates) and counter_contribution float32 (candidates, F), both fused with
        the weights. With base_logits · weights they sum to the fused logit.

    Raises:
        ForeignOperatorError: a node's operator is outside `ALLOWED_OPERATORS`.
        ExportError: a device would refuse the graph.
    """
    # `DeviceModel.contributions` with the objectives fused first: no N × C table for each objective.
    nodes = [
        *_events(model),
        *_gates("h", "query"),
        _node("Unsqueeze", ["weights", "inner_axes"], "objective_weights"),
        _node("Mul", ["readout", "objective_weights"], "weighted"),
        _node("ReduceSum", ["weighted", "first_axis"], "fused_readout", keepdims=0),
        _node("Gemm", ["h", "fused_readout"], "values", transB=1),
        _node("Mul", ["gates", "values"], "event_contribution"),
        _node("MatMul", ["counter_weights", "weights"], "fused_counter_weights"),
        _node("Mul", ["counters", "fused_counter_weights"], "counter_contribution"),
    ]
    config = model.config
    inputs = _event_inputs(model) | _candidate_inputs(model) | {"weights": [config.objectives]}
    outputs: dict[str, Sequence[int | str]] = {
        "event_contribution": [config.window, _FREE],
        "counter_contribution": [_FREE, config.counter_features],
    }
    constants = _event_constants(model) | {
        "inner_axes": np.array([1, 2], np.int64),
        "first_axis": np.array([0], np.int64),
        "counter_weights": _array(model.counter_weights()),
    }
    graph = _graph(nodes, inputs, outputs, constants)
    return _proved(graph, explainer_contract(_sizes(model), model.config.dimension, {}))


def export_tables(model: DeviceModel) -> ModelTables:
    """Returns the tables with which the device projects events and candidates."""
    size, objectives = model.config.dimension, model.config.objectives
    with torch.no_grad():
        return ModelTables(
            items=_array(model.items()),
            value=_array(model.value_row()),
            kind_scale=_array(model.kind_scales()),
            kind_shift=_array(model.kind_shifts()),
            kind_fading=_array(model.kind_fadings().squeeze(-1)),
            context=_array(model.context_table),
            offers=_array(model.offers()),
            query=_array(model.query_weights()),
            readout=_array(model.readout.reshape(size, objectives, size).transpose(0, 1)),
        )


def foreign_operators(onnx_bytes: bytes) -> tuple[str, ...]:
    """Returns the operators outside `ALLOWED_OPERATORS`, sorted; those of another domain as `domain::name`."""
    proto = onnx.load_from_string(onnx_bytes)
    nodes = {f"{node.domain}::{node.op_type}" if node.domain else node.op_type for node in proto.graph.node}
    functions = {f"{function.domain}::{function.name}" for function in proto.functions}
    return tuple(sorted((nodes | functions) - ALLOWED_OPERATORS))


def node_count(onnx_bytes: bytes) -> int:
    """Returns the number of nodes; ONNX Runtime spends about 0.3 µs on each."""
    return len(onnx.load_from_string(onnx_bytes).graph.node)


# ---- parts that both graphs have ----


def _events(model: DeviceModel) -> list[onnx.NodeProto]:
    """`DeviceModel.embed_events`: h, (N, d)."""
    context = ["context_row"] if model.config.context_features else []
    return [
        _node("Add", ["event_age_s", "one"], "seconds"),
        _node("Log", ["seconds"], "logarithm"),
        # A product of (N, 1) and (1, 5), where Mul would broadcast: 3%.
        _node("MatMul", ["logarithm", "exponents"], "powers"),
        _node("Exp", ["powers"], "ages"),
        _node("Gemm", ["ages", "age_features", *context], "aged"),
        _node("Mul", ["aged", "event_scale"], "scaled"),
        _node("Add", ["scaled", "event_term"], "sum"),
        _node("Tanh", ["sum"], "e"),
        # Gemm, not MatMul: ONNX Runtime fuses Gemm and Relu into one node, 3%; and the gates' Gemm and Sigmoid.
        _node("Gemm", ["e", "hidden_in"], "hidden"),
        _node("Relu", ["hidden"], "rectified"),
        _node("Gemm", ["rectified", "hidden_out", "e"], "unfaded"),
        _node("Mul", ["event_age_s", "event_fading"], "faded"),
        _node("Exp", ["faded"], "freshness"),
        _node("Mul", ["unfaded", "freshness"], "h"),
    ]


def _gates(rows: str, columns: str) -> list[onnx.NodeProto]:
    """`DeviceModel.gates`, (C, N); with rows and columns exchanged (N, C)."""
    return [
        _node("Gemm", [rows, columns, "gate_bias"], "gate_logits", transB=1),
        _node("Sigmoid", ["gate_logits"], "gates"),
    ]


def _event_inputs(model: DeviceModel) -> dict[str, Sequence[int | str]]:
    window, size = model.config.window, model.config.dimension
    inputs: dict[str, Sequence[int | str]] = {
        "event_term": [window, size],
        "event_scale": [window, size],
        "event_fading": [window, 1],
        "event_age_s": [window, 1],
    }
    return inputs | {"context_row": [1, size]} if model.config.context_features else inputs


def _candidate_inputs(model: DeviceModel) -> dict[str, Sequence[int | str]]:
    config = model.config
    return {
        "query": [_FREE, config.dimension],
        "readout": [config.objectives, _FREE, config.dimension],
        "counters": [_FREE, config.counter_features],
    }


def _event_constants(model: DeviceModel) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]]:
    return {
        "one": np.ones(1, np.float32),
        "exponents": _array(model.exponents)[None],
        "age_features": _array(model.feature[:-1]),
        "hidden_in": _array(model.hidden_in),
        "hidden_out": _array(model.hidden_out),
        "gate_bias": _array(model.gate_bias).reshape(1),
    }


def _sizes(model: DeviceModel) -> Shape:
    config = model.config
    return Shape(config.window, config.counter_features, config.context_features, config.objectives)


def _proved(onnx_bytes: bytes, contract: Contract) -> bytes:
    """Returns the graph after the check that a device makes before it runs the graph."""
    try:
        check_graph(memoryview(onnx_bytes), contract)
    except GraphError as problem:
        raise ExportError(f"a device would refuse the graph: {problem}; change the scene's [model]") from problem
    return onnx_bytes


def _array(tensor: Tensor) -> F32:
    return np.ascontiguousarray(tensor.detach().numpy(), np.float32)


def _node(operator: str, inputs: list[str], output: str, **attributes: int) -> onnx.NodeProto:
    node = helper.make_node(operator, inputs, [output])
    node.attribute.extend(helper.make_attribute(name, value) for name, value in attributes.items())
    return node


def _graph(
    nodes: list[onnx.NodeProto],
    inputs: dict[str, Sequence[int | str]],
    outputs: dict[str, Sequence[int | str]],
    constants: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]],
) -> bytes:
    def values(shapes: dict[str, Sequence[int | str]]) -> list[onnx.ValueInfoProto]:
        return [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name, shape in shapes.items()]

    tensors = [onnx.numpy_helper.from_array(array, name) for name, array in constants.items()]
    model = helper.make_model(
        helper.make_graph(nodes, "edge", values(inputs), values(outputs), tensors),
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
        producer_name="edge-sdk",
    )
    onnx.checker.check_model(model, full_check=True)
    onnx_bytes: bytes = model.SerializeToString(deterministic=True)
    foreign = foreign_operators(onnx_bytes)
    if foreign:
        raise ForeignOperatorError(foreign)
    return onnx_bytes
