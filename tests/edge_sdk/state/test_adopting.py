"""A folder adopts another layout while it is open: counters continue, and no crash and no full disk loses any."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from edge_sdk.memory.layout import MemoryLayout
from edge_sdk.memory.memory import Memory
from edge_sdk.state.folder import StateFolder
from edge_sdk.testing.white_box import abandon
from tests.support.disk_refusals import MODES, Refusals
from tests.support.small_state import FILES, LAYOUT, copied, event, memory_of, opened, record, recorded
from tests.support.state_changes import ADOPTED, ADOPTIONS, EVENTS, Change, begin, everything, migrated
from tests.support.system_calls import before_each_call, watched_maps

LATER = range(EVENTS + 1, EVENTS + 101)


def expected(folder: StateFolder) -> Memory:
    """Memory of all events, under the layout adopted."""
    return migrated(Memory.load(LAYOUT, everything()), ADOPTED, folder.log.read())


def expected_from_file(folder: StateFolder) -> bytes:
    """The same if the layout changes between the newest event in the snapshot and the next one."""
    last, log = folder.snapshot_seq, folder.log.read()
    memory = migrated(Memory.load(LAYOUT, memory_of(range(1, last + 1))), ADOPTED, log[log["seq"] <= last])
    return fed(memory, range(last + 1, EVENTS + 1))


def fed(memory: Memory, numbers: range) -> bytes:
    for n in numbers:
        memory.add(*event(n)[:4])
    return memory.dump()


@pytest.mark.parametrize("change", ADOPTIONS, ids=str)
def test_memory_goes_on_under_the_layout_adopted(tmp_path: Path, change: Change) -> None:
    with watched_maps():
        state = begin(tmp_path / "state", change)
        memory = expected(state)
        change.do(state)
        assert state.memory.layout is ADOPTED
        assert state.memory.dump() == memory.dump()
        assert state.memory.dump() != Memory(ADOPTED).dump()
        record(state, LATER)
        after = fed(memory, LATER)
        assert state.memory.dump() == after
        state.close()
        state = opened(tmp_path / "state", change.key, layout=ADOPTED)
        assert state.memory.dump() == after
        abandon(state)
        assert sorted(path.name for path in (tmp_path / "state").iterdir()) == FILES


def test_of_a_whole_log_the_new_layout_counts_every_event(tmp_path: Path) -> None:
    with watched_maps():
        state = opened(tmp_path / "state")
        record(state, range(1, 51))
        state.adopt(ADOPTED)
        assert state.memory.dump() == memory_of(range(1, 51), ADOPTED)
        abandon(state)


def test_an_erase_after_an_adoption_keeps_the_counters_of_other_categories(tmp_path: Path) -> None:
    """The items are the same, so no erased item can have been in another category."""
    with watched_maps():
        state = begin(tmp_path / "state", ADOPTIONS[0])
        state.adopt(ADOPTED)
        before = state.memory.counters.sums[state.memory.counters.category_slot + 1 :].copy()
        state.erase_chosen(None, frozenset({101}), None)
        left = state.memory.counters.sums[state.memory.counters.category_slot + 1 :]
        assert (left == before).all(axis=1).tolist() == [False, True, True]
        abandon(state)


@pytest.mark.parametrize("change", ADOPTIONS, ids=str)
@pytest.mark.parametrize("layout", [LAYOUT, ADOPTED], ids=["opened as before", "opened as adopted"])
def test_killed_at_any_call_either_layout_finds_all_that_counted(
    tmp_path: Path, change: Change, layout: MemoryLayout
) -> None:
    copies: list[Path] = []
    with watched_maps():
        state = begin(tmp_path / "state", change)
        log, adopted, at_next_opening = state.log.read(), expected(state).dump(), expected_from_file(state)
        with before_each_call(
            lambda _: copies.append(copied(tmp_path / "state", tmp_path / f"{len(copies)}")), torn=True
        ):
            change.do(state)
        copies.append(copied(tmp_path / "state", tmp_path / "after"))
        abandon(state)
        back = migrated(Memory.load(ADOPTED, adopted), LAYOUT, log).dump()
        found = []
        for copy in copies:
            state = opened(copy, change.key, layout=layout)
            assert sorted(path.name for path in copy.iterdir()) == FILES
            assert recorded(state)[-1] == EVENTS
            found.append(state.memory.dump())
            abandon(state)
    assert set(found) == ({everything(), back} if layout is LAYOUT else {adopted, at_next_opening})
    assert len(copies) > 5


@pytest.mark.parametrize("change", ADOPTIONS, ids=str)
def test_memory_goes_on_under_the_new_layout_where_the_disk_refuses_its_snapshot(
    tmp_path: Path, change: Change
) -> None:
    """The policy is installed by then: to go back would lose what the former layout alone counted."""
    calls = Refusals(0, 0, "once")
    with watched_maps():
        state = begin(tmp_path / "begun", change)
        abandon(state)
        state = opened(copied(tmp_path / "begun", tmp_path / "counted"), change.key)
        assert not calls.refused(lambda: change.do(state))
        abandon(state)
        failures = set()
        for first in range(1, len(calls.calls) + 1):
            for error in (errno.ENOSPC, errno.EIO):
                for mode in MODES:
                    folder = copied(tmp_path / "begun", tmp_path / f"{first}_{error}_{mode}")
                    state = opened(folder, change.key)
                    adopted, before = expected(state), state.disk_failures
                    assert not Refusals(first, error, mode).refused(lambda state=state: change.do(state))  # type: ignore[misc]
                    failures.add(state.disk_failures - before)
                    assert state.memory.layout is ADOPTED
                    assert state.memory.dump() == adopted.dump()
                    record(state, LATER)
                    after = fed(adopted, LATER)
                    assert state.memory.dump() == after
                    state.close()
                    state = opened(folder, change.key, layout=ADOPTED)
                    assert state.memory.dump() == after, (first, error, mode)
                    assert sorted(path.name for path in folder.iterdir()) == FILES
                    abandon(state)
    assert failures == {1}  # each refusal is counted, once


def test_a_folder_without_a_snapshot_file_adopts_from_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with watched_maps(), monkeypatch.context() as patch:
        patch.setattr("edge_sdk.state.snapshot_store.SnapshotFile", full)
        state = opened(tmp_path / "state")
        record(state, range(1, 31))
        state.adopt(ADOPTED._replace(spending=None))
        assert state.memory.dump() == memory_of(range(1, 31), ADOPTED._replace(spending=None))
        abandon(state)
