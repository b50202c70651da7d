"""Columns of events with others put in between: how many derived events come to their places at once."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from edge_sdk.types import F32, F64, I64

U16 = npt.NDArray[np.uint16]
U32 = npt.NDArray[np.uint32]
_PHASES: Final = 1 << 32  # more than there are rules: a place is index · _PHASES + phase


class Insertions:
    """Derived events on their way to their places among the recorded ones."""

    def __init__(self, *, own_phase: int) -> None:
        """No derived event yet.

        Args:
            own_phase: of the recorded event itself: lower phases stand before it, higher ones after it.
        """
        self._own_phase = own_phase
        self._columns: list[tuple[I64, I64, U16, U32, F32]] = []

    def add(self, at: I64, phase: int, times_ms: I64, kind: int, items: I64 | int, values: F64 | float) -> None:
        """Note events that follow from the recorded ones `at`, in this phase.

        Args:
            at: (A,) indices of recorded events, none twice in one phase.
            phase: its place among all that follows from the same event.
            times_ms, items, values: (A,), or one for all.
            kind: id.
        """
        size = len(at)
        if size:
            self._columns.append(
                (
                    at * _PHASES + phase,
                    times_ms,
                    np.full(size, kind, np.uint16),
                    np.broadcast_to(items, size).astype(np.uint32),
                    np.broadcast_to(values, size).astype(np.float32),
                )
            )

    def merged(self, times_ms: I64, kinds: U16, items: U32, values: F32) -> tuple[I64, U16, U32, F32]:
        """The recorded events with the derived ones at their places."""
        if not self._columns:
            return times_ms, kinds, items, values
        own = np.arange(len(times_ms)) * _PHASES + self._own_phase
        columns = zip((own, times_ms, kinds, items, values), *self._columns, strict=True)
        places, *rest = (np.concatenate(parts) for parts in columns)
        order = np.argsort(places)
        merged_times, merged_kinds, merged_items, merged_values = (column[order] for column in rest)
        return merged_times, merged_kinds, merged_items, merged_values
