"""Makes every change of a whole state folder, and gives its log and memory before and after."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from edge_sdk.log.record import Records
from edge_sdk.memory.bulk import memory_from
from edge_sdk.memory.caps import CapRule
from edge_sdk.memory.layout import MemoryLayout
from edge_sdk.memory.memory import Memory
from edge_sdk.memory.migration import inherit
from edge_sdk.memory.spending import Periods, SpendingRule
from edge_sdk.memory.targets import Scope
from edge_sdk.state import folder as state_folder
from edge_sdk.state.folder import StateFolder
from tests.support.small_state import KEY, LAYOUT, LOG_BYTES, OTHER_KEY, memory_of, opened, record

ITEM = frozenset({103})  # n * n % 7 == 2: events 3, 4, 10, 11, 17 …
EVENTS = 400
# An operator's new policy: a cap by another limit and a new one, another budget.
ADOPTED = LAYOUT._replace(
    caps=(
        LAYOUT.caps[1]._replace(limit=2),
        CapRule((12, 13), Scope.USER, limit=4, within_s=0, cooldown=False),
        LAYOUT.caps[0],
    ),
    spending=SpendingRule(frozenset({11}), Periods(3600)),
)


@dataclass(frozen=True)
class Change:
    """One change."""

    name: str
    do: Callable[[StateFolder], object]
    key: bytes | None = None
    new_key: bytes | None = None
    log_bytes: int = LOG_BYTES
    forgets: bool = False

    def __str__(self) -> str:
        return self.name


def _renumber(folder: StateFolder) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(state_folder, "RENUMBER_AT", folder.log.last_seq)
        folder.maintain(0)


CHANGES = (
    Change("grow", lambda folder: folder.resize(3 * LOG_BYTES)),
    Change("shrink", lambda folder: folder.resize(LOG_BYTES), log_bytes=2 * LOG_BYTES),
    Change("grow encrypted", lambda folder: folder.resize(3 * LOG_BYTES), KEY, KEY),
    Change("encrypt", lambda folder: folder.change_key(KEY), None, KEY),
    Change("rotate", lambda folder: folder.change_key(OTHER_KEY), KEY, OTHER_KEY),
    Change("decrypt", lambda folder: folder.change_key(None), KEY, None),
    Change("renumber", _renumber),
    Change("renumber encrypted", _renumber, KEY, KEY),
    Change("erase", lambda folder: folder.erase(), forgets=True),
    Change("erase encrypted", lambda folder: folder.erase(), KEY, KEY, forgets=True),
    Change("erase some", lambda folder: folder.erase_chosen(None, ITEM, None), forgets=True),
    Change("erase some encrypted", lambda folder: folder.erase_chosen(None, ITEM, None), KEY, KEY, forgets=True),
)
ADOPTIONS = (
    Change("adopt", lambda folder: folder.adopt(ADOPTED)),
    Change("adopt encrypted", lambda folder: folder.adopt(ADOPTED), KEY, KEY),
)
REPLACEMENTS = tuple(change for change in CHANGES if not change.forgets)


def begin(path: Path, change: Change) -> StateFolder:
    """Opens a folder whose ring has gone round, to be changed."""
    folder = opened(path, change.key)
    if change.log_bytes != LOG_BYTES:
        folder.resize(change.log_bytes)
    record(folder, range(1, EVENTS + 1))
    return folder


def memory_of_log(folder: StateFolder) -> bytes:
    """Returns the memory that the log alone gives."""
    return memory_from(LAYOUT, folder.log.read()).dump()


def everything() -> bytes:
    """Returns the memory of all events of `begin`."""
    return memory_of(range(1, EVENTS + 1))


def sequence(folder: StateFolder) -> list[int]:
    return [int(seq) for seq in np.asarray(folder.log.read()["seq"])]


def migrated(memory: Memory, layout: MemoryLayout, log: Records) -> Memory:
    """Returns a memory under another layout; `log` has those of its events that the log still contains."""
    made = memory_from(layout, log)
    inherit(made, memory)
    return made
