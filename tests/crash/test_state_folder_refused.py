"""A disk that refuses a change of the state folder, at any system call, costs no recorded event.

The change either raises an `EdgeError` and has not happened, or raises nothing and has happened. The folder continues
to work, in this process and after the next opening, and the next change removes what a failed change left behind.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from edge_sdk.errors import StateFullError, StateUnusableError
from edge_sdk.state import memory_of_log
from edge_sdk.state.folder import StateFolder
from edge_sdk.testing.white_box import abandon
from tests.support.disk_refusals import MODES, Refusals
from tests.support.small_state import FILES, LOG_BYTES, copied, memory_of, opened, record, recorded
from tests.support.state_changes import CHANGES, EVENTS, REPLACEMENTS, Change, begin, everything, sequence
from tests.support.system_calls import before_each_call, watched_maps

LATER = range(EVENTS + 1, EVENTS + 101)  # more than half a ring: memory is kept at least once
WAITED_FOR = ("grow", "shrink", "grow encrypted", "encrypt", "rotate", "decrypt")  # nobody waits for a renumbering


def calls_of(folder: Path, change: Change) -> int:
    refusals = Refusals(0, 0, "once")
    with watched_maps():
        state = begin(folder, change)
        assert not refusals.refused(lambda: change.do(state))
        abandon(state)
    return len(refusals.calls)


def cases(tmp_path: Path, change: Change) -> list[tuple[Path, int, int, str]]:
    """Returns a folder for each call that can be refused, and how."""
    calls = calls_of(tmp_path / "counted", change)
    assert calls > 2
    with watched_maps():
        abandon(begin(tmp_path / "begun", change))
    return [
        (copied(tmp_path / "begun", tmp_path / f"{first}_{error}_{mode}"), first, error, mode)
        for first in range(1, calls + 1)
        for error in (errno.ENOSPC, errno.EIO)
        for mode in MODES
    ]


@pytest.mark.parametrize("change", REPLACEMENTS, ids=str)
def test_a_refused_replacement_costs_nothing(tmp_path: Path, change: Change) -> None:
    outcomes = set()
    for folder, first, error, mode in cases(tmp_path, change):
        with watched_maps():
            state = opened(folder, change.key)
            capacity = state.log.capacity
            refused = Refusals(first, error, mode).refused(lambda state=state: change.do(state))  # type: ignore[misc]
            outcomes.add(refused)
            key = change.key if refused else change.new_key
            assert not refused or state.log.capacity == capacity
            assert state.memory.dump() == everything(), (first, error, mode)
            record(state, LATER)
            for copy in (copied(folder, folder.with_name(folder.name + "_dead")), folder):
                if copy is folder:
                    state.close()
                assert_all_recorded(copy, key, (first, error, mode))
    assert False in outcomes
    assert (True in outcomes) == (change.name in WAITED_FOR)


def assert_all_recorded(folder: Path, key: bytes | None, case: object) -> None:
    state = opened(folder, key)
    assert sorted(path.name for path in folder.iterdir()) == FILES
    assert state.memory.dump() == memory_of(range(1, LATER[-1] + 1)), case
    found, numbers = recorded(state), sequence(state)
    assert found == list(range(found[0], LATER[-1] + 1)), case
    assert numbers == list(range(numbers[0], state.log.last_seq + 1))
    assert len(found) >= min(state.log.capacity, 63)
    assert state.log.damaged == 0
    abandon(state)


@pytest.mark.parametrize("change", [change for change in CHANGES if change.forgets], ids=str)
def test_a_refused_erase_can_be_done_again(tmp_path: Path, change: Change) -> None:
    with watched_maps():
        undisturbed = begin(tmp_path / "undisturbed", change)
        change.do(undisturbed)
        after = (recorded(undisturbed), sequence(undisturbed), undisturbed.memory.dump())
        abandon(undisturbed)
        for folder, first, error, mode in cases(tmp_path, change):
            state = opened(folder, change.key)
            assert Refusals(first, error, mode).refused(lambda state=state: change.do(state))  # type: ignore[misc]
            change.do(state)
            assert (recorded(state), sequence(state), state.memory.dump()) == after, (first, error, mode)
            state.close()
            state = opened(folder, change.key)
            assert (recorded(state), sequence(state), state.memory.dump()) == after, (first, error, mode)
            abandon(state)


@pytest.mark.parametrize("change", [change for change in CHANGES if change.forgets], ids=str)
def test_what_is_recorded_after_a_refused_erase_stays(tmp_path: Path, change: Change) -> None:
    """Either an event is refused, or it is there after every opening; and recording goes on when the disk does."""
    is_any_refused = False
    for folder, first, error, mode in cases(tmp_path, change):
        case = (first, error, mode)
        with watched_maps():
            state = opened(folder, change.key)
            refusals, taken = Refusals(first, error, mode), list[int]()
            refusals.refused(lambda state=state: change.do(state))  # type: ignore[misc]

            def record_next(state: StateFolder = state, taken: list[int] = taken) -> None:
                record(state, [LATER[0]])
                taken.append(LATER[0])

            is_any_refused |= refusals.refused(record_next)
            assert state.memory  # the engine reads it before the next event: the disk works again
            record(state, LATER[1:4])
            taken += LATER[1:4]
            for copy in (copied(folder, folder.with_name(folder.name + "_dead")), folder):
                if copy is folder:
                    state.close()
                again = opened(copy, change.key)
                found = [n for n in recorded(again) if n >= LATER[0]]
                assert found == taken, case
                numbers = sequence(again)
                assert len(set(numbers)) == len(numbers), case
                abandon(again)
    assert is_any_refused == (change.name in ("erase", "erase encrypted"))


@pytest.mark.parametrize("change", [change for change in REPLACEMENTS if change.name in WAITED_FOR], ids=str)
def test_a_full_disk_leaves_the_log_as_it_was(tmp_path: Path, change: Change) -> None:
    with watched_maps():
        state = begin(tmp_path / "state", change)
        before = (tmp_path / "state" / "events.log").read_bytes()

        def full(call: str) -> None:
            if call == "posix_fallocate":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with before_each_call(full), pytest.raises(StateFullError, match="no room for"):
            change.do(state)
        assert (tmp_path / "state" / "events.log").read_bytes() == before
        assert sorted(path.name for path in (tmp_path / "state").iterdir()) == FILES
        record(state, LATER)
        state.close()
        assert_all_recorded(tmp_path / "state", change.key, "full disk")


def test_recording_goes_on_when_there_is_no_room_to_renumber(tmp_path: Path) -> None:
    renumbering = next(change for change in REPLACEMENTS if change.name == "renumber")
    with watched_maps():
        state = begin(tmp_path / "state", renumbering)
        assert not Refusals(1, errno.ENOSPC, "from then on").refused(lambda: renumbering.do(state))
        assert state.disk_failures == 1
        assert state.log.due_seq > state.log.last_seq
        abandon(state)


@pytest.mark.parametrize("change", [change for change in CHANGES if change.name in ("grow", "rotate")], ids=str)
def test_an_erase_overwrites_what_a_refused_replacement_left(tmp_path: Path, change: Change) -> None:
    """The next erase removes a new file that the disk refused to remove."""
    for folder, first, error, _ in cases(tmp_path, change):
        with watched_maps():
            state = opened(folder, change.key)
            Refusals(first, error, "from then on").refused(lambda state=state: change.do(state))  # type: ignore[misc]
            state.erase()
            assert sorted(path.name for path in folder.iterdir()) == FILES, (first, error)
            assert state.log.size_bytes >= LOG_BYTES - 64
            abandon(state)


def test_a_folder_that_cannot_be_opened_is_released(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong while a folder is opened, the next engine can open it."""
    with watched_maps():
        abandon(begin(tmp_path / "state", REPLACEMENTS[0]))

        def refuse(*_: object) -> None:
            raise OSError(errno.EIO, "Input/output error")

        with monkeypatch.context() as patch:
            patch.setattr(memory_of_log, "recover", refuse)
            with pytest.raises(StateUnusableError, match="Input/output error"):
                opened(tmp_path / "state")
        state = opened(tmp_path / "state")
        assert state.memory.dump() == everything()
        abandon(state)
