"""The model's session: plain arrays in, logits out, through tensors bound once for each number of candidates.

The graphs of bundles up to format 2 take rows and have their tables in them; later ones take what the tables say of the
rows. What a graph asks for, by name, is what is bound.
"""

from __future__ import annotations

import numpy as np

from edge_sdk.limits import BOUND_SIZES
from edge_sdk.memory.window import Window
from edge_sdk.model.inputs import ModelInputs, Shape, graph_inputs
from edge_sdk.model.onnx_runtime import onnxruntime
from edge_sdk.model.projection import ModelTables, ProjectedEvents, Projection
from edge_sdk.types import F32, I64


class BoundInputs:
    """One call of the graph for a fixed number of candidates: no allocation, no copy."""

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        shape: Shape,
        candidates: int,
        projection: Projection | None,
        events: ProjectedEvents | None,
    ) -> None:
        self._session, self._projection, self._events = session, projection, events
        self.inputs = ModelInputs.empty(shape, candidates)
        self.counters = self.inputs.counters
        self._arrays = graph_inputs(projection, self.inputs)
        if events is not None:
            self._arrays |= {
                "event_term": events.term,
                "event_scale": events.scale,
                "event_fading": events.fading,
                "event_age_s": events.age_s,
            }
        self._rows: I64 | None = None
        self._one_hot: F32 | None = None
        self._binding = session.io_binding()
        wanted = {graph_input.name for graph_input in session.get_inputs()}
        for name, array in self._arrays.items():
            if name in wanted:  # a scene without context has a graph that does not ask for it
                self._binding.bind_cpu_input(name, array)
        outputs: dict[str, F32]
        if projection is None:
            self.logits: F32 = np.zeros((candidates, shape.objectives), np.float32)
            outputs = {"logits": self.logits, "fused": np.zeros(candidates, np.float32)}
        else:  # each objective's logits lie side by side
            outputs = {"logits": np.zeros((shape.objectives, candidates), np.float32)}
            self.logits = outputs["logits"].T
        self._outputs = outputs  # kept: the binding knows their addresses only
        for name, output in outputs.items():
            self._binding.bind_output(name, "cpu", 0, np.float32, output.shape, output.ctypes.data)

    @property
    def takes_rows(self) -> bool:
        """Whether the graph reads `inputs`, as up to format 2; the others read what `hold` and `follow` were given."""
        return self._projection is None

    def follow(self, window: Window, now_ms: int) -> None:
        """Take the events that the window holds now."""
        assert self._events is not None
        self._events.follow(window, now_ms)

    def hold(self, rows: I64, base_logits: F32, one_hot: F32) -> None:
        """Take candidates and context; what the call holds already, the very same arrays, costs nothing.

        Args:
            rows: (C,) offer rows.
            base_logits: (C, K), the same whenever the rows are.
            one_hot: (X,)
        """
        assert self._projection is not None
        arrays = self._arrays
        if rows is not self._rows:
            # 1.3 µs. Copies kept with the base decision would save 0.4 of them where two take turns.
            self._projection.queries.take(rows, axis=0, out=arrays["query"], mode="clip")
            self._projection.readouts.take(rows, axis=1, out=arrays["readout"], mode="clip")
            arrays["base_logits"][:] = base_logits.T
            self._rows = rows
        if one_hot is not self._one_hot:
            arrays["context_row"][:] = self._projection.context_row(one_hot)
            self._one_hot = one_hot

    def events_held(self) -> int:
        """How many events the window's arrays hold."""
        return int(np.count_nonzero(self._arrays["event_kind" if self._projection is None else "event_fading"]))

    def take(self, raw: ModelInputs) -> None:
        """Take all inputs from rows: self-tests and replays, which know no window."""
        for name, array in graph_inputs(self._projection, raw).items():
            self._arrays[name][:] = array
        self._rows = self._one_hot = None
        if self._events is not None:
            self._events.token = None

    def run(self) -> None:
        """Score what the call holds into `logits`."""
        self._session.run_with_iobinding(self._binding)


class ModelSession:
    """The session and its bound calls. Not thread-safe: the buffers are shared; the engine serialises."""

    def __init__(self, model: memoryview, shape: Shape, tables: ModelTables | None) -> None:
        """Load the graph.

        Args:
            model: ONNX.
            shape: its sizes.
            tables: None = the graph has them, as those up to format 2 do.

        Raises:
            Exception: whatever onnxruntime raises for a graph that it cannot load.
        """
        self.shape = shape
        self._session = make_session(model)
        self._projection = None if tables is None else Projection(tables)
        self._events = None if self._projection is None else ProjectedEvents(self._projection, shape.window)
        self._bound: dict[int, BoundInputs] = {}

    def bound(self, candidates: int) -> BoundInputs:
        """The call for this many candidates; the few newest counts are kept."""
        call = self._bound.get(candidates)
        if call is None:
            if len(self._bound) >= BOUND_SIZES:
                del self._bound[next(iter(self._bound))]
            call = BoundInputs(self._session, self.shape, candidates, self._projection, self._events)
            self._bound[candidates] = call
        return call

    def forget(self) -> None:
        """Drop the buffers: they hold the last decisions' inputs."""
        self._bound.clear()
        if self._events is not None:
            self._events.forget()


def make_session(model: memoryview) -> onnxruntime.InferenceSession:
    """A single-threaded session: at this size a second thread costs more than it brings."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    # onnxruntime's Python door takes nothing but bytes; this copy lives until the session has parsed it.
    return onnxruntime.InferenceSession(bytes(model), options, providers=["CPUExecutionProvider"])
