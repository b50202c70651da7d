"""Fills a memory that a new bundle inherits, with kinds and derived rules of a small scene."""

from __future__ import annotations

import numpy as np

from edge_sdk.memory.derived_rules import DerivedRules, DwellRule, IgnoredRule, SessionRule
from edge_sdk.memory.layout import MemoryLayout
from edge_sdk.memory.memory import Memory
from edge_sdk.vocabulary import Vocabulary

START_MS = 1_768_478_400_000
VIEW, CLICK, SHOWN, SESSION, STAY, TIRED = 1, 2, 3, 4, 5, 6
RECORDED, DERIVED_KINDS = (VIEW, CLICK, SHOWN), (SESSION, STAY, TIRED)
DERIVED = DerivedRules(
    SessionRule(SESSION, 0, frozenset({VIEW}), gap_s=30),
    (DwellRule(STAY, frozenset({VIEW}), frozenset({VIEW, SHOWN}), longest_s=600),),
    (IgnoredRule(TIRED, frozenset({SHOWN}), frozenset({CLICK}), count=2),),
)
Event = tuple[int, int, int, float]


def vocabulary(ids: list[int], categories: list[int]) -> Vocabulary:
    names = "\n".join(map(str, ids)).encode()
    return Vocabulary(np.array(ids, np.uint32), names, np.array(categories, np.uint16))


def ingested(layout: MemoryLayout, events: list[Event]) -> Memory:
    """Returns a memory with these events, added one after the other."""
    return further(Memory(layout), events)


def further(memory: Memory, events: list[Event]) -> Memory:
    """Adds events to a memory and returns the memory."""
    for event in events:
        memory.add(*event)
    return memory


def times(memory: Memory, index: int, row: int) -> list[int]:
    """Returns the times of a cap's newest events for one target, oldest first."""
    return [time for time in memory.caps.newest(index, np.array([row]))[0].tolist() if time]
