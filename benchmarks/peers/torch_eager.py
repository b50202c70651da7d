"""The unchanged module in torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from benchmarks.peers.peer import Peer, Ready
from benchmarks.work import Work
from edge_sdk.types import F32


@contextmanager
def _eager(work: Work) -> Iterator[Ready]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    inputs, model = [torch.from_numpy(array) for array in work.inputs], work.model

    def call() -> torch.Tensor:
        with torch.inference_mode():
            fused: torch.Tensor = model(*inputs)[0]
            return fused

    def scores() -> F32:
        result: F32 = call().numpy().copy()
        return result

    try:
        yield Ready(call, scores)
    finally:
        torch.set_num_threads(threads)


PEERS = (Peer("torch", "torch eager", _eager, ("torch",)),)
