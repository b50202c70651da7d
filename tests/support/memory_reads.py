"""Reads from a memory what no decision reads, for comparing two memories."""

from __future__ import annotations

import numpy as np

from edge_sdk.memory.memory import Memory
from edge_sdk.memory.targets import Scope
from edge_sdk.types import F32, I64
from tests.support.cap_answers import capped_until


def all_counters(memory: Memory, now_ms: int) -> F32:
    """Returns all decayed counters, (slots, KC, H): of offers, then of categories."""
    slots = np.arange(len(memory.counters.sums))
    found = np.zeros((len(slots), memory.layout.counter_features), np.float32)
    memory.counters.fill(now_ms, np.stack([slots, slots], axis=1), found)
    return found[:, : found.shape[1] // 2].reshape(len(slots), memory.layout.counter_kinds, -1)


def next_steps_ms(memory: Memory, index: int, offer_rows: I64, now_ms: int) -> list[int]:
    """Returns when the next step by time of a machine is due, for each offer."""
    machines = memory.machines
    if machines.rules[index].per == Scope.USER:
        return [machines.user_changes_at(index, now_ms)] * len(offer_rows)
    return [machines.changes_of(index, row, now_ms) for row in offer_rows.tolist()]


def cap_ends_ms(memory: Memory, index: int, offer_rows: I64, times_ms: list[int]) -> list[int]:
    """Returns when a cap without channels frees each offer; 0 = the cap has not closed it.

    Args:
        memory: has counted events at `times_ms` alone.
        index: of the cap.
        offer_rows: the offers.
        times_ms: a cap that closed at one of these times closes for at least a moment after it.
    """
    ends = np.zeros(len(offer_rows), np.int64)
    for time_ms in times_ms:
        ends = np.maximum(ends, capped_until(memory, offer_rows, None, time_ms)[index])
    found: list[int] = ends.tolist()
    return found
