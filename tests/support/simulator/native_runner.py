"""Runs the guest's scripts natively in place of the emulated core, and makes up counts of their loops."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from device_sim.counts.counts import INSTRUCTION_CLASSES
from device_sim.emulation.differences import PROBE_COST
from device_sim.emulation.errors import GuestFailedError
from device_sim.emulation.images import ImageMap, read_maps
from device_sim.emulation.plugin_output import Dump, PageCounts, Region
from device_sim.emulation.qemu import GuestRun
from device_sim.emulation.staging import script, tree

MAPS = (
    "10000-20000 r-xp 00000000 00:00 1 /site/onnxruntime/capi/a.so\n"
    "20000-30000 r-xp 00000000 00:00 2 /usr/bin/python3.11\n"
)
ORT_PAGE, PYTHON_PAGE = 0x10, 0x20
STAGE_COST = {"window": 30, "model": 200, "policy": 40, "result": 50}  # of an entry, in onnxruntime for the model


@dataclass
class NativeRunner:
    """Counts: idle rounds 10 instructions of Python, operations 100 more and what their stages cost."""

    change: Callable[[Path, str], None] = lambda folder, name: None  # damages what a script has written
    ran: list[str] = field(default_factory=list)

    def run(self, name: str, *arguments: str) -> None:
        self.ran.append(name)
        command = [sys.executable, str(script(tree(), name)), *arguments]
        environment = {"PYTHONPATH": str(tree()), "PYTHONHASHSEED": "0", "ORT_DISABLE_TELEMETRY": "1"}
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise GuestFailedError(name, done.returncode, done.stderr)
        self.change(Path(arguments[-1]), name)

    def count(self, name: str, *arguments: str) -> GuestRun:
        self.run(name, *arguments)
        loops = json.loads((Path(arguments[0]) / "loops.json").read_text())
        dumps = [Dump({})]
        for loop in loops:
            dumps += [Dump(_regions(loop)), Dump({})]
        return GuestRun("", tuple(dumps), _images())


def _images() -> ImageMap:
    return read_maps(MAPS)


def _regions(loop: dict[str, Any]) -> dict[int, Region]:
    rounds = loop["length"]
    engine, costs = 1000 + 10 * rounds, dict.fromkeys(STAGE_COST, 0)
    if loop["loop"] != "idle" and loop["operation"] != PROBE_COST:
        engine += 100 * rounds
        for stage, cost in STAGE_COST.items():
            if loop["loop"] == "staged":
                costs[stage] = cost * rounds
            else:
                engine += 0 if stage == "model" else cost * rounds
    pages = [_page(PYTHON_PAGE, engine)]
    if loop["loop"] == "plain" and loop["operation"] != PROBE_COST:
        pages.append(_page(ORT_PAGE, STAGE_COST["model"] * rounds))
    found = {5: Region(1, tuple(pages))}
    for number, (stage, cost) in enumerate(costs.items(), 1):
        if cost:
            found[number] = Region(1, (_page(ORT_PAGE if stage == "model" else PYTHON_PAGE, cost),))
    return found


def _page(page: int, instructions: int) -> PageCounts:
    mix = [0] * len(INSTRUCTION_CLASSES)
    mix[INSTRUCTION_CLASSES.index("integer")] = instructions
    return PageCounts(page, tuple(mix), ())
