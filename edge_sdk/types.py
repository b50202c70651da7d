"""Array types, and orders of candidates."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]
U16 = npt.NDArray[np.uint16]
U32 = npt.NDArray[np.uint32]
Integers = npt.NDArray[np.integer]  # of any width, signed or not
Mask = npt.NDArray[np.bool_]


def by_score(scores: F32) -> I64:
    """Candidate indices, score descending, then lower index."""
    order: I64 = (-scores).argsort(kind="stable")
    return order


def places(order: I64) -> I64:
    """The place (0 = first) of each candidate in an order that holds them all."""
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return place
