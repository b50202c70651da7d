"""Writes the estimates as JSON: every figure of the tables with its evidence, for reports and scripts."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from device_sim.estimate.device_estimates import CAUTION, Answer, CoreAnswer, DeviceAnswer
from device_sim.estimate.estimate import Estimate
from device_sim.estimate.scenarios import Scenario

FORMAT: Final = 1


def write_answer(answer: Answer, path: Path) -> None:
    """Writes the estimates to a file.

    Raises:
        OSError: The file cannot be written.
    """
    path.write_text(json.dumps(answer_table(answer), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def answer_table(answer: Answer) -> dict[str, Any]:
    """Returns the content of the file: numbers and strings only; µs where a name ends in `_us`."""
    bundle, calibration = answer.bundle, answer.calibration
    return {
        "format": FORMAT,
        "kind": "estimated",
        "caution": CAUTION,
        "remarks": list(answer.remarks),
        "bundle": {
            "name": bundle.path.name,
            "scene": bundle.scene,
            "sha256": bundle.sha256,
            "size_bytes": bundle.size_bytes,
        },
        "scenarios": {scenario.name: _scenario(scenario) for scenario in answer.scenarios},
        "calibration": {
            "published_sha256": calibration.published_sha256,
            "counted_with": dict(calibration.counted_with),
        },
        "scalar_code": {
            "lzma": answer.scalar_ipc.lzma.model_dump(),
            "in_order": answer.scalar_ipc.in_order.model_dump(),
            "out_of_order": answer.scalar_ipc.out_of_order.model_dump(),
        },
        "devices": [_device(device) for device in answer.devices],
    }


def _scenario(scenario: Scenario) -> dict[str, Any]:
    return {
        "assumption": scenario.assumption,
        "clock_fraction": list(scenario.clock_fraction),
        "share": list(scenario.share),
    }


def _device(device: DeviceAnswer) -> dict[str, Any]:
    return {
        "profile": device.profile.model_dump(by_alias=True, exclude_none=True),
        "cores": [_core(core) for core in device.cores],
    }


def _core(core: CoreAnswer) -> dict[str, Any]:
    cost, counts = core.cost, core.chosen.counts
    return {
        "core": cost.core.core.value,
        "counts": {
            "core": counts.core,
            "scene": counts.scene,
            "bundle_sha256": counts.bundle_sha256,
            "is_of_bundle": core.chosen.is_of_bundle,
            "remarks": list(core.chosen.remarks),
            "candidates": counts.candidates,
            "window": counts.window,
            "items": counts.items,
            "versions": dict(counts.versions),
        },
        "cycle_model": {
            "core": cost.model.core,
            "cycles_per": dict(cost.model.cycles_per),
            "devices": list(cost.model.devices),
            "error": cost.error,
            "error_source": cost.error_source,
        },
        "scalar_ipc": cost.scalar_ipc.model_dump(),
        "estimates": [_estimate(estimate) for estimate in core.estimates],
    }


def _estimate(estimate: Estimate) -> dict[str, Any]:
    return {
        "operation": estimate.operation,
        "scenario": estimate.scenario,
        "low_us": estimate.low_us,
        "high_us": estimate.high_us,
        "widened": estimate.widened,
        "parts": [asdict(part) for part in estimate.parts],
    }
