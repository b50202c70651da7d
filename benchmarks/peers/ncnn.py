"""ncnn on the traced module, by pnnx.

pnnx takes the first axis of every input for a batch: traced unchanged, the module gets a layer that ncnn
lacks and other scores. So it is traced with a batch of one, which `DeviceModel` takes too; ncnn's net has no batch.
"""

from __future__ import annotations

import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.peers.peer import Peer, PeerMissingError, Ready, kept, needed
from benchmarks.work import Work
from edge_sdk.types import F32

_TYPES = {np.dtype(np.int32): "i32", np.dtype(np.float32): "f32"}


@contextmanager
def _ncnn(work: Work) -> Iterator[Ready]:
    ncnn = needed("ncnn", "ncnn")
    structure = _converted(work)
    net = ncnn.Net()
    net.opt.num_threads = 1
    net.opt.use_vulkan_compute = False
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_storage = False
    if net.load_param(str(structure)) or net.load_model(str(structure.with_suffix(".bin"))):
        raise PeerMissingError("ncnn does not load what pnnx wrote", "look at its log above")
    inputs = [(f"in{number}", ncnn.Mat(array).clone()) for number, array in enumerate(work.inputs)]

    def call() -> tuple[int, Any]:
        """An extractor is made for each call: ncnn has no other way to run a net twice."""
        extractor = net.create_extractor()
        for name, array in inputs:
            extractor.input(name, array)
        answer: tuple[int, Any] = extractor.extract("out0")
        return answer

    def scores() -> F32:
        _, found = call()
        return np.array(found, np.float32).reshape(-1)

    yield Ready(call, scores)


def _converted(work: Work) -> Path:
    """The .param file; the .bin lies beside it."""
    out = kept(work, "ncnn.param")
    if not out.exists():
        pnnx = needed("pnnx", "pnnx")
        traced = kept(work, "traced.pt")
        batch = (*(array[np.newaxis] for array in work.inputs[:-1]), work.inputs[-1])  # weights have none
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            inputs = tuple(map(torch.from_numpy, batch))
            torch.jit.trace(work.model, inputs, check_trace=False).save(str(traced))  # type: ignore[no-untyped-call]
        shapes = ",".join(f"[{','.join(map(str, array.shape))}]{_TYPES[array.dtype]}" for array in batch)
        run = subprocess.run(
            [
                pnnx.EXEC_PATH,
                traced.name,
                f"inputshape={shapes}",
                f"ncnnparam={out.name}",
                f"ncnnbin={out.with_suffix('.bin').name}",
                "fp16=0",
            ],
            capture_output=True,
            text=True,
            check=False,
            cwd=out.parent,
        )
        if run.returncode or not out.exists():
            last = ((run.stdout + run.stderr).strip().splitlines() or ["no message"])[-1]
            raise PeerMissingError(f"pnnx did not convert the module ({last[:200]})", "look at its release notes")
    return out


PEERS = (Peer("ncnn", "ncnn", _ncnn, ("ncnn", "pnnx")),)
