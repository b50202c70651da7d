"""Makes a small state folder for crash tests: a layout, a numbered event for each n, and the memory that must follow.

A snapshot of this layout is larger than a page, so that it can be torn as the log can.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from edge_sdk.memory.caps import CapRule
from edge_sdk.memory.decay import DecayTables
from edge_sdk.memory.layout import KindRule, MemoryLayout
from edge_sdk.memory.memory import Memory
from edge_sdk.memory.spending import Periods, SpendingRule
from edge_sdk.memory.state_machines import MachineRule, MachineStep
from edge_sdk.memory.targets import Scope
from edge_sdk.state.folder import StateFolder
from edge_sdk.state.lock import HeldFolder
from edge_sdk.vocabulary import Vocabulary

LOG_BYTES = 4096  # 126 events, 63 encrypted
KEY, OTHER_KEY = b"k" * 16, b"o" * 32
KEYS = {"no key": None, "key": KEY, "other key": OTHER_KEY}
Event = tuple[int, int, int, float, int]  # time, kind, item, value, decision
FILES = ["events.log", "memory.bin", "owner.lock"]

_START_MS = 1_700_000_000_000


def _layout(count: int) -> MemoryLayout:
    offers = Vocabulary(np.arange(101, 101 + count, dtype=np.uint32), b"", np.arange(count).astype(np.uint16) % 3 + 1)
    return MemoryLayout(
        window=6,
        kinds={
            11: KindRule(row=1, in_window=True, counter=0),
            12: KindRule(row=2, in_window=True, counter=1),
            13: KindRule(row=3, in_window=False, counter=-1),
        },
        items=offers,
        offers=offers,
        category_rows=4,
        counter_kinds=2,
        decays=(DecayTables.of(60), DecayTables.of(3600)),
        caps=(CapRule((11,), Scope.OFFER, 2, 3600, False), CapRule((13,), Scope.CATEGORY, 3, 7200, False)),
        machines=(
            MachineRule("stage", Scope.USER, ("new", "active", "lost"), (
                MachineStep(frozenset(), 11, 3, 0, 1), MachineStep(frozenset({1}), 0, 1, 600, 2))),
            MachineRule("phase", Scope.OFFER, ("before", "after"), (
                MachineStep(frozenset({0}), 13, 1, 0, 1), MachineStep(frozenset({1}), 0, 1, 120, 0))),
        ),
        spending=SpendingRule(frozenset({12}), Periods(3600)),
    )  # fmt: skip


LAYOUT = _layout(90)
TINY_LAYOUT = _layout(5)  # for tests that open a folder for each byte of its memory


def event(n: int) -> Event:
    """Returns the n-th event, from 1; its value is n."""
    return _START_MS + n * 7013, 11 + n % 3, 101 + n * n % 7, float(n), n % 5


def opened(
    path: Path, key: bytes | None = None, *, sync_interval_s: float | None = None, layout: MemoryLayout = LAYOUT
) -> StateFolder:
    return StateFolder(
        HeldFolder(path), layout, LOG_BYTES, now_ms=_START_MS, storage_key=key, sync_interval_s=sync_interval_s
    )


def record(folder: StateFolder, numbers: Iterable[int]) -> None:
    """Records these events as the engine does."""
    for n in numbers:
        time_ms, kind, item, value, decision = event(n)
        folder.append(time_ms, kind, item, value, decision, 0)


def recorded(folder: StateFolder) -> list[int]:
    """Returns which events the log contains, in order; each must be whole."""
    found = []
    for _, time_s, ms, kind, item, value, decision, _, _, _ in folder.log.read().tolist():
        assert (time_s * 1000 + ms, kind, item, value, decision) == event(int(value))
        found.append(int(value))
    return found


def memory_of(numbers: Iterable[int], layout: MemoryLayout = LAYOUT) -> bytes:
    """Returns the dumped memory after these events, added one by one."""
    memory = Memory(layout)
    for n in numbers:
        memory.add(*event(n)[:4])
    return memory.dump()


def copied(source: Path, target: Path) -> Path:
    """Copies the files of a folder as the kernel has them now."""
    target.mkdir()
    for path in source.iterdir():
        shutil.copyfile(path, target / path.name)
    return target
