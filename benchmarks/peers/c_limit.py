"""The same maths in C by the system's compiler: the practical limit of the model call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.peers.peer import Peer, PeerMissingError, Ready
from benchmarks.speed_work import Work


@contextmanager
def _limit(work: Work) -> Iterator[Ready]:
    raise PeerMissingError("the C of the model is not in this tree", "merge the branch that has benchmarks/c_limit")
    yield  # a context manager needs one


PEERS = (Peer("c", "the C limit", _limit),)
