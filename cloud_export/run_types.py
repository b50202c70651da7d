"""What one run is given, and what its parts hand on to each other."""

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
from cloud_export.models.base_ranker import BaseRanker, Stage
from cloud_export.models.device_model import EdgeModel
from cloud_export.models.training import EpochReport
from cloud_export.scene.load import Scene


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What one run is given."""

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
    command: str = ""  # what the report names to make it again

    @property
    def signing_key(self) -> Ed25519PrivateKey:
        """The key given, else the development key."""
        return self.key or development_key(self.scene.name)


@dataclass(slots=True)
class StageTimer:
    """Where progress is shown, and how long each part took (seconds)."""

    stage: Stage
    seconds: dict[str, JsonValue] = field(default_factory=dict)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Time a part of the run."""
        start = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - start, 2)


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """What training gives to packing and to the test."""

    cloud: BaseRanker
    model: EdgeModel
    history: tuple[EpochReport, ...]
    test_moments: PointsInTime


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """The shipped file and what stands in it."""

    path: Path
    public_key: bytes
    model_version: str
    parity: ParityResult


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """A run whose log is read: what every later part needs."""

    inputs: Inputs
    log: Log
    layout: DeviceLayout
    split: Split
