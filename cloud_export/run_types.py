"""The inputs of one run of the pipeline, and the records that its parts pass to each other."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cloud_export.data.log import Log
from cloud_export.export.container_writer import development_key
from cloud_export.export.parity import ParityResult
from cloud_export.features.examples import PointsInTime
from cloud_export.features.layout import DeviceLayout
from cloud_export.features.split import Split
from cloud_export.json_types import JsonValue
from cloud_export.models.base_ranker import BaseRanker, ProgressFactory
from cloud_export.models.device_model import DeviceModel
from cloud_export.models.training import EpochReport
from cloud_export.scene.load import Scene


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """The inputs of one run: files, seed, signing key and options."""

    scene: Scene
    events: Path
    decisions: Path | None = None
    offers: Path | None = None
    users: Path | None = None
    truth: Path | None = None  # a simulator's true probabilities
    out: Path
    seed: int = 1
    bad_rows: Literal["stop", "skip"] = "stop"
    key: Ed25519PrivateKey | None = None  # None = the development key
    command: str = ""  # the command line, which the report shows

    @property
    def signing_key(self) -> Ed25519PrivateKey:
        """The given key, else the development key of the scene."""
        return self.key or development_key(self.scene.name)


@dataclass(slots=True)
class RunTimer:
    """Starts progress bars, and measures how long each part of a run takes (seconds)."""

    new_progress: ProgressFactory
    seconds: dict[str, JsonValue] = field(default_factory=dict)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Measures the time of a part of the run."""
        start = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - start, 2)


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """The result of training, which is packed and tested."""

    base: BaseRanker
    model: DeviceModel
    history: tuple[EpochReport, ...]
    test_points: PointsInTime


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """The packed bundle file, the key that checks it and the figures of its parity test."""

    path: Path
    public_key: bytes
    model_version: str
    parity: ParityResult


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """A run whose log is read, laid out and split."""

    inputs: Inputs
    log: Log
    layout: DeviceLayout
    split: Split
