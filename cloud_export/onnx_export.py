"""Torch → ONNX: the graph that ranks, the graph that explains, and the proof that they say what torch says.

The bytes depend on the weights alone: no path, time, stack trace or documentation string of this machine is in them.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import onnx
import torch
from torch import Tensor, nn

from cloud_export.edge_model import INPUT_NAMES, OUTPUT_NAMES, EdgeModel
from cloud_export.errors import CloudError
from cloud_export.parity import ParityError, ParityResult, check_explainer, check_parity

__all__ = [
    "ALLOWED_OPERATORS",
    "ExportError",
    "ForeignOperatorError",
    "ParityError",
    "ParityResult",
    "check_explainer",
    "check_parity",
    "export_explainer",
    "export_ranker",
    "foreign_operators",
    "node_count",
]

OPSET = 18
IR_VERSION = 8  # the oldest that knows opset 18; ONNX Runtime 1.20 takes up to 10
EXPLAINER_OUTPUTS = ("event_contribution", "counter_contribution")
# What a port has to implement; checked whenever a graph is exported.
ALLOWED_OPERATORS = frozenset(
    {"Add", "Asinh", "Concat", "Exp", "Gather", "Gemm", "Log", "MatMul", "Mul", "ReduceSum", "Reshape", "Sigmoid"}
    | {"Relu", "Slice", "Squeeze", "Sub", "Tanh", "Transpose", "Unsqueeze"}
)
_TRACED_CANDIDATES = 5  # any number but 0 and 1, which the tracer would take for constants


class ExportError(CloudError):
    """A model cannot be shipped as an ONNX graph."""


class ForeignOperatorError(ExportError):
    """The graph needs operators that the device does not promise."""

    def __init__(self, operators: tuple[str, ...]) -> None:
        self.operators = operators
        super().__init__(
            f"the graph uses {', '.join(operators)}, outside ALLOWED_OPERATORS; "
            "rewrite that part of cloud_export/edge_model.py with the allowed operators"
        )


def export_ranker(model: EdgeModel) -> bytes:
    """The graph that runs at every decision.

    Args:
        model: any mode; it is exported as in evaluation.

    Returns:
        A serialised ONNX model with the inputs `INPUT_NAMES` and the outputs fused float32 (candidates,) and logits
        float32 (candidates, K). The window is fixed, the number of candidates free.

    Raises:
        ForeignOperatorError: the module uses something that a device does not promise.
    """
    return _export(model, model, OUTPUT_NAMES)


def export_explainer(model: EdgeModel) -> bytes:
    """The graph that runs on `explain` only; ONNX Runtime computes every output of a graph, so it is one of its own.

    Args:
        model: any mode; it is exported as in evaluation.

    Returns:
        A serialised ONNX model with the same inputs and the outputs event_contribution float32 (N, candidates) and
        counter_contribution float32 (candidates, F), both fused with the weights. With base_logits @ weights they sum
        to the fused logit.

    Raises:
        ForeignOperatorError: the module uses something that a device does not promise.
    """
    return _export(_Explainer(model), model, EXPLAINER_OUTPUTS)


def foreign_operators(onnx_bytes: bytes) -> tuple[str, ...]:
    """Names of the operators outside `ALLOWED_OPERATORS`, sorted; those of another domain as `domain::name`."""
    proto = onnx.load_from_string(onnx_bytes)
    nodes = {f"{node.domain}::{node.op_type}" if node.domain else node.op_type for node in proto.graph.node}
    functions = {f"{function.domain}::{function.name}" for function in proto.functions}
    return tuple(sorted((nodes | functions) - ALLOWED_OPERATORS))


def node_count(onnx_bytes: bytes) -> int:
    """Nodes of the graph; ONNX Runtime spends about 0.3 µs on each."""
    return len(onnx.load_from_string(onnx_bytes).graph.node)


class _Explainer(nn.Module):
    def __init__(self, model: EdgeModel) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        event_item: Tensor,
        event_kind: Tensor,
        event_age_s: Tensor,
        event_value: Tensor,
        counters: Tensor,
        context: Tensor,
        candidate: Tensor,
        base_logits: Tensor,
        weights: Tensor,
    ) -> tuple[Tensor, Tensor]:
        # What `EdgeModel.contributions` gives, with the objectives fused first: no N × C table for each of them.
        events = self.model.embed_events(event_item, event_kind, event_age_s, event_value, context)
        readout = (self.model.readouts(candidate) * weights.unsqueeze(-1)).sum(-2)  # (C, d)
        gates = self.model.gates(candidate, events).transpose(0, 1)  # (N, C)
        counted = counters * (self.model.counter_weights() @ weights) * self.model.is_known(candidate)
        return gates * (events @ readout.transpose(0, 1)), counted


def _export(module: nn.Module, model: EdgeModel, outputs: tuple[str, ...]) -> bytes:
    was_training = model.training
    module.eval()
    candidates = torch.export.Dim("candidates", min=1)
    free = [{0: candidates} if name in ("counters", "candidate", "base_logits") else None for name in INPUT_NAMES]
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            module,
            _traced_inputs(model),
            input_names=INPUT_NAMES,
            output_names=outputs,
            opset_version=OPSET,
            dynamo=True,
            optimize=True,
            dynamic_shapes=tuple(free),
            verbose=False,
        )
    model.train(was_training)
    assert program is not None  # only the old exporter, which writes to a file, gives nothing
    onnx_bytes: bytes = _plain(program.model_proto).SerializeToString(deterministic=True)
    foreign = foreign_operators(onnx_bytes)
    if foreign:
        raise ForeignOperatorError(foreign)
    return onnx_bytes


def _traced_inputs(model: EdgeModel) -> tuple[Tensor, ...]:
    config, rows = model.config, _TRACED_CANDIDATES
    return (
        torch.zeros(config.window, dtype=torch.int32),
        torch.zeros(config.window, dtype=torch.int32),
        torch.zeros(config.window),
        torch.zeros(config.window),
        torch.zeros(rows, config.counter_features),
        torch.zeros(config.context_features),
        torch.zeros(rows, dtype=torch.int32),
        torch.zeros(rows, config.objectives),
        torch.zeros(config.objectives),
    )


def _plain(traced: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph without the tracer's traces: names by place, no documentation, metadata or inferred shapes."""
    graph = traced.graph
    kept = {*INPUT_NAMES, *(value.name for value in graph.output), ""}
    names = {name: name for name in kept}
    names |= {tensor.name: f"constant_{place}" for place, tensor in enumerate(graph.initializer)}
    nodes = []
    for place, node in enumerate(graph.node):
        names |= {name: f"{node.op_type}_{place}" for name in node.output if name not in kept}
        inputs, outputs = [names[name] for name in node.input], [names[name] for name in node.output]
        plain = onnx.helper.make_node(node.op_type, inputs, outputs, domain=node.domain)
        plain.attribute.extend(sorted(node.attribute, key=lambda attribute: attribute.name))
        for attribute in plain.attribute:
            attribute.ClearField("doc_string")
        nodes.append(plain)
    tensors = [onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(t), names[t.name]) for t in graph.initializer]
    inputs, outputs = [_value(value) for value in graph.input], [_value(value) for value in graph.output]
    plain_graph = onnx.helper.make_graph(nodes, "edge", inputs, outputs, tensors)
    model = onnx.helper.make_model(
        plain_graph,
        ir_version=IR_VERSION,
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        functions=list(traced.functions),
        producer_name="edge-sdk",
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def _value(value: onnx.ValueInfoProto) -> onnx.ValueInfoProto:
    tensor = value.type.tensor_type
    shape = [dim.dim_value if dim.HasField("dim_value") else "candidates" for dim in tensor.shape.dim]
    return onnx.helper.make_tensor_value_info(value.name, tensor.elem_type, shape)


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter warns of its own internals and of a missing torchvision: nothing that the caller could mend."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
