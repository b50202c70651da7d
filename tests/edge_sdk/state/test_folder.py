"""A folder ingests pending events when memory is read and when maintenance is due, also in a replaced log."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_sdk.limits import PENDING_MAX
from edge_sdk.state.snapshot import Snapshot
from edge_sdk.testing.white_box import abandon
from tests.support.small_state import KEY, LAYOUT, LOG_BYTES, event, memory_of, opened, record


def test_reading_memory_ingests_pending_events(tmp_path: Path) -> None:
    folder = opened(tmp_path / "state")
    for n in range(1, 4):
        folder.append(*event(n), 0)
    assert len(folder.log.pending) == 3
    assert folder.memory.dump() == memory_of(range(1, 4))
    assert not folder.log.pending
    folder.close()


@pytest.mark.parametrize("key", [None, KEY])
def test_appending_runs_maintenance_in_a_replaced_log_too(tmp_path: Path, key: bytes | None) -> None:
    folder = opened(tmp_path / "state")
    former = folder.log
    folder.change_key(key)
    assert folder.log is not former
    record(folder, range(1, 201))  # the ring goes round
    assert len(folder.log.pending) < PENDING_MAX
    assert folder.log.last_seq - folder.snapshot_seq <= folder.log.capacity // 2
    assert folder.memory.dump() == memory_of(range(1, 201))
    folder.close()


def test_a_folder_without_room_for_its_snapshot_file_has_a_store_that_does_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("edge_sdk.state.snapshot_store.SnapshotFile", full)
    folder = opened(tmp_path / "state")
    store = folder.snapshots
    assert (store.has_file, store.is_foreign, store.next_slot, store.read(folder.log)) == (False, False, 0, None)
    store.overwrite(Snapshot(folder.memory, 0, 0), folder.log)
    store.erase()
    store.sync_if_written()
    record(folder, range(1, 31))
    folder.resize(2 * LOG_BYTES)
    abandon(folder)
    assert not (tmp_path / "state" / "memory.bin").exists()
    folder = opened(tmp_path / "state", layout=LAYOUT)
    assert folder.memory.dump() == memory_of(range(1, 31))
    folder.close()
