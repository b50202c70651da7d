"""LiteRT with XNNPACK on the unchanged module: the strongest peer; targets are set against it.

Three ways to call it were measured (window 128 / 32, µs): the bare `Interpreter.invoke` 26.0 / 10.6,
`CompiledModel.run_by_index` 30.0 / 14.7, a signature runner, which copies its inputs and outputs, 39.0 / 23.4; without
XNNPACK 102 / 27. The row is the bare invoke, without its Python wrapper (0.3 µs), with inputs and outputs in place.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from operator import attrgetter
from pathlib import Path

import numpy as np
import torch

from benchmarks.peers.peer import Peer, PeerMissingError, Ready, kept, needed
from benchmarks.work import Work
from edge_sdk.types import F32

CONVERTER = "EDGE_LITERT_PYTHON"  # names another Python that has litert-torch
_FIX = "`make bench` sets up its converter; or let EDGE_LITERT_PYTHON name a Python that has litert-torch 0.10.0"


@contextmanager
def _litert(work: Work) -> Iterator[Ready]:
    interpreters = needed("ai_edge_litert.interpreter", "ai-edge-litert")
    interpreter = interpreters.Interpreter(str(converted(work)), num_threads=1)
    interpreter.allocate_tensors()
    places = sorted(interpreter.get_input_details(), key=lambda place: int(place["name"].rsplit("_", 1)[1]))
    for place, array in zip(places, work.inputs, strict=True):
        interpreter.set_tensor(place["index"], array)
    (fused,) = (place["index"] for place in interpreter.get_output_details() if len(place["shape"]) == 1)
    call = attrgetter("_interpreter.Invoke")(interpreter)  # LiteRT has no public name for the call beneath its wrapper

    def scores() -> F32:
        for _ in range(3):  # the inputs have to be in place after a call, too
            call()
        result: F32 = np.array(interpreter.get_tensor(fused))
        return result

    yield Ready(call, scores)


def converted(work: Work) -> Path:
    """Returns the .tflite file of the task's model; converts the module if there is none.

    Raises:
        PeerMissingError: there is no converter, or it failed.
    """
    out = kept(work, "litert.tflite")
    if not out.exists():
        weights = kept(work, "weights.pt")
        torch.save({"config": asdict(work.model.config), "weights": work.model.state_dict()}, weights)
        part = out.with_suffix(".part")
        arguments = [str(weights), str(work.window), str(len(work.base.offers)), str(part)]
        root = str(Path(__file__).parent.parent.parent)
        run = subprocess.run(
            [_converter(), "-m", "benchmarks.peers.litert_conversion", *arguments],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": root},
        )
        if run.returncode:
            last = (run.stderr.strip().splitlines() or ["no message"])[-1]
            raise PeerMissingError(f"litert-torch did not convert the module ({last[:200]})", _FIX)
        part.rename(out)
    return out


def _converter() -> str:
    """Returns the Python interpreter that has litert-torch."""
    named = os.environ.get(CONVERTER)
    beside = Path(sys.prefix) / "litert" / "bin" / "python"
    if not named and not beside.exists():
        raise PeerMissingError(f"no converted model, and no converter in {beside.parent.parent.name}/", _FIX)
    return named or str(beside)


PEERS = (Peer("litert", "LiteRT, bare invoke", _litert, ("ai-edge-litert",)),)
