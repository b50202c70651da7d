"""Starts programs of this project in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent


def run_module(name: str, arguments: Sequence[str]) -> str:
    """Runs `python -m name` and returns what it prints.

    Raises:
        SystemExit: the program failed; the end of its own messages is shown.
    """
    return _run(name, ["-m", name, *arguments])


def figures_of(module: str, arguments: Sequence[str]) -> dict[str, float]:
    """Returns the figures that a module prints as one JSON object.

    Raises:
        SystemExit: the program failed; the end of its own messages is shown.
    """
    found: dict[str, Any] = json.loads(run_module(module, arguments))
    return {name: float(value) for name, value in found.items()}


def run_command(package: str, arguments: Sequence[str]) -> str:
    """Runs a command of `cloud_export` or `device_sim` and returns what it prints.

    Raises:
        SystemExit: the command failed; the end of its own messages is shown.
    """
    return _run(f"{package} {arguments[0]}", command_line(package, arguments)[1:])


def command_line(package: str, arguments: Sequence[str]) -> list[str]:
    """Returns the call of a command of `cloud_export` or `device_sim`, which need not be on the path."""
    return [sys.executable, "-c", f"import {package}.entry; {package}.entry.main()", *arguments]


def _run(name: str, arguments: Sequence[str]) -> str:
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path}
    call = [sys.executable, *arguments]
    run = subprocess.run(call, capture_output=True, text=True, check=False, env=environment)
    if run.returncode:
        raise SystemExit(f"{name} failed:\n{run.stderr[-2000:]}")
    return run.stdout
