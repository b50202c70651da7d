"""Bringing the counters of two memories to one landmark, so that some of one can stand among those of the other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edge_sdk.memory.decay import PERIOD_BITS, PERIOD_HALF_LIVES
from edge_sdk.memory.memory import Memory
from edge_sdk.types import F64


def take_sums(memory: Memory, h: int, cells: npt.NDArray[np.bool_], sums: F64, tick: int) -> None:
    """Let some counters of one half-life stand as they do in another memory.

    Both memories' sums are of the start of a period: moving the older ones is an exact power of two. What is read from
    then on is, to the bit, what the other memory would give, if the clock never stepped back. Where nothing is taken
    over but zeros, no time is taken over either.

    Args:
        memory: changes.
        h: place of the half-life in it.
        cells: (T, KC) which counters, by slot and counter of `memory`.
        sums: (T, KC) of the other memory, in the same places; elsewhere anything.
        tick: of the other memory's newest event, or any other of the same period.
    """
    mine = memory.sums.reshape(*sums.shape, len(memory.latest))[:, :, h]
    theirs = sums[cells]
    if not theirs.any():
        mine[cells] = 0.0
        return
    memory.advance(h, max(memory.latest[h], tick))
    passed = (memory.latest[h] >> PERIOD_BITS) - (tick >> PERIOD_BITS)
    mine[cells] = theirs * 2.0 ** (-PERIOD_HALF_LIVES * min(passed, 64))
