"""ONNX Runtime's floor: a call of one empty node, and of as many empty nodes as our graph has."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import onnx

from benchmarks.peers.peer import Peer, Ready
from benchmarks.work import Work
from edge_sdk.bundle.container import open_container
from edge_sdk.bundle.reader import read_bundle
from edge_sdk.model.onnx_runtime import onnxruntime
from edge_sdk.model.session import make_session
from edge_sdk.types import F32


def nodes_run(model: bytes) -> int:
    """Returns the number of nodes that ONNX Runtime runs, those after its optimiser."""
    with tempfile.TemporaryDirectory(prefix="edge-nodes-") as folder:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.optimized_model_filepath = str(Path(folder) / "optimised.onnx")
        onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        return len(onnx.load(options.optimized_model_filepath).graph.node)


@contextmanager
def _one(work: Work) -> Iterator[Ready]:
    yield _bound(["Identity"])


@contextmanager
def _as_many(work: Work) -> Iterator[Ready]:
    bundle = read_bundle(work.bundle, open_container(work.bundle, trusted_keys=[work.public_key], allow_unsigned=False))
    nodes = nodes_run(bytes(bundle.model))
    ready = _bound(["Tanh"] * nodes)
    yield Ready(ready.call, ready.scores, note=f"{nodes} nodes, one number each")


def _bound(operators: list[str]) -> Ready:
    """Sets up a chain of operators on one number, pre-bound as our own call is."""
    names = ["given", *(f"after_{place}" for place in range(len(operators)))]
    value = partial(onnx.helper.make_tensor_value_info, elem_type=onnx.TensorProto.FLOAT, shape=[1])
    nodes = [
        onnx.helper.make_node(operator, [before], [after])
        for operator, before, after in zip(operators, names[:-1], names[1:], strict=True)
    ]
    graph = onnx.helper.make_graph(nodes, "floor", [value(names[0])], [value(names[-1])])
    model = onnx.helper.make_model(graph, ir_version=8, opset_imports=[onnx.helper.make_opsetid("", 18)])
    session = make_session(memoryview(model.SerializeToString()))
    given: F32 = np.ones(1, np.float32)
    result: F32 = np.zeros(1, np.float32)
    binding = session.io_binding()
    binding.bind_cpu_input(names[0], given)
    binding.bind_output(names[-1], "cpu", 0, np.float32, result.shape, result.ctypes.data)
    call = partial(_run, session, binding, given, result)
    return Ready(call, lambda: None)


def _run(session: onnxruntime.InferenceSession, binding: onnxruntime.IOBinding, *kept_alive: F32) -> None:
    session.run_with_iobinding(binding)


PEERS = (
    Peer("onnx_one", "ONNX Runtime, one empty node", _one, ("onnxruntime",), same_maths=False),
    Peer("onnx_nodes", "ONNX Runtime, our nodes empty", _as_many, ("onnxruntime",), same_maths=False),
)
