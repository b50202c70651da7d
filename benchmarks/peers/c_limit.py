"""The same maths in C, built by the system's compiler: the practical limit of the model call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import numpy as np

from benchmarks.peers.limit_library import LIMIT, PLAIN, Build, built
from benchmarks.peers.limit_task import ModelInputs
from benchmarks.peers.peer import Peer, Ready
from benchmarks.work import Work
from edge_sdk.types import F32

NATIVE = Build(LIMIT, ("-O3", "-march=native"))
AVX2 = Build(LIMIT, ("-O3", "-march=x86-64-v3"))
BASELINE = Build(LIMIT, ("-O3",))
SCALAR = Build(PLAIN, ("-O3",))


@contextmanager
def _limit(work: Work, build: Build, entry: str) -> Iterator[Ready]:
    config = work.model.config
    library = built(build, config.dimension, config.objectives, work.folder / "c_limit")
    inputs = ModelInputs(*work.inputs)
    task = library.task(work.model, inputs)
    call = library.bound(entry, task)

    def scores() -> F32 | None:
        call()
        if entry == "limit_nothing":
            return None
        fused: F32 = task.fused.copy() if entry == "limit_raw" else (task.logits @ inputs.weights).astype(np.float32)
        return fused

    yield Ready(call, scores, note=f"{build}, vectors of {library.lanes}" if library.lanes > 1 else str(build))


def _row(key: str, label: str, build: Build, entry: str = "limit_state") -> Peer:
    def prepare(work: Work) -> AbstractContextManager[Ready]:
        return _limit(work, build, entry)

    return Peer(key, label, prepare, same_maths=entry != "limit_nothing")


PEERS = (
    _row("c", "C limit: same maths, same state", NATIVE),
    _row("c_raw", "C limit, raw events and ids", NATIVE, "limit_raw"),
    _row("c_avx2", "C limit, 256-bit vectors", AVX2),
    _row("c_baseline", "C limit, 128-bit vectors", BASELINE),
    _row("c_scalar", "scalar C, the compiler's vectors", SCALAR),
    _row("c_call", "an empty C function by ctypes", NATIVE, "limit_nothing"),
)
