"""A forged, swapped or old snapshot file is refused, and memory is made from the log; or it is a usable memory.

The forger knows the format and writes right checksums. No file makes the opening raise, or take much more memory than
the file has bytes; and no file hides the events that are in the log.
"""

from __future__ import annotations

import os
import struct
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk.log.event_log import SEQ_MAX
from edge_sdk.memory.memory import Memory
from edge_sdk.state.folder import StateFolder
from edge_sdk.state.snapshot_tables import fingerprint, pack_tables
from edge_sdk.testing.white_box import abandon
from tests.support.small_state import KEY, OTHER_KEY, TINY_LAYOUT, event, memory_of, opened, record, recorded

HEADER = struct.Struct("<7sB32s8sIII")
OTHER_LAYOUT = TINY_LAYOUT._replace(window=7)
EVENTS = 100  # the ring has all of them


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("begun") / "state"
    state = opened(path, layout=TINY_LAYOUT)
    record(state, range(1, EVENTS + 1))
    state.close()
    return path


@pytest.fixture(scope="module")
def scratch(begun: Path, tmp_path_factory: pytest.TempPathFactory) -> Scratch:
    return Scratch(begun, tmp_path_factory.mktemp("scratch"))


class Scratch:
    """A folder that gets one snapshot file after another."""

    def __init__(self, begun: Path, path: Path) -> None:
        self.path = path
        self.log, self.whole = ((begun / name).read_bytes() for name in ("events.log", "memory.bin"))
        self.slot = next(slot for slot in (0, 1) if any(self.whole[slot * len(self.whole) // 2 :][:60]))

    def content(self) -> bytes:
        """Returns the newest slot's content without its checksum and the room behind."""
        half = len(self.whole) // 2
        return self.whole[self.slot * half :][: half - 28 - 4]

    def forged(self, content: bytes, *, slot_bytes: int | None = None) -> None:
        """Writes a file of one such slot, with a right checksum."""
        raw = (content + struct.pack("<I", zlib.crc32(content))).ljust((slot_bytes or len(content) + 4) + 28, b"\0")
        self.write(raw + bytes(len(raw)))

    def write(self, raw: bytes) -> None:
        (self.path / "events.log").write_bytes(self.log)
        (self.path / "memory.bin").write_bytes(raw)

    def opened(self, layout: Any = TINY_LAYOUT) -> StateFolder:
        return opened(self.path, layout=layout)


def used(state: StateFolder) -> None:
    """Uses all of a memory."""
    layout, memory = state.layout, state.memory
    now_ms = event(EVENTS)[0] + 1000
    rows = np.arange(len(layout.offers) + 1)
    arrays = [np.zeros(layout.window, dtype) for dtype in (np.int32, np.int32, np.float32, np.float32)]
    memory.fill_window(now_ms, *arrays)  # type: ignore[arg-type]
    assert arrays[0].min() >= 0
    assert arrays[0].max() <= len(layout.items)
    assert arrays[1].max() <= len(layout.kinds)
    counters = np.zeros((len(rows), layout.counter_features), np.float32)
    memory.counters.fill(now_ms, layout.counter_slots(rows), counters)
    assert np.isfinite(counters).all()
    for index in range(len(layout.machines)):
        memory.machines.states(index, rows, now_ms)
    assert memory.spending.spent(now_ms) >= 0
    record(state, range(EVENTS + 1, EVENTS + 100))
    assert len(state.memory.dump()) == len(memory.dump())
    assert recorded(state) == list(range(EVENTS + 100 - 126, EVENTS + 100))


CHANGES = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.sampled_from([0, 1, 0x7F, 0x80, 0xFE, 0xFF]), st.integers(1, 8)),
    min_size=1,
    max_size=6,
)


@given(changes=CHANGES, cut=st.one_of(st.none(), st.floats(0, 1)), is_foreign=st.booleans())
@settings(max_examples=300, deadline=None)
def test_a_forged_content_is_refused_or_is_a_memory(
    scratch: Scratch, changes: list[tuple[float, int, int]], cut: float | None, is_foreign: bool
) -> None:
    content = bytearray(scratch.content())
    for where, byte, count in changes:
        at = int(where * len(content))
        content[at : at + count] = bytes([byte]) * len(content[at : at + count])
    scratch.forged(bytes(content[: None if cut is None else int(cut * len(content))]))
    tracemalloc.start()
    state = scratch.opened(OTHER_LAYOUT if is_foreign else TINY_LAYOUT)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    try:
        assert peak < 4 << 20  # of a file of 5 KB: the rest is numpy's and the log's
        used(state)
    finally:
        state.close()


@given(
    at=st.integers(0, 400),
    number=st.sampled_from([0, 1, 2, 255, 65535, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) - 1]),
)
@settings(max_examples=200, deadline=None)
def test_tables_of_any_size_take_no_memory(scratch: Scratch, at: int, number: int) -> None:
    """The tables of another bundle say how large everything is; each number is tried at each place."""
    content = bytearray(scratch.content())
    log_id = bytes(content[40:48])
    begin = HEADER.size + at // 4 * 4
    mask = np.resize(np.frombuffer(log_id, np.uint8), begin - HEADER.size + 4)[-4:].tobytes()
    content[begin : begin + 4] = bytes(a ^ b for a, b in zip(struct.pack("<I", number), mask, strict=True))
    scratch.forged(bytes(content))
    tracemalloc.start()
    state = scratch.opened(OTHER_LAYOUT)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    try:
        assert peak < 4 << 20
        used(state)
    finally:
        state.close()


@pytest.mark.parametrize("ahead", [127, 1 << 20, SEQ_MAX - EVENTS])
def test_a_number_far_beyond_the_log_hides_no_event(scratch: Scratch, ahead: int) -> None:
    """Such a snapshot says that everything in the log is in it already."""
    empty = Memory(TINY_LAYOUT).dump()
    header = HEADER.pack(b"EDGEMEM", scratch.content()[7], fingerprint(TINY_LAYOUT), scratch.content()[40:48],
                         EVENTS + ahead, 0, 0)  # fmt: skip
    scratch.forged(header + bytes(len(pack_tables(TINY_LAYOUT))) + empty)
    state = scratch.opened()
    assert state.memory.dump() == memory_of(range(1, EVENTS + 1), TINY_LAYOUT)
    assert state.log.last_seq == EVENTS
    used(state)
    state.close()


def test_numbers_that_are_used_up_start_low_again_at_opening(tmp_path: Path) -> None:
    """Where the log is empty, only the snapshot knows how far the numbers had come."""
    state = opened(tmp_path / "state", layout=TINY_LAYOUT)
    record(state, range(1, 50))
    state.log.skip_to(SEQ_MAX - 1)
    state._ingested_seq = SEQ_MAX - 1  # noqa: SLF001
    state.write_snapshot()
    abandon(state)
    again = opened(tmp_path / "state", layout=TINY_LAYOUT)
    assert again.log.last_seq < 1000
    record(again, range(50, 200))
    assert again.memory.dump() == memory_of(range(1, 200), TINY_LAYOUT)
    again.close()


@pytest.mark.parametrize("size", [1 << 40, (1 << 30) + 1])
def test_a_file_of_terabytes_of_holes_is_not_read(scratch: Scratch, size: int) -> None:
    scratch.write(scratch.whole)
    os.truncate(scratch.path / "memory.bin", size)
    tracemalloc.start()
    state = scratch.opened()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20
    assert state.memory.dump() == memory_of(range(1, EVENTS + 1), TINY_LAYOUT)
    state.close()
    assert (scratch.path / "memory.bin").stat().st_size == len(scratch.whole)


@pytest.mark.parametrize("which", ["of another user", "of another key", "of a plain folder"])
def test_a_swapped_file_is_refused(tmp_path: Path, which: str) -> None:
    keys = {"of another user": (None, None), "of another key": (KEY, OTHER_KEY), "of a plain folder": (KEY, None)}
    key, other_key = keys[which]
    for name, of, numbers in (("mine", key, range(1, 50)), ("other", other_key, range(50, 120))):
        state = opened(tmp_path / name, of)
        record(state, numbers)
        state.close()
    (tmp_path / "mine" / "memory.bin").write_bytes((tmp_path / "other" / "memory.bin").read_bytes())
    state = opened(tmp_path / "mine", key)
    assert state.memory.dump() == memory_of(range(1, 50))
    state.close()


def test_a_log_that_is_older_than_its_snapshot_goes_on_behind_it(tmp_path: Path) -> None:
    """As after a power loss: what memory knows of the missing events still counts, and their numbers are not reused."""
    state = opened(tmp_path / "state")
    record(state, range(1, 50))
    state.sync()
    older = (tmp_path / "state" / "events.log").read_bytes()
    record(state, range(50, 80))
    state.close()
    (tmp_path / "state" / "events.log").write_bytes(older)
    again = opened(tmp_path / "state")
    assert again.memory.dump() == memory_of(range(1, 80))
    assert (recorded(again), again.log.last_seq, again.log.damaged) == (list(range(1, 50)), 79, 30)
    record(again, [80])
    assert again.memory.dump() == memory_of(range(1, 81))
    again.close()


def test_a_snapshot_that_is_older_than_the_log_gets_the_events_since(tmp_path: Path) -> None:
    state = opened(tmp_path / "state")
    record(state, range(1, 50))
    state.write_snapshot()
    older = (tmp_path / "state" / "memory.bin").read_bytes()
    record(state, range(50, 150))
    state.close()
    (tmp_path / "state" / "memory.bin").write_bytes(older)
    again = opened(tmp_path / "state")
    assert again.memory.dump() == memory_of(range(1, 150))
    again.close()


# ---- the former log, before the new one is known to be readable ----


@pytest.mark.parametrize("damage", ["header", "cut", "none"])
def test_the_former_log_is_kept_until_the_new_one_is_readable(tmp_path: Path, damage: str) -> None:
    """A crash between the two renames leaves both; the new one is the log, unless it cannot be read."""
    path = tmp_path / "state"
    state = opened(path)
    record(state, range(1, 50))
    state.close()
    former = (path / "events.log").read_bytes()
    state = opened(path)
    state.resize(8192)
    state.close()
    new = bytearray((path / "events.log").read_bytes())
    if damage == "header":
        new[:64] = bytes(64)
    (path / "events.new").write_bytes(new[: 5000 if damage == "cut" else None])
    (path / "events.old").write_bytes(former)
    (path / "events.log").unlink()
    again = opened(path)
    assert recorded(again) == list(range(1, 50))
    assert again.log.size_bytes == (8192 if damage == "none" else 4096)
    assert sorted(os.listdir(path)) == ["events.log", "memory.bin", "owner.lock"]
    again.close()
