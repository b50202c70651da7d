"""Measures start-up, imports and memory in fresh processes, and counts arm64 instructions.

These figures are beyond numpy and onnxruntime, as their targets are; `benchmarks.startup` measures whole processes.
"""

from __future__ import annotations

import statistics
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.naive_onnx import naive_export
from benchmarks.processes import command_line
from benchmarks.work import Work
from cloud_export.evaluate.speed import BARE_IMPORTS, RESIDENT_BYTES, fresh_python, in_new_folder
from device_sim.counts.counts import BundleCounts
from device_sim.emulation.installation import problems

CORE = "cortex-a55"
PROCESSES = 21
COUNT_LIMIT_S = 1800

# All inherit ORT_DISABLE_TELEMETRY=1 from this process (`edge_sdk.model.onnx_runtime`): no side carries that thread.
_IMPORTS = f"""
import time
{BARE_IMPORTS}
start = time.perf_counter()
import edge_sdk
print((time.perf_counter() - start) * 1000)
from edge_sdk import BaseDecision, Engine
print((time.perf_counter() - start) * 1000)
"""
# The state folder is the caller's: `tempfile` would load OpenSSL's library, 3 MB that are not the runtime's.
_OPEN = """
import sys, time
import numpy, onnxruntime
from edge_sdk import BaseDecision, Engine
bundle, key, kind, offers = sys.argv[1], bytes.fromhex(sys.argv[2]), sys.argv[3], sys.argv[4].split("\\n")
base = BaseDecision(offers, numpy.linspace(1, -1, len(offers)))
start = time.perf_counter()
engine = Engine.open(sys.argv[5], bundle=bundle, trusted_keys=[key])
decision = engine.rank(base)
print((time.perf_counter() - start) * 1000)
assert not decision.error, decision.detail
"""
_USED = f"""
for index in range(2000):
    engine.record(kind, item=offers[index % len(offers)])
for index in range(200):
    engine.rank(base)
{RESIDENT_BYTES}
"""
_NAIVE = """
import sys
import numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
types = {"tensor(int32)": numpy.int32, "tensor(float)": numpy.float32}
session.run(None, {given.name: numpy.zeros(given.shape, types[given.type]) for given in session.get_inputs()})
"""


@dataclass(frozen=True, slots=True)
class ProcessFigures:
    """Medians over fresh processes, which take turns."""

    open_to_first_decision_ms: float  # imports excluded
    import_ms_beyond: float  # with `Engine`, behind numpy and onnxruntime, with compiled modules
    import_package_ms_beyond: float  # `import edge_sdk` alone, whose names load when they are used
    memory_mb_beyond: float  # after open, 2,000 records and 200 decisions; beyond numpy + onnxruntime
    memory_mb_beyond_session: float  # the same beyond a process that has run the naive export once


def process_figures(work: Work, processes: int = PROCESSES) -> ProcessFigures:
    """Starts so many processes of each sort, the sorts in turn.

    Args:
        work: the task, for its bundle and its naive export.
        processes: number of processes of each timed sort; memory is measured in a third as many.
    """
    kind = next(iter(work.tables.window_kind_row))
    arguments = [str(work.bundle), work.public_key.hex(), kind, "\n".join(work.base.offers)]
    graph = str(naive_export(work).resolve())
    imports, opens = [], []
    weights: list[tuple[int, int, int]] = []
    with tempfile.TemporaryDirectory(prefix="edge-bytecode-") as bytecode:
        in_new_folder(_OPEN + _USED, arguments, bytecode)  # compiles, as pip does at installation
        for number in range(processes):
            imports.append([float(figure) for figure in fresh_python(_IMPORTS, [], bytecode)])
            opens.append(float(in_new_folder(_OPEN, arguments, bytecode)[0]))
            if number % 3 == 0:
                bare = int(fresh_python(f"{BARE_IMPORTS}; {RESIDENT_BYTES}", [], bytecode)[0])
                session = int(fresh_python(_NAIVE + RESIDENT_BYTES, [graph], bytecode)[0])
                weights.append((int(in_new_folder(_OPEN + _USED, arguments, bytecode)[1]), bare, session))
    ours, bare_bytes, session_bytes = (statistics.median(column) for column in zip(*weights, strict=True))
    return ProcessFigures(
        open_to_first_decision_ms=statistics.median(opens),
        import_ms_beyond=statistics.median(whole for _, whole in imports),
        import_package_ms_beyond=statistics.median(package for package, _ in imports),
        memory_mb_beyond=(ours - bare_bytes) / 1e6,
        memory_mb_beyond_session=(ours - session_bytes) / 1e6,
    )


def arm64_instructions(work: Work) -> tuple[float | None, str]:
    """Returns the instructions of one `rank` on an emulated core; None with the reason and the fix if not counted."""
    found = problems()
    if found:
        return None, "; ".join(found)
    with tempfile.TemporaryDirectory(prefix="edge-count-") as folder:
        key, out = Path(folder) / "scene.pub", Path(folder) / "counts.json"
        key.write_bytes(work.public_key)
        files = ["--key", str(key), "--out", str(out)]
        call = command_line("device_sim", ["count", str(work.bundle), "--core", CORE, "--no-caches", *files])
        try:
            run = subprocess.run(call, capture_output=True, text=True, check=False, timeout=COUNT_LIMIT_S)
        except subprocess.TimeoutExpired:
            return None, f"device-sim count took more than {COUNT_LIMIT_S} s; run it by itself"
        if run.returncode or not out.exists():
            return None, f"device-sim count failed: {_last_line(run.stderr or run.stdout)}"
        return BundleCounts.read_json(out).operations["rank"].total().instructions, ""


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no message"])[-1]
