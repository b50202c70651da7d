"""A process that dies at any system call of a change leaves the folder as it was before the change or after it.

The files of the folder are copied before each call by which resizing, changing the key, renumbering or erasing changes
them (and in the middle of each write). Every copy is then opened.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_sdk.errors import WrongKeyError
from edge_sdk.log.event_input import EventColumns
from edge_sdk.memory.memory import Memory
from edge_sdk.testing.white_box import abandon
from tests.support.small_state import FILES, KEY, LAYOUT, copied, event, memory_of, opened, record, recorded
from tests.support.state_changes import (
    CHANGES,
    EVENTS,
    ITEM,
    REPLACEMENTS,
    Change,
    begin,
    everything,
    memory_of_log,
    sequence,
)
from tests.support.system_calls import before_each_call, watched_maps


class Deaths:
    """Copies of the folder before each call of a change, and after the last."""

    def __init__(self, folder: Path, change: Change) -> None:
        self.calls: list[str] = []
        self.copies: list[Path] = []
        self._folder = folder
        with watched_maps():
            state = begin(folder, change)
            self.before, self.sequence_before = recorded(state), sequence(state)
            with before_each_call(self._copy, torn=True):
                change.do(state)
            self._copy("end")
            self.after, self.sequence_after = recorded(state), sequence(state)
            self.memory_after, self.last_seq_after = state.memory.dump(), state.log.last_seq
            abandon(state)

    def _copy(self, call: str) -> None:
        self.calls.append(call)
        self.copies.append(copied(self._folder, self._folder.with_name(f"{self._folder.name}_{len(self.calls)}")))


@pytest.mark.parametrize("change", REPLACEMENTS, ids=str)
def test_a_replaced_log_is_the_old_or_the_new_one_whole(tmp_path: Path, change: Change) -> None:
    deaths = Deaths(tmp_path / "state", change)
    assert deaths.calls.count("rename") == 2
    assert deaths.calls.count("unlink") == 1
    seen = set()
    for number, copy in enumerate(deaths.copies):
        key = the_key_that_opens(copy, change)
        with watched_maps():
            state = opened(copy, key)
            assert sorted(path.name for path in copy.iterdir()) == FILES
            log = (recorded(state), sequence(state))
            assert log in ((deaths.before, deaths.sequence_before), (deaths.after, deaths.sequence_after)), number
            assert state.memory.dump() == everything()
            assert state.log.damaged == 0
            last_seq = state.log.last_seq
            record(state, [EVENTS + 1])
            assert (recorded(state)[-1], sequence(state)[-1]) == (EVENTS + 1, last_seq + 1)
            assert state.memory.dump() == memory_of(range(1, EVENTS + 2))
            abandon(state)
        seen.add((key, state.log.capacity, last_seq))
    assert len(seen) == 2


def the_key_that_opens(copy: Path, change: Change) -> bytes | None:
    """Exactly one of both keys opens the folder, whichever is tried first."""
    if change.key == change.new_key:
        return change.key
    fitting = []
    for key, other in ((change.new_key, change.key), (change.key, change.new_key)):
        tried = copied(copy, copy.with_name(f"{copy.name}_{'new' if key == change.new_key else 'former'}_key_first"))
        with watched_maps():
            try:
                state = opened(tried, key)
                fitting.append(key)
            except WrongKeyError:
                state = opened(tried, other)
            assert state.memory.dump() == everything()
            abandon(state)
    assert len(fitting) == 1
    return fitting[0]


@pytest.mark.parametrize("change", [change for change in CHANGES if change.name.startswith("erase")], ids=str)
def test_an_erase_cut_short_has_happened_or_can_be_done_again(tmp_path: Path, change: Change) -> None:
    deaths = Deaths(tmp_path / "state", change)
    some = "some" in change.name
    assert deaths.calls.count("flush") == (1 if some else 3)
    seen = []
    for number, copy in enumerate(deaths.copies):
        with watched_maps():
            state = opened(copy, change.key)
            found, memory = recorded(state), state.memory.dump()
            assert found in (deaths.before, deaths.after), number
            # Memory is erased first: with a log that is still there, memory is then what the log alone gives.
            if found == deaths.before:
                assert memory in (everything(), memory_of_log(state), deaths.memory_after)
            else:
                assert memory == deaths.memory_after
            assert state.log.damaged == 0
            seen.append(found)
            change.do(state)
            assert recorded(state) == deaths.after
            assert state.log.last_seq == deaths.last_seq_after
            abandon(state)
    assert seen[0] == deaths.before
    assert seen[-1] == deaths.after


@pytest.mark.parametrize("key", [None, KEY], ids=["plain", "encrypted"])
@pytest.mark.parametrize("count", [40, 63, 64, 100, 126, 127, 300])
def test_many_at_once_cut_short_cost_nothing_that_was_before(tmp_path: Path, count: int, key: bytes | None) -> None:
    """The events are there as far as the log has them, or all; more than half a ring would drop unsaved ones."""
    change = Change(f"record {count}", lambda folder: folder.add_many(columns(EVENTS, count), 0), key, key)
    before, after = range(1, EVENTS + 1), range(1, EVENTS + count + 1)
    states = set()
    for number, copy in enumerate(Deaths(tmp_path / "state", change).copies):
        with watched_maps():
            state = opened(copy, key)
            found = recorded(state)
            assert found == list(range(found[0], found[-1] + 1))
            as_found = [*before, *(n for n in found if n > EVENTS)]
            memory = state.memory.dump()
            assert memory in (memory_of(as_found), memory_of(after)), number
            states.add(memory)
            abandon(state)
    assert memory == memory_of(after)
    assert len(states) > 1 or count <= 63 // (1 if key is None else 2)


def columns(after: int, count: int) -> EventColumns:
    """Returns the events that follow."""
    times, kinds, items, values, decisions = zip(*map(event, range(after + 1, after + 1 + count)), strict=True)
    return EventColumns(
        times_ms=np.array(times, np.int64),
        kinds=np.array(kinds) - 11,
        kind_ids=(11, 12, 13),
        items=np.array(items) - 101,
        item_ids=tuple(range(101, 110)),
        values=np.array(values, np.float32),
        decisions=np.array(decisions, np.uint32),
        local=np.zeros(count, np.uint16),
    )


def test_the_reference_forgets_what_the_folder_forgets(tmp_path: Path) -> None:
    """The reference of `deaths.after` is itself right: an erase removes the chosen events and no others."""
    for change in (change for change in CHANGES if change.forgets):
        with watched_maps():
            state = begin(tmp_path / change.name, change)
            before = recorded(state)
            change.do(state)
            if "some" in change.name:
                chosen = {n for n in before if 101 + n * n % 7 in ITEM}
                assert len(chosen) > 10
                assert recorded(state) == [n for n in before if n not in chosen]
            else:
                assert recorded(state) == []
                assert state.memory.dump() == Memory(LAYOUT).dump()
            abandon(state)


def test_an_event_in_no_snapshot_is_stored_before_the_ring_can_drop_it(tmp_path: Path) -> None:
    """The log is full of events newer than the snapshot: the first event after opening must not cost the oldest."""
    with watched_maps():
        state = begin(tmp_path / "state", REPLACEMENTS[0])
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(state, "write_snapshot", lambda: None)  # as if killed just before
            state.add_many(columns(EVENTS, 126), 0)
        abandon(state)
        state = opened(tmp_path / "state")
        before = state.memory.dump()
        state.log.append(*event(EVENTS + 127))  # and killed before `maintain`
        abandon(state)
        state = opened(tmp_path / "state")
        memory = Memory.load(LAYOUT, before)
        memory.add(*event(EVENTS + 127)[:4])
        assert state.memory.dump() == memory.dump()
        abandon(state)
