"""The list of all competitors; each module has its rows in `PEERS`."""

from __future__ import annotations

from benchmarks.peers import (
    c_limit,
    litert,
    mnn,
    naive_onnx,
    ncnn,
    onnx_floor,
    ours,
    plain_numpy,
    torch_eager,
    typical,
    vowpal,
)
from benchmarks.peers.peer import Peer

ALL: tuple[Peer, ...] = (
    *ours.PEERS,
    *onnx_floor.PEERS,
    *c_limit.PEERS,
    *litert.PEERS,
    *mnn.PEERS,
    *ncnn.PEERS,
    *naive_onnx.PEERS,
    *torch_eager.PEERS,
    *plain_numpy.PEERS,
    *vowpal.PEERS,
    *typical.PEERS,
)
