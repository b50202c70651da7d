"""The unchanged module through torch's exporter and ONNX Runtime, both with default options but one thread."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.peers.peer import Peer, Ready, kept
from benchmarks.work import ModelArray, Work
from cloud_export.models.device_model import INPUT_NAMES, OUTPUT_NAMES
from edge_sdk.model.onnx_runtime import onnxruntime
from edge_sdk.types import F32


def naive_export(work: Work) -> Path:
    """Returns the file of the exported graph; its inputs are raw events, its shapes those of the task."""
    path = kept(work, "naive.onnx")
    if not path.exists():
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            logging.getLogger("torch.onnx").setLevel(logging.ERROR)
            inputs = tuple(torch.from_numpy(array) for array in work.inputs)
            torch.onnx.export(
                work.model, inputs, path, input_names=INPUT_NAMES, output_names=OUTPUT_NAMES, dynamo=True, verbose=False
            )
    return path


def naive_session(work: Work) -> onnxruntime.InferenceSession:
    """Returns a session with default options but one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(naive_export(work)), options, providers=["CPUExecutionProvider"])


def feed(session: onnxruntime.InferenceSession, inputs: tuple[ModelArray, ...]) -> dict[str, ModelArray]:
    """Returns the inputs that the exporter kept in the graph, by name."""
    wanted = {graph_input.name for graph_input in session.get_inputs()}
    return {name: array for name, array in zip(INPUT_NAMES, inputs, strict=True) if name in wanted}


@contextmanager
def _run(work: Work) -> Iterator[Ready]:
    session = naive_session(work)
    call = partial(session.run, None, feed(session, work.inputs))
    yield Ready(call, lambda: call()[0])


@contextmanager
def _bound(work: Work) -> Iterator[Ready]:
    session = naive_session(work)
    candidates, objectives = len(work.base.offers), work.model.config.objectives
    fused: F32 = np.zeros(candidates, np.float32)
    logits: F32 = np.zeros((candidates, objectives), np.float32)
    inputs = feed(session, work.inputs)
    binding = session.io_binding()
    for name, array in inputs.items():
        binding.bind_cpu_input(name, array)
    for name, output in (("fused", fused), ("logits", logits)):
        binding.bind_output(name, "cpu", 0, np.float32, output.shape, output.ctypes.data)
    call = partial(session.run_with_iobinding, binding)

    def scores() -> F32:
        call()
        return fused.copy()

    yield Ready(call, scores)


PEERS = (
    Peer("naive_run", "naive export, session.run", _run, ("onnxruntime", "torch")),
    Peer("naive_bound", "naive export, pre-bound", _bound, ("onnxruntime", "torch")),
)
