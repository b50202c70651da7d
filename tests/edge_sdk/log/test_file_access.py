"""The log is written through a map where that is safe and by calls elsewhere: the same file, byte by byte.

A file that another process cuts is an error and no dead app, and memory keeps its counts. A disk that refuses a record
that is written by a call costs that record alone.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from edge_sdk.errors import StateFullError, StateUnusableError
from edge_sdk.log import file_access
from edge_sdk.log.directory import Directory
from edge_sdk.log.event_input import EventColumns
from edge_sdk.log.event_log import EventLog
from edge_sdk.log.file_access import CalledFile, LogAccess, MappedFile, file_system
from edge_sdk.state.folder import StateFolder
from edge_sdk.state.lock import HeldFolder
from tests.support.event_log_rows import SMALL, fill, reopened, row, rows
from tests.support.places import entry
from tests.support.small_state import KEYS, LAYOUT, LOG_BYTES, copied, event, memory_of, opened, record, recorded

ACCESSES: tuple[LogAccess, ...] = ("map", "calls")


def folder_by(path: Path, access: LogAccess, key: bytes | None = None) -> StateFolder:
    return StateFolder(HeldFolder(path), LAYOUT, LOG_BYTES, now_ms=event(0)[0], storage_key=key, log_access=access)


# ---- the same file ----


@pytest.mark.parametrize("records", [0, 5, 126, 300])
def test_both_ways_write_the_same_bytes(tmp_path: Path, records: int) -> None:
    fill(tmp_path / "made.log", 0)
    for access in ACCESSES:
        path = tmp_path / f"{access}.log"
        path.write_bytes((tmp_path / "made.log").read_bytes())  # with one id
        log = EventLog.open(entry(path), SMALL, access=access)
        assert isinstance(log.ring.file, MappedFile if access == "map" else CalledFile)
        for seq in range(1, records + 1):
            assert log.append(*row(seq)[1:]) == seq
        log.close()
    assert (tmp_path / "map.log").read_bytes() == (tmp_path / "calls.log").read_bytes()
    assert len(reopened(tmp_path / "calls.log")[0]) == min(records, 126)


@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
@pytest.mark.parametrize("change", ["resize", "erase some", "erase", "renumber"])
def test_every_change_of_a_folder_is_the_same_by_calls(tmp_path: Path, key: bytes | None, change: str) -> None:
    found = []
    for access in ACCESSES:
        folder = folder_by(tmp_path / access, access, key)
        record(folder, range(1, 300))
        if change == "resize":
            folder.resize(2 * LOG_BYTES)
        elif change == "erase some":
            assert folder.erase_chosen(None, frozenset({103}), None) > 5
        elif change == "erase":
            folder.erase()
        else:
            folder._replace_log(cipher=folder.log.cipher, renumber=True)  # noqa: SLF001
        assert isinstance(folder.log.ring.file, MappedFile if access == "map" else CalledFile)
        record(folder, range(300, 320))
        found.append((recorded(folder), folder.memory.dump()))
        folder.close()
        again = folder_by(tmp_path / access, access, key)
        assert (recorded(again), again.memory.dump()) == found[-1]
        again.close()
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("system", "is_mapped"),
    [
        ("ext4", True),
        ("f2fs", True),
        ("tmpfs", True),
        ("btrfs", False),
        ("overlay", False),
        ("nfs4", False),
        ("", False),
    ],
)
def test_a_map_is_used_only_where_reserved_blocks_stay_reserved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str, is_mapped: bool
) -> None:
    monkeypatch.setattr(file_access, "file_system", lambda _: system)
    log = EventLog.open(entry(tmp_path / "events.log"), SMALL)
    assert isinstance(log.ring.file, MappedFile) == is_mapped
    log.close()


def test_a_file_system_that_cannot_reserve_is_written_by_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(os, "posix_fallocate", unsupported)
    folder = folder_by(tmp_path / "state", "auto")
    assert isinstance(folder.log.ring.file, CalledFile)
    record(folder, range(1, 300))
    folder.close()
    assert (tmp_path / "state" / "events.log").stat().st_size == LOG_BYTES
    again = folder_by(tmp_path / "state", "auto")
    assert again.memory.dump() == memory_of(range(1, 300))
    again.close()


def test_the_file_system_is_the_one_that_the_kernel_names(tmp_path: Path) -> None:
    known = {line.split()[-1] for line in Path("/proc/filesystems").read_text().splitlines()}
    assert file_system(Directory(tmp_path).file) in known
    assert file_system(Directory(Path("/proc")).file) == "proc"


# ---- holes, and files that are cut ----


def test_holes_of_a_restored_log_are_filled_at_opening(tmp_path: Path) -> None:
    path = tmp_path / "events.log"
    fill(path, 3, 1 << 20)
    content = path.read_bytes()
    with path.open("wb") as file:
        file.write(content[:4096])
        file.truncate(len(content))
    assert path.stat().st_blocks * 512 < 1 << 20
    log = EventLog.open(entry(path), 1 << 20)
    assert path.stat().st_blocks * 512 >= 1 << 20
    assert rows(log) == [row(1), row(2), row(3)]
    log.close()


@pytest.mark.parametrize("access", ACCESSES)
@pytest.mark.parametrize("size", [0, 64, 1000, 4095])
def test_a_log_that_is_cut_is_an_error_and_memory_keeps_its_counts(
    tmp_path: Path, access: LogAccess, size: int
) -> None:
    path = tmp_path / "state"
    folder = folder_by(path, access)
    record(folder, range(1, 300))
    os.truncate(path / "events.log", size)
    changes = (
        folder.require_sound,
        lambda: folder.resize(2 * LOG_BYTES),
        lambda: folder.change_key(None),
        lambda: folder.erase_chosen(None, frozenset({103}), None),
        folder.erase,
    )
    for change in changes[:3]:
        with pytest.raises(StateUnusableError, match=r"cut|ends at"):
            change()
    assert not folder.sync()
    assert folder.memory.dump() == memory_of(range(1, 300))
    with pytest.raises(StateUnusableError, match=f"another process has cut it from 4096 to {size} bytes; close"):
        folder.close()
    again = opened(path)
    assert again.memory.dump() == memory_of(range(1, 300))
    record(again, range(300, 400))
    assert again.memory.dump() == memory_of(range(1, 400))
    again.close()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_record_that_the_disk_refuses_is_the_only_one_that_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    folder = folder_by(tmp_path / "state", "calls")
    record(folder, range(1, 10))

    def refused(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", refused)
        with pytest.raises(StateFullError if number == errno.ENOSPC else StateUnusableError):
            record(folder, [10])
    record(folder, range(11, 20))
    kept = [*range(1, 10), *range(11, 20)]
    assert recorded(folder) == kept
    assert folder.memory.dump() == memory_of(kept)
    folder.close()
    again = opened(tmp_path / "state")
    assert (recorded(again), again.memory.dump(), again.log.damaged) == (kept, memory_of(kept), 0)
    again.close()


class Refusing:
    """A disk that writes the first bytes of a write, and refuses the rest of it; once or from then on."""

    def __init__(self, patch: pytest.MonkeyPatch, done: int, *, once: bool) -> None:
        self._write, self._done, self._once, self._calls = os.pwrite, done, once, 0
        patch.setattr(os, "pwrite", self)

    def __call__(self, file: int, content: bytes, at: int) -> int:
        self._calls += 1
        if self._calls == 1:
            return self._write(file, memoryview(content)[: self._done], at)
        if self._calls == 2 or not self._once:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self._write(file, content, at)


@pytest.mark.parametrize("done", [1, 20, 31])
@pytest.mark.parametrize("once", [True, False])
@pytest.mark.parametrize("key", KEYS.values(), ids=KEYS)
def test_half_a_record_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, done: int, once: bool, key: bytes | None
) -> None:
    folder = folder_by(tmp_path / "state", "calls", key)
    record(folder, range(1, 10))
    with monkeypatch.context() as patch:
        Refusing(patch, done, once=once)
        with pytest.raises(StateFullError):
            record(folder, [10])
    if once:  # the disk took back what it had of the record
        copy = opened(copied(tmp_path / "state", tmp_path / "copy"), key)
        assert (recorded(copy), copy.log.damaged) == (list(range(1, 10)), 0)
        copy.close()
    record(folder, range(11, 20))
    kept = [*range(1, 10), *range(11, 20)]
    folder.close()
    again = opened(tmp_path / "state", key)
    assert (recorded(again), again.memory.dump(), again.log.damaged) == (kept, memory_of(kept), 0)
    again.close()


def columns(numbers: range) -> EventColumns:
    times, kinds, items, values, decisions = zip(*map(event, numbers), strict=True)
    return EventColumns(
        np.array(times), np.array(kinds) - 11, (11, 12, 13), np.array(items) - 101, tuple(range(101, 108)),
        np.array(values, np.float32), np.array(decisions, np.uint32), np.zeros(len(numbers), np.uint16),
    )  # fmt: skip


@pytest.mark.parametrize("before", [20, 100, 300])
@pytest.mark.parametrize("once", [True, False])
@pytest.mark.parametrize("key", [None, KEYS["key"]], ids=["plain", "encrypted"])
def test_of_many_events_that_are_refused_in_the_middle_none_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int, once: bool, key: bytes | None
) -> None:
    """A disk that takes nothing any more cannot take them back: then they are recorded, here as after an opening."""
    folder = folder_by(tmp_path / "state", "calls", key)
    record(folder, range(1, before + 1))
    assert folder.memory
    with monkeypatch.context() as patch:
        Refusing(patch, 330, once=once)
        with pytest.raises(StateFullError):
            folder.add_many(columns(range(before + 1, before + 31)), 1)
    kept = list(range(1, before + 1))
    if not once:
        kept = [n for n in range(1, recorded_by(folder) + 1)]
        assert len(kept) > before
    copy = opened(copied(tmp_path / "state", tmp_path / "copy"), key)
    assert copy.memory.dump() == folder.memory.dump() == memory_of(kept)
    assert recorded(copy) == recorded(folder)
    assert copy.log.damaged <= len(kept)
    copy.close()
    record(folder, range(401, 420))
    folder.close()
    again = opened(tmp_path / "state", key)
    assert again.memory.dump() == memory_of([*kept, *range(401, 420)])
    assert recorded(again)[-19:] == list(range(401, 420))
    again.close()


def recorded_by(folder: StateFolder) -> int:
    """Returns the newest event's number, when memory has been read."""
    assert folder.memory
    return recorded(folder)[-1]
