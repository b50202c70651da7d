"""With its snapshot file cut anywhere, or any one byte altered, a folder has the memory of the snapshot or of the log.

A damaged byte costs nothing at all: the other slot and the events since are as good.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_sdk.state.snapshot import SnapshotFile
from edge_sdk.testing.white_box import abandon
from tests.support.paths import GOLDEN
from tests.support.places import entry
from tests.support.ram_folder import ram_folder
from tests.support.small_state import KEY, TINY_LAYOUT, memory_of, opened, record, recorded
from tests.support.system_calls import watched_maps

EVENTS = 300  # the ring has dropped more than half of them


@pytest.fixture
def folder() -> Iterator[Path]:
    with ram_folder() as path:
        yield Path(path)


@pytest.mark.parametrize("key", [None, KEY], ids=["plain", "encrypted"])
@pytest.mark.parametrize("is_closed", [True, False], ids=["closed", "died"])
def test_any_one_damaged_byte_costs_nothing(folder: Path, key: bytes | None, is_closed: bool) -> None:
    generator = random.Random(1)
    expected = memory_of(range(1, EVENTS + 1), TINY_LAYOUT)
    with watched_maps():
        whole, log = begun(folder, key, is_closed)
        content = bytearray(whole)
        for at, byte in enumerate(whole):
            content[at] ^= generator.randrange(1, 256)
            (folder / "memory.bin").write_bytes(content)
            (folder / "events.log").write_bytes(log)
            state = opened(folder, key, layout=TINY_LAYOUT)
            assert state.memory.dump() == expected, at
            assert state.log.last_seq == EVENTS
            abandon(state)
            content[at] = byte


def test_a_file_cut_at_any_length_is_ignored(folder: Path) -> None:
    expected = memory_of(range(1, EVENTS + 1), TINY_LAYOUT)
    with watched_maps():
        whole, log = begun(folder, None, is_closed=True)
        of_log = memory_of(range(EVENTS - 125, EVENTS + 1), TINY_LAYOUT)
        assert of_log != expected
        for length in range(len(whole) + 1):
            (folder / "memory.bin").write_bytes(whole[:length])
            (folder / "events.log").write_bytes(log)
            for _ in range(2):  # the second time from what the first one has kept
                state = opened(folder, layout=TINY_LAYOUT)
                assert state.memory.dump() == (expected if length == len(whole) else of_log), length
                assert (folder / "memory.bin").stat().st_size == len(whole)
                assert not list(folder.glob("memory.[no]*"))
                abandon(state)


@pytest.mark.parametrize("key", [None, KEY], ids=["plain", "encrypted"])
def test_with_both_slots_damaged_the_log_alone_counts(folder: Path, key: bytes | None) -> None:
    generator = random.Random(2)
    with watched_maps():
        whole, log = begun(folder, key, is_closed=True)
        for _ in range(200):
            content = bytearray(whole)
            used = len(whole) // 2 - (28 if key is None else 0)  # a plain slot ends with unused bytes
            for slot in range(2):
                content[slot * len(whole) // 2 + generator.randrange(used)] ^= generator.randrange(1, 256)
            (folder / "memory.bin").write_bytes(content)
            (folder / "events.log").write_bytes(log)
            state = opened(folder, key, layout=TINY_LAYOUT)
            numbers = recorded(state)
            assert state.memory.dump() == memory_of(numbers, TINY_LAYOUT)
            assert numbers[-1] == EVENTS
            abandon(state)


def test_a_snapshot_of_the_first_release_is_read(folder: Path) -> None:
    """The file was written by edge-sdk 0.1 after `EVENTS` events, under this layout without machines and budget."""
    (folder / "memory.bin").write_bytes((GOLDEN / "memory_of_0_1.bin").read_bytes())
    file = SnapshotFile(entry(folder / "memory.bin"), TINY_LAYOUT)
    kept = file.read(None, None)
    assert kept is not None
    assert (kept.seq, file.is_foreign) == (EVENTS, True)
    former = TINY_LAYOUT._replace(machines=(), spending=None)
    assert kept.memory.dump() == memory_of(range(1, EVENTS + 1), former)
    file.close()


def begun(folder: Path, key: bytes | None, is_closed: bool) -> tuple[bytes, bytes]:
    """A folder whose ring has gone round: its memory.bin and its events.log."""
    state = opened(folder, key, layout=TINY_LAYOUT)
    record(state, range(1, EVENTS + 1))
    if is_closed:
        state.close()
    else:
        abandon(state)
    return (folder / "memory.bin").read_bytes(), (folder / "events.log").read_bytes()
