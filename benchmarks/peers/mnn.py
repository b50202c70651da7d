"""MNN on the naive ONNX export, by its own converter.

A session takes its inputs' memory for what follows, so a call is their copies (about 1 µs) and the run: the bare run
alone has other scores from the second time on. The other way, a module's `forward`, takes 156 µs where this takes 17.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from benchmarks.peers.naive_onnx import naive_export
from benchmarks.peers.peer import Peer, PeerMissingError, Ready, kept, needed
from benchmarks.work import ModelArray, Work
from cloud_export.models.device_model import INPUT_NAMES
from edge_sdk.types import F32

# The native part alone: the command `mnnconvert` that the package installs runs pip and reports its use to a server.
_CONVERT = "import sys, _tools; _tools.mnnconvert(['mnnconvert', *sys.argv[1:]])"


@contextmanager
def _mnn(work: Work) -> Iterator[Ready]:
    mnn = needed("MNN", "MNN")
    interpreter = mnn.Interpreter(str(_converted(work)))
    session = interpreter.createSession({"backend": "CPU", "numThread": 1, "precision": "high"})
    tensors = interpreter.getSessionInputAll(session)
    copies = [
        (tensors[name].copyFrom, _host(mnn, array))
        for name, array in zip(INPUT_NAMES, work.inputs, strict=True)
        if name in tensors
    ]
    output = interpreter.getSessionOutput(session, "fused")

    def call() -> None:
        for copy, array in copies:
            copy(array)
        interpreter.runSession(session)

    def scores() -> F32:
        call()
        on_host = _host(mnn, np.zeros(len(work.base.offers), np.float32))
        output.copyToHostTensor(on_host)
        return np.array(on_host.getNumpyData(), np.float32).reshape(-1)

    yield Ready(call, scores)


def _host(mnn: ModuleType, array: ModelArray) -> Any:
    kind = mnn.Halide_Type_Int if array.dtype == np.int32 else mnn.Halide_Type_Float
    return mnn.Tensor(array.shape, kind, array, mnn.Tensor_DimensionType_Caffe)


def _converted(work: Work) -> Path:
    out = kept(work, "mnn.mnn")
    if not out.exists():
        part = out.with_suffix(".part")
        arguments = ["-f", "ONNX", "--modelFile", str(naive_export(work)), "--MNNModel", str(part), "--bizCode", "edge"]
        run = subprocess.run([sys.executable, "-c", _CONVERT, *arguments], capture_output=True, text=True, check=False)
        if run.returncode or not part.exists():
            last = ((run.stdout + run.stderr).strip().splitlines() or ["no message"])[-1]
            raise PeerMissingError(f"MNN did not convert the naive export ({last[:200]})", "look at its release notes")
        part.rename(out)
    return out


PEERS = (Peer("mnn", "MNN, inputs copied and run", _mnn, ("MNN",)),)
