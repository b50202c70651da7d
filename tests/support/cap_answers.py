"""Results of frequency caps for a memory, without an engine."""

from __future__ import annotations

import numpy as np

from edge_sdk.memory.memory import Memory
from edge_sdk.policy.frequency_caps import FrequencyCap, FrequencyCaps
from edge_sdk.types import I64

Channels = frozenset[int]


def frequency_caps(memory: Memory, channels: dict[int, Channels] | None = None) -> FrequencyCaps:
    """The rules that a memory counts, as caps of a policy; `channels` by index of the rule."""
    of = channels or {}
    rules = (FrequencyCap(rule, "", of.get(index, frozenset())) for index, rule in enumerate(memory.layout.caps))
    return FrequencyCaps(tuple(rules), memory.layout)


def cap_bits(
    memory: Memory, rows: I64, of: I64 | None, now_ms: int, channels: dict[int, Channels] | None = None
) -> I64 | None:
    """Reason bits of candidates with these offer rows and channels, (C,); None = no candidate is capped."""
    caps = frequency_caps(memory, channels)
    return caps.answer(memory.caps, caps.cells(rows, of), now_ms).bits


def capped_until(
    memory: Memory, rows: I64, of: I64 | None, now_ms: int, channels: dict[int, Channels] | None = None
) -> I64:
    """Until when each rule caps each candidate, (R, C) in ms; 0 = not capped."""
    caps = frequency_caps(memory, channels)
    if not len(memory.layout.caps):
        return np.zeros((0, len(rows)), np.int64)
    return caps.capped_until(memory.caps.free_times(caps.cells(rows, of)), now_ms)
