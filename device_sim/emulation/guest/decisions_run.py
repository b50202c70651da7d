"""Plays the workload and writes its decisions: `python -m device_sim.emulation.guest.decisions_run FOLDER OUTPUT`.

The host runs it here and on the emulated core, and compares.
"""

from __future__ import annotations

import json
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from device_sim.emulation.guest.workload import Workload, WorkloadError, read_plan
from edge_sdk.model.onnx_runtime import onnxruntime
from edge_sdk.testing.white_box import internals


def main(folder: Path, output: Path) -> None:
    """One decision after each event."""
    plan = read_plan(folder)
    with tempfile.TemporaryDirectory(dir=folder) as state:
        workload = Workload(plan, folder / "bundle.edge", Path(state))
        decisions = []
        for _ in range(plan["decisions"]):
            workload.go_on()
            decision = workload.ask()
            decisions.append(
                {"order": decision.trace.result.eligible_order.tolist(), "scores": decision.scores.tolist()}
            )
        golden_vectors = len(
            internals(workload.engine).bundle.golden
        )  # all passed, or the engine would not have opened
        workload.close()
    found = {"decisions": decisions, "golden_vectors": golden_vectors, "versions": versions()}
    output.write_text(json.dumps(found), encoding="utf-8")


def versions() -> dict[str, Any]:
    """What ran."""
    return {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "onnxruntime": onnxruntime.__version__,
        "machine": platform.machine(),
    }


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
    except WorkloadError as problem:
        sys.exit(str(problem))
