"""The model's session: plain arrays in, logits out, through tensors bound once for each number of candidates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_sdk.config import BOUND_SIZES
from edge_sdk.onnx_runtime import onnxruntime
from edge_sdk.types import F32, I32

GRAPH_INPUTS = (
    "event_item", "event_kind", "event_age_s", "event_value",
    "counters", "context", "candidate", "base_logits", "weights",
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """The fixed sizes of a scene's graph."""

    window: int  # N
    counter_features: int  # F
    context_features: int  # X
    objectives: int  # K


@dataclass(frozen=True, slots=True, eq=False)
class ModelInputs:
    """The graph's inputs for C candidates; the engine fills them in place."""

    event_item: I32  # (N,) newest first; 0 = unknown item or no event
    event_kind: I32  # (N,) 0 = no event
    event_age_s: F32  # (N,)
    event_value: F32  # (N,)
    counters: F32  # (C, F)
    context: F32  # (X,)
    candidate: I32  # (C,) offer rows
    base_logits: F32  # (C, K)
    weights: F32  # (K,)

    @classmethod
    def empty(cls, shape: Shape, candidates: int) -> ModelInputs:
        """Zeroed arrays for this many candidates."""
        n, c = shape.window, candidates
        return cls(
            event_item=np.zeros(n, np.int32),
            event_kind=np.zeros(n, np.int32),
            event_age_s=np.zeros(n, np.float32),
            event_value=np.zeros(n, np.float32),
            counters=np.zeros((c, shape.counter_features), np.float32),
            context=np.zeros(shape.context_features, np.float32),
            candidate=np.zeros(c, np.int32),
            base_logits=np.zeros((c, shape.objectives), np.float32),
            weights=np.zeros(shape.objectives, np.float32),
        )

    def named(self) -> dict[str, F32 | I32]:
        """The arrays by their graph names."""
        return {name: getattr(self, name) for name in GRAPH_INPUTS}


class BoundCall:
    """One call of the graph for a fixed number of candidates: no allocation, no copy."""

    def __init__(self, session: onnxruntime.InferenceSession, shape: Shape, candidates: int) -> None:
        self._session = session
        self.inputs = ModelInputs.empty(shape, candidates)
        self.fused: F32 = np.zeros(candidates, np.float32)
        self.logits: F32 = np.zeros((candidates, shape.objectives), np.float32)
        self._binding = session.io_binding()
        wanted = {graph_input.name for graph_input in session.get_inputs()}
        for name, array in self.inputs.named().items():
            if name in wanted:  # a scene without context has a graph that does not ask for it
                self._binding.bind_cpu_input(name, array)
        for name, output in (("fused", self.fused), ("logits", self.logits)):
            self._binding.bind_output(name, "cpu", 0, np.float32, output.shape, output.ctypes.data)

    def run(self) -> None:
        """Score what `inputs` holds into `fused` and `logits`."""
        self._session.run_with_iobinding(self._binding)


class Ranker:
    """The session and its bound calls. Not thread-safe: the buffers are shared; the engine serialises."""

    def __init__(self, model: memoryview, shape: Shape) -> None:
        """Load the graph.

        Raises:
            Exception: whatever onnxruntime raises for a graph that it cannot load.
        """
        self.shape = shape
        self._session = make_session(model)
        self._bound: dict[int, BoundCall] = {}

    def bound(self, candidates: int) -> BoundCall:
        """The call for this many candidates; the few newest counts are kept."""
        call = self._bound.get(candidates)
        if call is None:
            if len(self._bound) >= BOUND_SIZES:
                del self._bound[next(iter(self._bound))]
            call = self._bound[candidates] = BoundCall(self._session, self.shape, candidates)
        return call

    def forget(self) -> None:
        """Drop the buffers: they hold the last decisions' inputs."""
        self._bound.clear()


def make_session(model: memoryview) -> onnxruntime.InferenceSession:
    """A single-threaded session: at this size a second thread costs more than it brings."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    # onnxruntime's Python door takes nothing but bytes; this copy lives until the session has parsed it.
    return onnxruntime.InferenceSession(bytes(model), options, providers=["CPUExecutionProvider"])
