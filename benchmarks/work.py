"""The task of all competitors: a user's events, 50 candidates, a time, and the trained weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from benchmarks.plain_features import DeviceTables, PlainFeatures
from cloud_export.models import device_model
from cloud_export.models.device_model import DeviceModel, DeviceModelConfig
from edge_sdk import BaseDecision
from edge_sdk.bundle.bundle import Bundle
from edge_sdk.bundle.container import open_container
from edge_sdk.bundle.reader import read_bundle
from edge_sdk.types import F32, F64

CANDIDATES = 50
EVENTS = 800  # of all kinds; more than a fourth of them enter the window
STEP_MS = 60_000  # between two events
_START_MS = 1_768_478_400_000  # 2026-01-15 12:00 UTC, for a bundle without `known_until`
ModelArray = npt.NDArray[np.float32] | npt.NDArray[np.int32]


class PlainEvent(NamedTuple):
    """One event as an app records it."""

    time_ms: int
    kind: str
    item: str
    value: float


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """The task for one window."""

    window: int
    model: DeviceModel  # trained, in evaluation mode, its window that of the task
    model_id: str  # of the trained numbers, the module's code and the number of candidates
    bundle: Path
    public_key: bytes
    scene: Mapping[str, object]  # scene.toml as a table
    events: tuple[PlainEvent, ...]  # oldest first
    now_ms: int
    base: BaseDecision
    context: Mapping[str, str]
    tables: DeviceTables
    inputs: tuple[ModelArray, ...]  # of `DeviceModel.forward`, in its order
    expected: F32  # (C,) fused logits: the untouched module in torch, float64
    folder: Path  # what competitors make of the model is kept here
    log: Path | None  # folder of the log that the weights were trained on; None = not kept

    def window_events(self) -> list[PlainEvent]:
        """Returns the events whose kinds enter the window."""
        return [event for event in self.events if event.kind in self.tables.window_kind_row]


def make_work(
    *,
    model: DeviceModel,
    bundle: Path,
    public_key: bytes,
    scene: Mapping[str, object],
    context: Mapping[str, str],
    folder: Path,
    log: Path | None = None,
    candidates: int = CANDIDATES,
    events: int = EVENTS,
    seed: int = 11,
) -> Work:
    """Returns the task for one bundle.

    Args:
        model: the module that the bundle's graph was exported from.
        bundle: packed from it.
        public_key: that signed the bundle.
        scene: scene.toml as a table.
        context: of the decision; one value for each field of the scene.
        folder: where competitors keep what they convert.
        log: folder of the log's Parquet files.
        candidates: so many, of the scene's offers.
        events: so many, of all kinds of the scene.
        seed: of the events and the base logits.
    """
    content = read_bundle(bundle, open_container(bundle, trusted_keys=[public_key], allow_unsigned=False))
    tables, random = DeviceTables.of(content), np.random.default_rng(seed)
    names = content.layout.offers.names()[:candidates]
    logits = np.sort(random.normal(0.0, 1.0, (len(names), len(content.objectives))), axis=0)[::-1]
    base, now_ms = BaseDecision(names, logits), (content.known_until_ms or _START_MS) + events * STEP_MS
    happened = _events(content, random, names, events, now_ms)
    features = PlainFeatures(tables)
    for event in happened:
        features.add(event.time_ms, event.kind, event.item, event.value)
    arrays = features.model_inputs(names, context, now_ms)
    inputs = (*arrays, base.logits.copy(), content.policy.weights.copy())
    return Work(
        window=content.layout.window,
        model=model.eval(),
        model_id=f"{model_id(model)}-{len(names)}",
        bundle=bundle,
        public_key=public_key,
        scene=scene,
        events=happened,
        now_ms=now_ms,
        base=base,
        context=context,
        tables=tables,
        inputs=inputs,
        expected=_expected(model, inputs),
        folder=folder,
        log=log,
    )


def with_window(model: DeviceModel, window: int) -> DeviceModel:
    """Returns the same weights over another window; no weight depends on the window."""
    config: DeviceModelConfig = replace(model.config, window=window)
    wider = DeviceModel(config)
    wider.load_state_dict(model.state_dict())
    return wider.eval()


def model_id(model: DeviceModel) -> str:
    """Returns 12 hex digits of the SHA-256 of all trained numbers and of the code that computes with them."""
    digest = hashlib.sha256(Path(device_model.__file__).read_bytes())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode() + tensor.numpy().tobytes())
    return digest.hexdigest()[:12]


def _events(
    content: Bundle, random: np.random.Generator, offers: list[str], count: int, now_ms: int
) -> tuple[PlainEvent, ...]:
    """Returns events with the kinds' shares of a simulated log; impressions and feedback are about offers."""
    shares = {"impression": 0.55, "page_view": 0.15, "item_view": 0.15, "search": 0.05, "click": 0.05}
    kinds, items = sorted(content.kind_ids), content.layout.items.names()
    weights: F64 = np.array([shares.get(kind, 0.01) for kind in kinds])
    about_offers = {content.shown_kind, *content.feedback.values()}
    events = []
    for number, index in enumerate(random.choice(len(kinds), count, p=weights / weights.sum()).tolist()):
        kind = kinds[index]
        names = offers if content.kind_ids[kind] in about_offers else items
        value = float(np.float32(random.lognormal(3.0, 1.0)))
        time_ms = now_ms - (count - number) * STEP_MS
        events.append(PlainEvent(time_ms, kind, names[int(random.integers(len(names)))], value))
    return tuple(events)


def _expected(model: DeviceModel, inputs: tuple[ModelArray, ...]) -> F32:
    """Returns the module's fused logits, computed in float64: the reference for every competitor's rounding."""
    wide = with_window(model, model.config.window).double()
    tensors = [torch.from_numpy(array) for array in inputs]
    with torch.no_grad():
        fused, _ = wide(*(tensor.double() if tensor.is_floating_point() else tensor for tensor in tensors))
    result: F32 = fused.numpy().astype(np.float32)
    return result
