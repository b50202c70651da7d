"""A disk that becomes full after the opening costs no event: docs/embedding.md, "What survives what".

Every file has its size from the start, so that nothing is written which needs room. What needs room (another log) is
refused and changes nothing.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_sdk import BaseDecision, Engine
from edge_sdk.errors import StateFullError, StateUnusableError
from edge_sdk.log.header import capacity_of
from edge_sdk.testing.white_box import internals
from tests.support.scene import HOME, SettableClock, Small

LOG_BYTES = 4096
MANY = 5 * capacity_of(LOG_BYTES)  # the ring goes round several times, and snapshots are written


def fill_disk(patch: pytest.MonkeyPatch) -> None:
    """From now on no file gets another block; reserving what a file has already succeeds, as on a real disk."""
    reserve = os.posix_fallocate

    def reserve_nothing_new(file: int, at: int, count: int) -> None:
        if os.fstat(file).st_size < at + count:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        reserve(file, at, count)

    patch.setattr(os, "posix_fallocate", reserve_nothing_new)


def recorded(engine: Engine, clock: SettableClock, count: int) -> None:
    for number in range(count):
        clock.now_ms += 1
        engine.record("click", item=f"fund_{'abcd'[number % 4]}", value=float(number))


def test_what_was_recorded_survives_and_counts(
    small: Small, clock: SettableClock, tmp_path: Path, base: BaseDecision, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state"
    engine = small.open(path, clock, log_bytes=LOG_BYTES)
    recorded(engine, clock, MANY)
    fill_disk(monkeypatch)
    recorded(engine, clock, MANY)
    memory, order = internals(engine).state.memory.dump(), engine.rank(base, context=HOME).order.tolist()
    engine.close()
    with small.open(path, clock) as again:
        assert internals(again).state.log.last_seq == 2 * MANY
        assert internals(again).state.memory.dump() == memory
        assert again.rank(base, context=HOME).order.tolist() == order


@pytest.mark.parametrize(
    "change",
    [lambda engine: engine.storage.resize(2 * LOG_BYTES), lambda engine: engine.storage.rotate_key(b"k" * 16)],
    ids=["resize", "rotate_key"],
)
def test_without_room_for_a_second_log_nothing_changes(
    small: Small,
    clock: SettableClock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Engine], None],
) -> None:
    path = tmp_path / "state"
    with small.open(path, clock, log_bytes=LOG_BYTES) as engine:
        recorded(engine, clock, MANY)
        files, log = sorted(os.listdir(path)), (path / "events.log").read_bytes()
        memory = internals(engine).state.memory.dump()
        fill_disk(monkeypatch)
        with pytest.raises(StateFullError, match="no room for"):
            change(engine)
        monkeypatch.undo()
        assert (sorted(os.listdir(path)), (path / "events.log").read_bytes()) == (files, log)
        assert internals(engine).state.memory.dump() == memory
        change(engine)  # with room it works


def test_an_erase_needs_no_room(
    small: Small, clock: SettableClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state"
    with small.open(path, clock, log_bytes=LOG_BYTES) as engine:
        recorded(engine, clock, 100)
        fill_disk(monkeypatch)
        assert engine.erase(items=["fund_a"]) == 25
        assert engine.erase() == 75
    with small.open(path, clock) as again:
        assert again.status().events == 0


def test_without_room_for_memory_counts_last_as_long_as_the_engine(
    small: Small, clock: SettableClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that has its log and lost its snapshot, such as a restored one, is opened on a full disk."""
    path, twin = tmp_path / "state", SettableClock()
    small.open(path, clock, log_bytes=LOG_BYTES).close()
    (path / "memory.bin").unlink()
    with small.open(tmp_path / "twin", twin, log_bytes=LOG_BYTES) as with_room:
        recorded(with_room, twin, MANY)
        memory = internals(with_room).state.memory.dump()
    fill_disk(monkeypatch)
    engine = small.open(path, clock)
    recorded(engine, clock, MANY)
    assert internals(engine).state.memory.dump() == memory
    assert engine.status().disk_failures > 0
    with pytest.raises(StateUnusableError, match="the counts of events that have left the log"):
        engine.close()
    assert not (path / "memory.bin").exists()
    with small.open(path, clock) as again:
        assert again.status().events == capacity_of(LOG_BYTES)
        assert internals(again).state.memory.dump() != memory  # what has left the log counts no more
        recorded(again, clock, 1)
        assert internals(again).state.log.last_seq == MANY + 1
