"""Counts the instructions of a bundle's operations on an emulated arm64 core and compares its decisions there and here.

The real `edge_sdk` of this source tree runs with the real arm64 numpy and onnxruntime under `qemu-aarch64`, twice: once
to compare decisions, once under the counting plugin. The workload uses the bundle's own kinds, items and context
(`workload_plan.py`).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from pydantic import TypeAdapter, ValidationError

import edge_sdk
from device_sim.counts.counts import STAGES, BundleCounts, Caches
from device_sim.emulation import conformance, machine, qemu, tools
from device_sim.emulation.conformance import Conformance, PlayedWorkload
from device_sim.emulation.differences import Loop, MissingLoopError, StageSplit, split, tally
from device_sim.emulation.errors import EmulationError, tail
from device_sim.emulation.installation import Installation
from device_sim.emulation.qemu import GuestRun
from device_sim.emulation.staging import script, staged, tree
from device_sim.emulation.workload_plan import Plan, make_plan
from device_sim.files import Frozen
from edge_sdk.bundle.bundle import Bundle
from edge_sdk.bundle.container import open_container
from edge_sdk.bundle.reader import read_bundle

REPETITIONS: Final = 64
# The idle loop leaves its events pending in the log; memory must not ingest them (at PENDING_MAX, 1024) within a loop.
REPETITIONS_MAX: Final = 500
LEFT_OVER_MAX: Final = 0.02  # the usual difference of the stages from the total (`differences.py`)


class HostWorkloadError(EmulationError):
    """The workload failed on this machine, before anything was counted."""

    def __init__(self, bundle: Path, stderr: str) -> None:
        super().__init__(f"{bundle}: the workload does not run on this machine: {tail(stderr)}")


class Runner(Protocol):
    """Runs the guest's scripts."""

    def run(self, name: str, *arguments: str) -> None:
        """Runs a script without counting."""

    def count(self, name: str, *arguments: str) -> GuestRun:
        """Runs a script and counts."""


@dataclass(frozen=True, slots=True)
class EmulatedCore:
    """Runs scripts on an emulated core.

    Attributes:
        installation: The result of `device-sim setup`.
        core_name: Such as `cortex-a55`.
        caches: The caches to simulate; None = instructions only.
    """

    installation: Installation
    core_name: str
    caches: Caches | None

    def run(self, name: str, *arguments: str) -> None:
        """Runs a script without counting."""
        stage = staged(self.installation)
        qemu.run(
            script(stage, name),
            arguments,
            core_name=self.core_name,
            installation=self.installation,
            python_path=[stage],
        )

    def count(self, name: str, *arguments: str) -> GuestRun:
        """Runs a script with a stopped clock and counts."""
        stage = staged(self.installation)
        return qemu.count(
            script(stage, name),
            (*arguments, "stopped-clock"),
            core_name=self.core_name,
            installation=self.installation,
            python_path=[stage],
            caches=self.caches,
        )


@dataclass(frozen=True, slots=True)
class Prepared:
    """A bundle that is ready to be counted on any core.

    Attributes:
        bundle: The bundle as read.
        plan: The workload.
        folder: Holds `plan.json` and `bundle.edge`.
        golden: The folder of golden decisions; None = not played.
        here: This machine's decisions in the workload.
        sha256: The hash of the bundle's file.
    """

    bundle: Bundle
    plan: Plan
    folder: Path
    golden: Path | None
    here: PlayedWorkload
    sha256: str


@dataclass(frozen=True, slots=True)
class Counted:
    """The result of `count_on`.

    Attributes:
        counts: The content of the counts file.
        conformance: Whether the core decides as it should.
        left_over: By operation, `StageSplit.left_over`.
    """

    counts: BundleCounts
    conformance: Conformance
    left_over: dict[str, float]


@contextmanager
def prepared(
    path: Path,
    *,
    public_key: bytes | None,
    golden: Path | None,
    repetitions: int,
    operations: Sequence[str] | None = None,
) -> Iterator[Prepared]:
    """Checks a bundle, makes its workload, and plays the workload on this machine.

    Args:
        path: The `.edge` file.
        public_key: The key that must have signed the bundle, 32 bytes; None = unsigned bundles are allowed.
        golden: A folder with the content of tests/golden; None = golden decisions are not played.
        repetitions: N of the 2N − N difference, at most REPETITIONS_MAX.
        operations: The operations to count; None = all.

    Raises:
        EdgeError: The file is no bundle, damaged, or not signed by the key.
        WorkloadRefusedError: The bundle's rules leave no offer eligible.
        HostWorkloadError: The workload fails on this machine.
    """
    trusted = () if public_key is None else (public_key,)
    bundle = read_bundle(path, open_container(path, trusted_keys=trusted, allow_unsigned=public_key is None))
    plan = make_plan(bundle, public_key=public_key, repetitions=repetitions)
    if operations is not None:
        plan = plan.model_copy(update={"operations": tuple(operations)})
    with tempfile.TemporaryDirectory(prefix="edge-count-") as name:
        folder = Path(name)
        shutil.copyfile(path, folder / "bundle.edge")
        (folder / "plan.json").write_text(plan.model_dump_json(), encoding="utf-8")
        here = _played_here(path, folder)
        sha256 = hashlib.sha256((folder / "bundle.edge").read_bytes()).hexdigest()
        yield Prepared(bundle, plan, folder, golden, here, sha256)


def count_on(ready: Prepared, core: str, caches: Caches | None, runner: Runner) -> Counted:
    """Counts a prepared bundle on one core.

    Args:
        ready: The bundle.
        core: The core's name, for the file.
        caches: The caches that the runner simulates, for the file.
        runner: Runs the guest's scripts on that core.

    Raises:
        EmulationError: The guest failed or was killed, or its output is cut off.
    """
    there, agreement = _conformance(ready, runner)
    with tempfile.TemporaryDirectory(prefix="count-", dir=ready.folder) as name:  # a random name of a fixed length
        folder = Path(name)
        for file in ("plan.json", "bundle.edge"):
            shutil.copyfile(ready.folder / file, folder / file)
        run = runner.count("counting_run", str(folder))
        splits = split(_loops(folder / "loops.json", run))
    return Counted(
        counts=_bundle_counts(ready, core, caches, there, agreement, splits),
        conformance=agreement,
        left_over={operation: found.left_over for operation, found in splits.items()},
    )


def golden_folder() -> Path | None:
    """Returns the checkout's golden decisions; None where the package is installed without its tests."""
    folder = tree() / "tests" / "golden"
    return folder if is_golden(folder) else None


def is_golden(folder: Path) -> bool:
    """Returns whether a folder contains golden decisions and the modules that play and compare them."""
    players = ("vector_play.py", "vector_compare.py")
    return (folder / "decisions").is_dir() and all((folder / name).is_file() for name in players)


def caches_of(core: str) -> Caches:
    """Returns the caches that are simulated for a core.

    Raises:
        UnknownCoreError: No such core.
    """
    return machine.core_named(core).caches


# ---- below: helpers ----


class _LoopRow(Frozen):
    """A row of the guest's `loops.json`: one for each dump of a loop, in order."""

    operation: str
    loop: str
    length: int
    entries: dict[str, int]


def _played_here(bundle: Path, folder: Path) -> PlayedWorkload:
    """Plays the workload in a process of its own, as the guest does."""
    output = folder / "here.json"
    environment = {**os.environ, "PYTHONPATH": str(tree()), "PYTHONHASHSEED": "0", "ORT_DISABLE_TELEMETRY": "1"}
    command = [sys.executable, "-m", "device_sim.emulation.guest.decisions_run", str(folder), str(output)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise HostWorkloadError(bundle, done.stderr)
    return conformance.read_workload(output)


def _conformance(ready: Prepared, runner: Runner) -> tuple[PlayedWorkload, Conformance]:
    with tempfile.TemporaryDirectory(prefix="there-", dir=ready.folder) as name:
        workload, golden = Path(name) / "there.json", Path(name) / "golden.json"
        runner.run("decisions_run", str(ready.folder), str(workload))
        there = conformance.read_workload(workload)
        played = None
        if ready.golden is not None:
            runner.run("golden_run", str(ready.golden.absolute()), str(golden))
            played = conformance.read_golden(golden)
    return there, conformance.compare(ready.here, there, played)


def _loops(path: Path, run: GuestRun) -> list[Loop]:
    """Returns the loops of a run: every second dump belongs to a loop, in the order of the guest's `loops.json`."""
    try:
        rows = TypeAdapter(list[_LoopRow]).validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise MissingLoopError(path.name) from error
    if len(run.dumps) != 2 * len(rows) + 1:
        raise MissingLoopError(f"{len(rows)} loops ({len(run.dumps)} dumps)")
    loops = []
    for row, dump in zip(rows, run.dumps[1::2], strict=True):
        stages = [tally(dump.region(number).by_image(run.images)) for number, _ in enumerate(STAGES, 1)]
        loops.append(Loop(row.operation, row.loop, row.length, row.entries, np.stack(stages)))
    return loops


def _bundle_counts(
    ready: Prepared,
    core: str,
    caches: Caches | None,
    there: PlayedWorkload,
    agreement: Conformance,
    splits: dict[str, StageSplit],
) -> BundleCounts:
    figures = agreement.figures()
    figures |= {f"stages_left_over_{name}": round(found.left_over, 5) for name, found in splits.items()}
    figures["compared_with"] = " ".join(ready.here.versions[name] for name in ("machine", "numpy", "onnxruntime"))
    return BundleCounts(
        core=core,
        scene=ready.bundle.scene,
        bundle_sha256=ready.sha256,
        bundle_bytes=(ready.folder / "bundle.edge").stat().st_size,
        items=len(ready.bundle.layout.items),
        candidates=len(ready.plan.candidates),
        window=ready.bundle.layout.window,
        caches=caches,
        operations={name: found.operation for name, found in splits.items()},
        repetitions={name: found.repetitions for name, found in splits.items()},
        versions={
            **there.versions,
            "edge_sdk": edge_sdk.__version__,
            "qemu": tools.emulator_version() or "unknown",
        },
        conformance=figures,
    )
