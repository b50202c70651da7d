"""Converts a torch module for LiteRT: `python -m benchmarks.peers.litert_conversion WEIGHTS WINDOW CANDIDATES OUT`.

litert-torch's own dependencies do not resolve together with this project's (its converter needs typing-extensions
below 4.13), so it lives in a virtual environment of its own; `make bench` sets it up. It needs nothing of this project
but the untouched module.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from cloud_export.models.device_model import DeviceModel, DeviceModelConfig


def main() -> None:
    """Converts with all shapes fixed."""
    weights, window, candidates, out = sys.argv[1:]
    convert(Path(weights), int(window), int(candidates), Path(out))


def convert(weights: Path, window: int, candidates: int, out: Path) -> None:
    """Writes the .tflite file.

    Args:
        weights: `weights.pt` of benchmarks.speed.training.
        window: N.
        candidates: C.
        out: the file.
    """
    import litert_torch

    saved = torch.load(weights, weights_only=True)
    config = DeviceModelConfig(**{**saved["config"], "window": window})
    model = DeviceModel(config)
    model.load_state_dict(saved["weights"])
    inputs = (
        torch.zeros(window, dtype=torch.int32),
        torch.zeros(window, dtype=torch.int32),
        torch.zeros(window),
        torch.zeros(window),
        torch.zeros(candidates, config.counter_features),
        torch.zeros(config.context_features),
        torch.zeros(candidates, dtype=torch.int32),
        torch.zeros(candidates, config.objectives),
        torch.zeros(config.objectives),
    )
    litert_torch.convert(model.eval(), inputs).export(str(out))


if __name__ == "__main__":
    main()
