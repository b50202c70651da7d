"""A program of this package in a process of its own: nothing that was measured before weighs in its memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parent.parent.parent


def in_fresh_process(module: str, *arguments: str) -> dict[str, float]:
    """The figures that `benchmarks.scale.<module>` prints as one JSON object.

    Raises:
        SystemExit: it failed; what it said is shown.
    """
    found: dict[str, Any] = json.loads(_run("-m", f"benchmarks.scale.{module}", *arguments))
    return {name: float(value) for name, value in found.items()}


def make_population(folder: Path, users: int, days: int) -> None:
    """What `device-sim population` writes."""
    program = "import device_sim.entry; device_sim.entry.main()"
    _run("-c", program, "population", "--users", str(users), "--days", str(days), "--out", str(folder))


def _run(*arguments: str) -> str:
    path = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    run = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    if run.returncode:
        raise SystemExit(f"{' '.join(arguments[:2])} failed:\n{run.stderr[-2000:]}")
    return run.stdout
