"""Trains the weights and packs the bundles of `benchmarks.speed` once, and keeps them under build/benchmarks/speed."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.speed.training import OWN_ITEMS, WINDOWS, scene_file
from benchmarks.work import Work, make_work, with_window
from cloud_export.models.device_model import DeviceModel, DeviceModelConfig

FOLDER = Path("build/benchmarks/speed")
MANY_ITEMS = 2000
CONTEXT = {"surface": "home", "stage": "active"}


@dataclass(frozen=True, slots=True, eq=False)
class TrainedScene:
    """The files of one training."""

    folder: Path

    def bundle(self, window: int) -> Path:
        """Returns the signed bundle of a window."""
        return self.folder / f"window_{window}" / "scene.edge"

    def public_key(self) -> bytes:
        """Returns the public key that signed the bundles."""
        return (self.folder / f"window_{WINDOWS[0]}" / "scene.pub").read_bytes()

    def model(self, window: int) -> DeviceModel:
        """Returns the trained module with a window."""
        saved: dict[str, Any] = torch.load(self.folder / "weights.pt", weights_only=True)
        model = DeviceModel(DeviceModelConfig(**saved["config"]))
        model.load_state_dict(saved["weights"])
        return with_window(model, window)

    def items(self) -> int:
        """Returns the number of items that have a row of their own in the model."""
        items: int = torch.load(self.folder / "weights.pt", weights_only=True)["config"]["items"]
        return items - 1

    def scene(self) -> Mapping[str, object]:
        """Returns scene.toml as a table."""
        return tomllib.loads(scene_file().read_text())

    def work(self, window: int) -> Work:
        """Returns the task of a window, for all competitors."""
        return make_work(
            model=self.model(window),
            bundle=self.bundle(window),
            public_key=self.public_key(),
            scene=self.scene(),
            context=CONTEXT,
            folder=FOLDER,
            log=self.folder / "log",
        )


def trained_scene(items: int = OWN_ITEMS, folder: Path = FOLDER) -> TrainedScene:
    """Returns the training for a number of items; trains now if there is none or if the code has changed since.

    Raises:
        SystemExit: training failed; its own message is printed above.
    """
    scene = TrainedScene(folder / str(items))
    made_by, sources = scene.folder / "made_by", _sources_id()
    if not made_by.exists() or made_by.read_text() != sources:
        print(f"training on a simulated log of {items} items into {scene.folder}", file=sys.stderr)
        arguments = ["-m", "benchmarks.speed.training", "--out", str(scene.folder), "--items", str(items)]
        if subprocess.run([sys.executable, *arguments], check=False).returncode:
            raise SystemExit(f"no weights to compare with: training into {scene.folder} failed")
        made_by.write_text(sources)
    return scene


def _sources_id() -> str:
    """Returns the SHA-256 of the code and the scene that bundles depend on."""
    digest, root = hashlib.sha256(), Path(__file__).parents[2]
    files = [
        path
        for package in ("cloud_export", "device_sim/population", "edge_sdk")
        for path in (root / package).rglob("*.py")
    ]
    for path in sorted([*files, Path(__file__).with_name("training.py"), scene_file()]):
        digest.update(path.read_bytes())
    return digest.hexdigest()
