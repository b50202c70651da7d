"""The folder that was opened is the folder that is used, and only ordinary files in it are.

Another current directory, a folder that is moved away, links and odd files in the place of its files: nothing outside
of the folder is read, emptied or overwritten, and nobody waits. An opening that fails leaves the folder as it was.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_sdk.errors import EdgeError, StateOwnedError, StateUnusableError, WrongKeyError
from edge_sdk.state.folder import StateFolder
from edge_sdk.state.lock import HeldFolder
from edge_sdk.testing.white_box import abandon
from tests.support.failing_calls import Failing
from tests.support.small_state import FILES, KEY, LOG_BYTES, memory_of, opened, record, recorded
from tests.support.state_changes import ADOPTED

CHANGES: dict[str, Callable[[StateFolder], object]] = {
    "resize": lambda folder: folder.resize(2 * LOG_BYTES),
    "rotate": lambda folder: folder.change_key(KEY),
    "adopt": lambda folder: folder.adopt(ADOPTED),
    "erase": lambda folder: folder.erase(),
    "erase some": lambda folder: folder.erase_chosen(None, frozenset({103}), None),
}


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# ---- which folder ----


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_directory_leads_to_no_other_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "b")
    other = opened(Path("state"))
    record(other, range(1, 8))
    other.close()
    monkeypatch.chdir(tmp_path / "a")
    folder = opened(Path("state"))
    record(folder, range(1, 4))
    monkeypatch.chdir(tmp_path / "b")
    before = content(tmp_path / "b" / "state")
    CHANGES[change](folder)
    folder.close()
    assert content(tmp_path / "b" / "state") == before
    assert sorted(content(tmp_path / "a" / "state")) == FILES


def test_a_folder_that_was_moved_away_is_still_the_one_that_was_opened(tmp_path: Path) -> None:
    folder = opened(tmp_path / "state")
    record(folder, range(1, 4))
    (tmp_path / "state").rename(tmp_path / "moved")
    with pytest.raises(StateOwnedError):
        HeldFolder(tmp_path / "moved")
    opened(tmp_path / "state").close()
    before = content(tmp_path / "state")
    folder.change_key(KEY)
    record(folder, range(4, 6))
    folder.close()
    assert content(tmp_path / "state") == before
    moved = opened(tmp_path / "moved", KEY)
    assert recorded(moved) == [1, 2, 3, 4, 5]
    moved.close()


# ---- links and odd files ----

TREASURE = b"a file that is none of this engine's business" * 100


def _symlink(path: Path, treasure: Path) -> None:
    path.symlink_to(treasure)


def _dangling(path: Path, treasure: Path) -> None:
    path.symlink_to(treasure.with_name("absent"))


def _hard_link(path: Path, treasure: Path) -> None:
    path.hardlink_to(treasure)


def _fifo(path: Path, _: Path) -> None:
    os.mkfifo(path)


def _folder(path: Path, _: Path) -> None:
    path.mkdir()


ODD = {"link": _symlink, "dangling": _dangling, "hard link": _hard_link, "fifo": _fifo, "folder": _folder}
NAMES = ("owner.lock", "events.log", "events.new", "events.old", "memory.bin", "memory.new", "memory.old")


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("name", NAMES)
def test_an_odd_file_is_named_and_nothing_else_is_touched(tmp_path: Path, name: str, odd: str) -> None:
    path, treasure = tmp_path / "state", tmp_path / "treasure"
    folder = opened(path)
    record(folder, range(1, 4))
    folder.close()
    treasure.write_bytes(TREASURE)
    (path / name).unlink(missing_ok=True)
    ODD[odd](path / name, treasure)
    before = sorted(os.listdir(path))
    with pytest.raises(StateUnusableError, match=f"{name}: it is .* move this one away"):
        opened(path)
    assert treasure.read_bytes() == TREASURE
    assert not treasure.with_name("absent").exists()
    assert sorted(os.listdir(path)) == sorted({*before, *(["owner.lock"] if name != "owner.lock" else [])})
    (path / name).rmdir() if odd == "folder" else (path / name).unlink()
    opened(path).close()


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("name", ["events.new", "memory.new"])
def test_an_odd_file_that_comes_later_refuses_the_change(tmp_path: Path, name: str, odd: str) -> None:
    path, treasure = tmp_path / "state", tmp_path / "treasure"
    treasure.write_bytes(TREASURE)
    folder = opened(path)
    record(folder, range(1, 100))
    ODD[odd](path / name, treasure)
    if name == "events.new":
        with pytest.raises(StateUnusableError, match=name):
            folder.resize(2 * LOG_BYTES)
    else:
        folder.write_snapshot()
        assert folder.disk_failures == 1
    record(folder, range(100, 110))
    assert folder.memory.dump() == memory_of(range(1, 110))
    assert treasure.read_bytes() == TREASURE
    abandon(folder)


def test_only_the_user_may_read_what_was_restored_for_all(tmp_path: Path) -> None:
    path = tmp_path / "state"
    opened(path).close()
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.iterdir()} == {0o600}
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    path.chmod(0o755)
    for file in path.iterdir():
        file.chmod(0o666)
    opened(path).close()
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.iterdir()} == {0o600}
    assert stat.S_IMODE(path.stat().st_mode) == 0o700


# ---- an opening that fails ----


def _refused() -> BaseException:
    return OSError(5, "Input/output error")


@pytest.mark.parametrize("is_new", [True, False], ids=["new folder", "former folder"])
@pytest.mark.parametrize("error", [_refused, MemoryError, KeyboardInterrupt], ids=["disk", "memory", "interrupt"])
def test_an_opening_that_fails_at_any_call_leaves_the_folder_as_it_was(
    tmp_path: Path, error: Callable[[], BaseException], is_new: bool
) -> None:
    at, failed = 0, 0
    problem: BaseException | None
    while True:
        at += 1
        path = tmp_path / f"{at}" / "state"
        if not is_new:
            folder = opened(path)
            record(folder, range(1, 200))
            abandon(folder)
        before = None if is_new else content(path)
        with pytest.MonkeyPatch.context() as patch:
            injected = Failing(patch, at, error)
            try:
                folder, problem = opened(path), None
            except BaseException as raised:
                problem = raised
            calls = injected.calls
        if problem is None:
            folder.close()
        else:
            failed += 1
            assert isinstance(problem, EdgeError | type(error()) if error is not _refused else EdgeError), at
            if before is None:
                assert not path.parent.exists(), at
            else:
                assert sorted(os.listdir(path)) == sorted(before), at
                assert (path / "events.log").read_bytes() == before["events.log"], at
        again = opened(path)
        assert recorded(again) == ([] if is_new else recorded_before()), at
        assert again.memory.dump() == memory_of([] if is_new else range(1, 200)), at
        again.close()
        shutil.rmtree(path.parent)
        if calls < at:
            break
    assert failed > 5


def recorded_before() -> list[int]:
    return list(range(200 - 126, 200))


def test_a_wrong_key_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "state"
    folder = opened(path)
    record(folder, range(1, 200))
    folder.close()
    before = content(path)
    with pytest.raises(WrongKeyError):
        opened(path, KEY)
    assert content(path) == before
    opened(path).close()


def test_a_lock_that_another_opening_has_just_removed_is_taken_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else two engines would own the folder: one by the removed file, one by the new one."""
    real, removed = fcntl.flock, list[int]()

    def flock(file: int, flags: int) -> None:
        if not removed:
            removed.append(file)
            (tmp_path / "owner.lock").unlink()
        real(file, flags)

    monkeypatch.setattr(fcntl, "flock", flock)
    held = HeldFolder(tmp_path)
    with pytest.raises(StateOwnedError):
        HeldFolder(tmp_path)
    held.release()
