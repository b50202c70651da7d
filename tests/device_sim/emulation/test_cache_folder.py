"""A folder of the cache exists whole or not at all."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from device_sim.emulation import cache_folder
from device_sim.emulation.errors import CacheFolderError, EmulationError
from tests.support.paths import ROOT
from tests.support.simulator import emulator_fixtures

own_cache = emulator_fixtures.own_cache

KILLED = """
import os, signal
from device_sim.emulation.cache_folder import built

def build(folder):
    (folder / "half").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)

built("thing-1", build)
"""


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith(".lock"))


def fill(folder: Path) -> None:
    (folder / "whole").write_text("whole")


def test_it_is_built_once(own_cache: Path) -> None:
    built: list[Path] = []

    def build(folder: Path) -> None:
        built.append(folder)
        fill(folder)

    first = cache_folder.built("thing-1", build)
    assert first == own_cache / "thing-1"
    assert (first / "whole").read_text() == "whole"
    assert cache_folder.built("thing-1", build) == first
    assert len(built) == 1


def test_what_a_failure_leaves_is_nothing(own_cache: Path) -> None:
    def build(folder: Path) -> None:
        fill(folder)
        raise EmulationError("no network")

    with pytest.raises(EmulationError, match="no network"):
        cache_folder.built("thing-1", build)
    assert visible(own_cache) == []


def test_what_a_kill_leaves_is_cleared_by_the_next(own_cache: Path) -> None:
    child = subprocess.run([sys.executable, "-c", KILLED], env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)
    assert child.returncode == -signal.SIGKILL
    (left,) = visible(own_cache)
    assert left.startswith(cache_folder.BUILDING)
    assert (cache_folder.built("thing-1", fill) / "whole").exists()
    assert visible(own_cache) == ["thing-1"]


def test_what_others_are_building_is_left_alone(own_cache: Path) -> None:
    def build(folder: Path) -> None:
        cache_folder.built("inner-1", fill)
        assert folder.is_dir()
        fill(folder)

    cache_folder.built("outer-1", build)
    assert visible(own_cache) == ["inner-1", "outer-1"]


def test_a_full_disk_is_told(own_cache: Path) -> None:
    def build(folder: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(CacheFolderError, match="No space left on device; free space there, or name another folder"):
        cache_folder.built("thing-1", build)
    assert visible(own_cache) == []


def test_a_file_in_the_way_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(cache_folder.VARIABLE, str(tmp_path / "file"))
    with pytest.raises(CacheFolderError, match="EDGE_SIM_CACHE"):
        cache_folder.built("thing-1", fill)


def test_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(cache_folder.VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache_folder.cache_folder() == Path("/x/edge-sdk/device-sim")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/user")
    assert cache_folder.cache_folder() == Path("/home/user/.cache/edge-sdk/device-sim")
    monkeypatch.setenv(cache_folder.VARIABLE, "/y")
    assert cache_folder.cache_folder() == Path("/y")


def test_a_key_is_of_all_parts_and_where_they_part() -> None:
    assert len({cache_folder.key(*parts) for parts in (("ab",), ("a", "b"), ("b", "a"), ("ab", ""), ())}) == 5
    assert cache_folder.key("a", b"b") == cache_folder.key("a", "b")
