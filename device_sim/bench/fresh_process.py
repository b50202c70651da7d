"""Measures cold start, memory and disk use: medians over fresh processes that all do the same work."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

from cloud_export.evaluate.speed import BARE_IMPORTS, RESIDENT_BYTES, fresh_python
from device_sim.bench.bench_types import ColdStart, Memory
from device_sim.bench.event_workload import Workload
from device_sim.bench.latencies import START_MS, STEP_MS, spread

EVENTS: Final = 2000
RANKS: Final = 200
_CALLS = 200  # that the events repeat: they are passed on the command line and must be small in memory
_CHILD = f"from device_sim.bench.first_decision import main; engine = main(); {RESIDENT_BYTES}"


def measure_fresh(work: Workload, processes: int) -> tuple[ColdStart, Memory]:
    """Starts processes one after the other, each beside a process that only imports numpy and onnxruntime.

    Args:
        work: The bundle and its events.
        processes: How many; one more before them compiles, as pip does at installation, and warms the page cache.
    """
    words = _order(work)
    bare, runs = [], []
    with TemporaryDirectory(prefix="edge-bench-") as folder:
        bytecode = str(Path(folder) / "bytecode")
        for number in range(processes + 1):
            bare.append(int(fresh_python(f"{BARE_IMPORTS}; {RESIDENT_BYTES}", [], bytecode)[0]))
            state = Path(folder) / f"state-{number}"
            figures = [float(word) for word in fresh_python(_CHILD, [words, str(state)], bytecode)]
            runs.append((*figures, sum(file.stat().st_size for file in state.rglob("*") if file.is_file())))
    imported, opened, decided, resident, stored = zip(*runs[1:], strict=True)
    cold = ColdStart(
        processes=processes,
        import_ms=spread([1000 * one for one in imported]),
        open_ms=spread([1000 * one for one in opened]),
        first_decision_ms=spread([1000 * one for one in decided]),
        total_ms=spread([1000 * sum(parts) for parts in zip(imported, opened, decided, strict=True)]),
    )
    bare_bytes = round(median(bare[1:]))
    memory = Memory(
        bare_bytes=bare_bytes,
        extra_bytes=round(median(resident)) - bare_bytes,
        state_bytes=round(median(stored)),
    )
    return cold, memory


def _order(work: Workload) -> str:
    """Returns the order for `first_decision.main`."""
    return json.dumps(
        {
            "bundle": str(work.path),
            "key": work.public_key.hex(),
            "offers": work.base.offers,
            "logits": work.base.logits.tolist(),
            "calls": work.calls[:_CALLS],
            "events": EVENTS,
            "ranks": RANKS,
            "start_ms": START_MS,
            "step_ms": STEP_MS,
        }
    )
