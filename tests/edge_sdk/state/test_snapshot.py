"""Events that the ring dropped count after reopening through the snapshot, to the bit, and never more than recorded."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_sdk import BaseDecision, Engine
from edge_sdk.memory.memory import Memory
from edge_sdk.state import snapshot_store
from edge_sdk.state.snapshot import Snapshot, SnapshotFile
from edge_sdk.testing.white_box import internals
from tests.support.cap_answers import cap_bits
from tests.support.places import entry
from tests.support.scene import HOME, ITEMS, KINDS, NOW_MS, SettableClock, Small

LOG_BYTES = 4096  # 126 records: a few hundred events wrap the ring


def record_some(engine: Engine, clock: SettableClock, count: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    for _ in range(count):
        clock.now_ms += int(random.integers(0, 400_000))
        engine.record(str(random.choice(KINDS)), item=str(random.choice(ITEMS)), value=float(random.normal()))


def state_of(engine: Engine) -> bytes:
    return internals(engine).state.memory.dump()


@given(counts=st.lists(st.integers(0, 300), min_size=1, max_size=4), seed=st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_reopening_changes_nothing_however_often_the_ring_went_round(
    small: Small, tmp_path_factory: pytest.TempPathFactory, counts: list[int], seed: int
) -> None:
    folder, clock = tmp_path_factory.mktemp("state"), SettableClock()
    for count in counts:
        with small.open(folder, clock, log_bytes=LOG_BYTES) as engine:
            record_some(engine, clock, count, seed)
            before = state_of(engine)
        with small.open(folder, clock, log_bytes=LOG_BYTES) as engine:
            assert state_of(engine) == before


@given(count=st.integers(1, 700), seed=st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_a_process_that_dies_anywhere_leaves_the_same_memory(
    small: Small, tmp_path_factory: pytest.TempPathFactory, count: int, seed: int
) -> None:
    folder, clock = tmp_path_factory.mktemp("state"), SettableClock()
    with small.open(folder, clock, log_bytes=LOG_BYTES) as engine:
        record_some(engine, clock, count, seed)
        before = state_of(engine)
        dead = folder / "dead"  # the files as the kernel has them now: nothing was closed
        dead.mkdir()
        for name in ("events.log", "memory.bin"):
            shutil.copy(folder / name, dead / name)
    with small.open(dead, clock, log_bytes=LOG_BYTES) as engine:
        assert state_of(engine) == before


@pytest.mark.parametrize("content", [b"", b"words", bytes(10_000)])
def test_a_useless_file_is_ignored(small: Small, tmp_path: Path, content: bytes) -> None:
    clock = SettableClock()
    with small.open(tmp_path, clock, log_bytes=LOG_BYTES) as engine:
        record_some(engine, clock, 100, 4)  # all are in the log
        before = state_of(engine)
    (tmp_path / "memory.bin").write_bytes(content)
    with small.open(tmp_path, clock, log_bytes=LOG_BYTES) as engine:
        assert state_of(engine) == before


def test_memory_of_a_log_that_is_gone_is_overwritten(small: Small, tmp_path: Path) -> None:
    clock = SettableClock()
    with small.open(tmp_path, clock) as engine:
        record_some(engine, clock, 50, 5)
    (tmp_path / "events.log").unlink()
    with small.open(tmp_path, clock) as engine:
        assert state_of(engine) == Memory(small.layout.memory).dump()
        raw = (tmp_path / "memory.bin").read_bytes()
        assert raw == bytes(len(raw))


def test_erasing_leaves_nothing_of_it(small: Small, tmp_path: Path) -> None:
    clock = SettableClock()
    with small.open(tmp_path, clock) as engine:
        record_some(engine, clock, 50, 6)
    with small.open(tmp_path, clock) as engine:
        engine.erase()
        raw = (tmp_path / "memory.bin").read_bytes()
        assert len(raw) > 0
        assert raw == bytes(len(raw))


def test_a_cap_outlives_the_ring(small: Small, tmp_path: Path) -> None:
    clock = SettableClock()
    with small.open(tmp_path, clock, log_bytes=LOG_BYTES) as engine:
        for _ in range(2):
            engine.record("impression", item="fund_a")  # at most 2 an hour
        for _ in range(500):
            engine.record("note")
    clock.now_ms = NOW_MS + 60_000
    with small.open(tmp_path, clock, log_bytes=LOG_BYTES) as engine:
        assert internals(engine).state.log.read()["seq"].min() > 2  # the impressions have left the log
        row = np.array([small.layout.memory.offers.row(int(small.layout.item_ids[ITEMS.index("fund_a")]))])
        bits = cap_bits(internals(engine).state.memory, row, None, clock.now_ms)
        assert bits is not None
        assert bits[0] > 0


def test_decision_ids_go_on_where_nothing_was_recorded(small: Small, tmp_path: Path, base: BaseDecision) -> None:
    for expected in (1, 2, 3):
        with small.open(tmp_path, SettableClock()) as engine:
            assert engine.rank(base, context=HOME).id == expected


def test_memory_of_another_log_is_overwritten(small: Small, tmp_path: Path) -> None:
    layout = small.layout.memory
    for log_id, is_found in ((b"this log", True), (b"that log", False)):
        file = SnapshotFile(entry(tmp_path / "memory.bin"), layout)
        file.write(Snapshot(Memory(layout), 5, 1), b"this log", None)
        file.close()
        file = SnapshotFile(entry(tmp_path / "memory.bin"), layout)
        snapshot = file.read(log_id, None)
        file.close()
        assert (snapshot is not None) == is_found
        assert any((tmp_path / "memory.bin").read_bytes()) == is_found
        if snapshot is not None:
            assert (snapshot.seq, snapshot.decision) == (5, 1)


@pytest.mark.parametrize("within_s", [1, None])  # of the same size, and of another
def test_memory_of_another_layout_is_read_as_such(small: Small, tmp_path: Path, within_s: int | None) -> None:
    layout = small.layout.memory
    caps = () if within_s is None else (layout.caps[0]._replace(within_s=within_s), *layout.caps[1:])
    file = SnapshotFile(entry(tmp_path / "memory.bin"), layout._replace(caps=caps))
    file.write(Snapshot(Memory(layout._replace(caps=caps)), 5, 1), b"this log", None)
    file.close()
    file = SnapshotFile(entry(tmp_path / "memory.bin"), layout)
    snapshot = file.read(b"this log", None)
    assert snapshot is not None
    assert (snapshot.seq, snapshot.decision, snapshot.memory.layout.caps, file.is_foreign) == (5, 1, caps, True)
    file.write(Snapshot(Memory(layout), 6, 1), b"this log", None)
    again = file.read(b"this log", None)
    file.close()
    assert again is not None
    assert (again.seq, again.memory.layout, file.is_foreign) == (6, layout, False)


def test_without_room_for_it_the_engine_works_from_the_log(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SettableClock()

    def full(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(snapshot_store, "SnapshotFile", full)
    with small.open(tmp_path, clock) as engine:
        record_some(engine, clock, 60, 7)
        before = state_of(engine)
    with small.open(tmp_path, clock) as engine:
        assert state_of(engine) == before
        engine.erase()
