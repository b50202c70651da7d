"""The arguments of the model in C: weights, kept state and inputs, laid out for its vectors."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.work import ModelArray
from cloud_export.models.device_model import AGE_EXPONENTS, DeviceModel
from edge_sdk.types import F32, I32

Array = npt.NDArray[Any]
Number = TypeVar("Number", np.float32, np.int32)
CACHE_LINE_BYTES = 64
_LINE = CACHE_LINE_BYTES // 4  # numbers
LANES_AT_MOST = 16  # arrays are padded for the widest vectors, whatever the library was built for
GATE_SCALE = -1.0 / np.log(2.0)  # the gate is 1 / (1 + 2^x): folded into queries and bias once

_POINTERS = (
    "exponents",
    "age_weights",
    "hidden_in",
    "hidden_out",
    "counter_weights",
    "gate_bias",
    "items",
    "scales",
    "shifts",
    "fadings",
    "queries",
    "readouts",
    "contexts",
    "term",
    "scale",
    "fading",
    "context_row",
    "query",
    "readout",
    "age_s",
    "value",
    "item",
    "kind",
    "offer",
    "context",
    "counters",
    "base_logits",
    "mix",
    "logits",
    "fused",
    "work",
)


class CTask(ctypes.Structure):
    """`Task` of limit.c."""

    _fields_ = (
        *((name, ctypes.c_int32) for name in ("events", "candidates", "counter_width", "context_width")),
        *((name, ctypes.c_void_p) for name in _POINTERS),
    )


class ModelInputs(NamedTuple):
    """Inputs of `DeviceModel.forward` without batch dimensions."""

    item: ModelArray
    kind: ModelArray
    age_s: ModelArray
    value: ModelArray
    counters: ModelArray
    context: ModelArray
    candidate: ModelArray
    base_logits: ModelArray
    weights: ModelArray


@dataclass(frozen=True, slots=True, eq=False)
class LimitTask:
    """The structure, and the arrays that its pointers point to."""

    structure: CTask
    arrays: dict[str, ModelArray]
    logits: F32  # (C, K)
    fused: F32  # (C,), written by the entry point of raw events alone


def limit_task(model: DeviceModel, inputs: ModelInputs, work_floats: int) -> LimitTask:
    """Lays out a call of both entry points.

    Args:
        model: its weights are copied.
        inputs: of one decision; the number of events need not be a multiple of anything.
        work_floats: the result of `limit_work_floats` for the padded events and these candidates.
    """
    tables = _tables(model)
    candidates, objectives = len(inputs.candidate), model.config.objectives
    room = candidates * objectives + LANES_AT_MOST
    logits, fused = _aligned(np.zeros(room)), _aligned(np.zeros(candidates))
    arrays: dict[str, ModelArray] = {
        **tables,
        **_state(tables, inputs),
        **_events(inputs),
        "offer": _whole(inputs.candidate),
        "context": _aligned(inputs.context),
        "counters": _aligned(_padded(inputs.counters)),
        "base_logits": _aligned(np.resize(inputs.base_logits, room)),
        "mix": _aligned(inputs.weights),
        "logits": logits,
        "fused": fused,
        "work": _aligned(np.zeros(work_floats)),
    }
    structure = CTask(
        events=len(arrays["age_s"]),
        candidates=candidates,
        counter_width=arrays["counters"].shape[1],
        context_width=len(inputs.context),
        **{name: array.ctypes.data for name, array in arrays.items()},
    )
    return LimitTask(structure, arrays, logits[: candidates * objectives].reshape(candidates, objectives), fused)


def padded_count(count: int) -> int:
    """Returns the next multiple of the widest vector."""
    return -(-count // LANES_AT_MOST) * LANES_AT_MOST


def _tables(model: DeviceModel) -> dict[str, F32]:
    """Returns everything that depends on the weights alone."""
    with torch.no_grad():
        offers = model.offers().double()
        tables = {
            "exponents": -torch.tensor(AGE_EXPONENTS),
            "age_weights": torch.cat([model.feature[:-1], model.value_row()[None]]),
            "hidden_in": model.hidden_in,
            "hidden_out": model.hidden_out,
            "counter_weights": torch.from_numpy(_padded(model.counter_weights().T.numpy())),
            "gate_bias": model.gate_bias.double().reshape(1) * GATE_SCALE,
            "items": model.items(),
            "scales": model.kind_scales(),
            "shifts": model.kind_shifts(),
            "fadings": model.kind_fadings(),
            "queries": offers @ model.query_weights().double() * GATE_SCALE,
            "readouts": offers @ model.readout.double(),
            "contexts": model.context_table,
        }
        return {name: _aligned(table.numpy()) for name, table in tables.items()}


def _state(tables: dict[str, F32], inputs: ModelInputs) -> dict[str, F32]:
    """Returns the state that a runtime keeps from one decision to the next; events along the last axis."""
    scale = tables["scales"][inputs.kind]
    mixed = tables["items"][inputs.item] + np.arcsinh(inputs.value)[:, None] * tables["age_weights"][-1]
    return {
        "term": _aligned(_padded((mixed * scale + tables["shifts"][inputs.kind]).T)),
        "scale": _aligned(_padded(scale.T)),
        "fading": _aligned(_padded(tables["fadings"][inputs.kind].T)),
        "context_row": _aligned(inputs.context @ tables["contexts"]),
        "query": _aligned(tables["queries"][inputs.candidate]),
        "readout": _aligned(tables["readouts"][inputs.candidate]),
    }


def _events(inputs: ModelInputs) -> dict[str, ModelArray]:
    return {
        "age_s": _aligned(_padded(inputs.age_s)),
        "value": _aligned(_padded(inputs.value)),
        "item": _whole(_padded(inputs.item)),
        "kind": _whole(_padded(inputs.kind)),
    }


def _padded(array: Array) -> Array:
    """Zeros behind the last axis up to a multiple of the widest vector."""
    missing = padded_count(array.shape[-1]) - array.shape[-1]
    return np.pad(array, [(0, 0)] * (array.ndim - 1) + [(0, missing)])


def _aligned(array: Array) -> F32:
    """A float32 copy that starts at a cache line: a vector must not lie across two."""
    return _copied(array, np.zeros(array.size + _LINE, np.float32))


def _whole(array: Array) -> I32:
    """The same of int32."""
    return _copied(array, np.zeros(array.size + _LINE, np.int32))


def _copied(array: Array, room: npt.NDArray[Number]) -> npt.NDArray[Number]:
    start = -room.ctypes.data % CACHE_LINE_BYTES // room.itemsize
    result = room[start : start + array.size].reshape(array.shape)
    result[...] = array
    return result
