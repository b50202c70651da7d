"""Runs the model's graph: plain arrays in, logits out, through tensors bound once for each number of candidates.

Graphs of bundles up to format 2 contain the tables and read rows; later graphs read vectors that `projection` makes
from the rows. The arrays that a graph declares as inputs are bound by name.
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
    """The graph's inputs and outputs for a fixed number of candidates: a run needs no allocation and no copy.

    Attributes:
        arrays: what the graph reads, by name; written by this class alone.
        inputs: the inputs as rows; graphs up to format 2 read these.
        counters: (C, F) decayed counters, for the caller to fill.
        counter_bytes: the same as bytes. A `bytearray` of them costs 3% of a decision less than an array's `copy`.
        logits: (C, K) of the last `run`.
    """

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
        self.counter_bytes = self.counters.reshape(-1).view(np.uint8).data
        self.arrays = graph_inputs(projection, self.inputs)
        if events is not None:
            self.arrays |= {
                "event_term": events.term,
                "event_scale": events.scale,
                "event_fading": events.fading,
                "event_age_s": events.age_s,
            }
        self._rows: I64 | None = None
        self._one_hot: F32 | None = None
        self._binding = session.io_binding()
        wanted = {graph_input.name for graph_input in session.get_inputs()}
        for name, array in self.arrays.items():
            if name in wanted:  # a scene without context has a graph without that input
                self._binding.bind_cpu_input(name, array)
        outputs: dict[str, F32]
        if projection is None:
            self.logits: F32 = np.zeros((candidates, shape.objectives), np.float32)
            outputs = {"logits": self.logits, "fused": np.zeros(candidates, np.float32)}
        else:  # the logits of one objective are contiguous
            outputs = {"logits": np.zeros((shape.objectives, candidates), np.float32)}
            self.logits = outputs["logits"].T
        self._outputs = outputs  # kept alive: the binding has only their addresses
        for name, output in outputs.items():
            self._binding.bind_output(name, "cpu", 0, np.float32, output.shape, output.ctypes.data)

    @property
    def reads_rows(self) -> bool:
        """Whether the graph reads `inputs`, as up to format 2; others read what the setters below have set."""
        return self._projection is None

    def set_events(self, window: Window, now_ms: int) -> None:
        """Updates the arrays of events to match the window."""
        assert self._events is not None
        self._events.update(window, now_ms)

    def set_candidates(self, rows: I64, base_logits: F32, one_hot: F32) -> None:
        """Updates the arrays of candidates and of the context; arrays that are set already, the same objects, are free.

        Args:
            rows: (C,) offer rows.
            base_logits: (C, K), the same whenever the rows are.
            one_hot: (X,)
        """
        assert self._projection is not None
        arrays = self.arrays
        if rows is not self._rows:
            # 1.3 µs. Copies kept with the base decision would save 0.4 of them if two base decisions alternate.
            self._projection.queries.take(rows, axis=0, out=arrays["query"], mode="clip")
            self._projection.readouts.take(rows, axis=1, out=arrays["readout"], mode="clip")
            arrays["base_logits"][:] = base_logits.T
            self._rows = rows
        if one_hot is not self._one_hot:
            arrays["context_row"][:] = self._projection.context_row(one_hot)
            self._one_hot = one_hot

    def event_count(self) -> int:
        """Returns the number of events in the arrays."""
        return int(np.count_nonzero(self.arrays["event_kind" if self._projection is None else "event_fading"]))

    def set_inputs(self, raw: ModelInputs) -> None:
        """Sets all arrays from rows, for self-tests and replays, which have no window."""
        for name, array in graph_inputs(self._projection, raw).items():
            self.arrays[name][:] = array
        self._rows = self._one_hot = None
        if self._events is not None:
            self._events.token = None

    def run(self) -> None:
        """Runs the graph on the arrays and writes `logits`."""
        self._session.run_with_iobinding(self._binding)


class ModelSession:
    """Runs the model's graph; does not rank. Not thread-safe: the buffers are shared; the engine serialises."""

    def __init__(
        self, model: memoryview, shape: Shape, tables: ModelTables | None, stand_ins: F32 | None = None
    ) -> None:
        """Loads the graph.

        Args:
            model: ONNX.
            shape: the graph's sizes.
            tables: None = the graph contains the tables, as up to format 2.
            stand_ins: as `Projection` takes them.

        Raises:
            Exception: any exception of onnxruntime for a graph that it cannot load.
        """
        self.shape = shape
        self._session = make_session(model)
        self._projection = None if tables is None else Projection(tables, stand_ins)
        self._events = None if self._projection is None else ProjectedEvents(self._projection, shape.window)
        self._bound: dict[int, BoundInputs] = {}

    def bound_inputs(self, candidates: int) -> BoundInputs:
        """Returns the inputs for this number of candidates; those of the few newest numbers are kept."""
        call = self._bound.get(candidates)
        if call is None:
            if len(self._bound) >= BOUND_SIZES:
                del self._bound[next(iter(self._bound))]
            call = BoundInputs(self._session, self.shape, candidates, self._projection, self._events)
            self._bound[candidates] = call
        return call

    def forget(self) -> None:
        """Drops the buffers, which contain the inputs of the last decisions."""
        self._bound.clear()
        if self._events is not None:
            self._events.forget()


def make_session(model: memoryview) -> onnxruntime.InferenceSession:
    """Returns a single-threaded session: at this size a second thread costs more than it saves."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    # onnxruntime's Python interface takes only bytes; this copy lives until the session has parsed the model.
    return onnxruntime.InferenceSession(bytes(model), options, providers=["CPUExecutionProvider"])
