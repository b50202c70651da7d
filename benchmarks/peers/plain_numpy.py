"""The model in plain numpy, as an engineer writes it who wants no runtime at all.

Everything that depends on the weights alone (tables of items and of offers, projected tables) is computed once, as in
every exported graph; nothing is kept from one call to the next.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.peers.peer import Peer, Ready
from benchmarks.work import Work
from cloud_export.models.device_model import AGE_EXPONENTS, FADING_S, VALUE_SCALE, DeviceModel
from edge_sdk.types import F32, I32


class NumpyInputs(NamedTuple):
    """The inputs of `DeviceModel.forward` in its order, without batch dimensions."""

    item: I32
    kind: I32
    age_s: F32
    value: F32
    counters: F32
    context: F32
    candidate: I32
    base_logits: F32
    weights: F32


class NumpyModel:
    """`DeviceModel.forward` without torch."""

    def __init__(self, model: DeviceModel) -> None:
        with torch.no_grad():
            offers = model.offers()
            self._items = _array(model.items())
            self._query = _array(offers @ model.query / math.sqrt(model.config.dimension))
            self._readout = _array(offers @ model.readout)
            self._features = _array(model.feature)
            self._features[-1] *= VALUE_SCALE
            self._counter_weights = _array(model.counter_weights())
            self._context, self._gate_bias = _array(model.context_table), float(model.gate_bias)
            self._hidden_in, self._hidden_out = _array(model.hidden_in), _array(model.hidden_out)
            self._scale = _behind_zero(_array(model.kind_scale))
            self._shift = _behind_zero(_array(model.kind_shift))
            self._fading = _behind_zero(_array(-torch.exp(-model.fading) / FADING_S))
        self._exponents = -np.array(AGE_EXPONENTS, np.float32)
        self._objectives, self._dimension = model.config.objectives, model.config.dimension

    def __call__(self, inputs: NumpyInputs) -> F32:
        """Returns fused logits (C,)."""
        events = self._embedded(inputs.item, inputs.kind, inputs.age_s, inputs.value, inputs.context)
        candidate = inputs.candidate
        gates = 1.0 / (1.0 + np.exp(-(self._query[candidate] @ events.T + self._gate_bias)))
        readout = self._readout[candidate].reshape(len(candidate), self._objectives, self._dimension)
        residual = (readout @ (gates @ events)[:, :, None])[:, :, 0]
        counted = inputs.counters @ self._counter_weights
        fused: F32 = (inputs.base_logits + residual + counted) @ inputs.weights
        return fused

    def _embedded(self, item: I32, kind: I32, age_s: F32, value: F32, context: F32) -> F32:
        ages = np.exp(np.log(age_s + np.float32(1.0))[:, None] * self._exponents)
        features = np.concatenate([ages, np.arcsinh(value)[:, None]], axis=1)
        mixed = self._items[item] + features @ self._features + context @ self._context
        events = np.tanh(mixed * self._scale[kind] + self._shift[kind])
        events += np.maximum(events @ self._hidden_in, 0.0) @ self._hidden_out
        embedded: F32 = events * np.exp(age_s[:, None] * self._fading[kind])
        return embedded


def _array(tensor: torch.Tensor) -> F32:
    array: F32 = tensor.detach().numpy().copy()
    return array


def _behind_zero(rows: F32) -> F32:
    return np.concatenate([np.zeros((1, rows.shape[1]), np.float32), rows])


@contextmanager
def _numpy(work: Work) -> Iterator[Ready]:
    model = NumpyModel(work.model)
    inputs = NumpyInputs(*work.inputs)  # type: ignore[arg-type]  # a tuple of both types

    def call() -> F32:
        return model(inputs)

    yield Ready(call, call)


PEERS = (Peer("numpy", "plain numpy", _numpy, ("numpy",)),)
