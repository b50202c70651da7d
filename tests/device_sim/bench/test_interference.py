"""Every process that a bench starts ends, and a condition that the machine cannot make is reported."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from device_sim.bench import cpu_quota
from device_sim.bench.cpu_quota import Quota, QuotaUnavailableError, find_quota
from device_sim.bench.interference import UnavailableError, burning, condition

_BURN_AND_PRINT = """
from device_sim.bench.interference import burning
with burning() as process:
    print(process.pid, flush=True)
    {then}
"""


def test_the_neighbour_ends_after_an_exception() -> None:
    with pytest.raises(ZeroDivisionError), burning() as process:
        raise ZeroDivisionError
    assert process.returncode == -signal.SIGKILL


def test_the_neighbour_ends_after_ctrl_c() -> None:
    with pytest.raises(KeyboardInterrupt), burning() as process:
        raise KeyboardInterrupt
    assert process.returncode == -signal.SIGKILL


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="runs on Linux, which reports the end of any process")
def test_the_neighbour_ends_by_itself_when_its_parent_was_killed() -> None:
    program = _BURN_AND_PRINT.format(then="import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    run = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, check=False)
    # The neighbour has no end of this pipe, so the run ends at once; the neighbour ends when it looks at its parent.
    assert run.returncode == -signal.SIGKILL
    _wait_for_end(int(run.stdout))


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="runs on Linux, which binds a process to a CPU")
def test_the_cpus_of_the_process_are_its_own_again() -> None:
    before = os.sched_getaffinity(0)
    with condition("same_cpu"):
        assert len(os.sched_getaffinity(0)) == 1
    assert os.sched_getaffinity(0) == before
    with pytest.raises(ZeroDivisionError), condition("same_cpu"):
        raise ZeroDivisionError
    assert os.sched_getaffinity(0) == before


def test_no_control_groups_is_a_reason(tmp_path: Path) -> None:
    with pytest.raises(QuotaUnavailableError, match="No such file"):
        find_quota(tmp_path, tmp_path / "none")


@pytest.mark.parametrize(
    ("membership", "words"),
    [
        ("3:memory:/x\n", "names no control group for the CPU"),
        ("not a line\n", "names no control group for the CPU"),
        ("2:cpu,cpuacct:/job\n", "has no cpu.cfs_quota_us"),
        ("0::/job\n", "has no cgroup.subtree_control"),
    ],
)
def test_control_groups_without_a_quota_are_a_reason(tmp_path: Path, membership: str, words: str) -> None:
    (tmp_path / "membership").write_text(membership)
    with pytest.raises(QuotaUnavailableError, match=words):
        find_quota(tmp_path, tmp_path / "membership")


def test_a_group_that_cannot_be_made_is_a_reason(tmp_path: Path) -> None:
    with pytest.raises(QuotaUnavailableError, match="No such file"), Quota(tmp_path / "none", unified=False).entered():
        pytest.fail("it was entered")


def test_a_condition_that_this_machine_cannot_make_is_reported_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(find_quota, "__defaults__", (tmp_path, tmp_path / "none"))
    with pytest.raises(UnavailableError, match="No such file"), condition("quota"):
        pytest.fail("it was entered")


@pytest.mark.parametrize("unified", [False, True])
def test_a_quota_is_set_counted_and_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unified: bool) -> None:
    kernel = FakeKernel(tmp_path, unified=unified)
    kernel.installed(monkeypatch)
    quota = Quota(tmp_path, unified=unified, name="ours")
    with quota.entered():
        assert kernel.group_file("cgroup.procs") == str(os.getpid())
        if unified:
            assert kernel.group_file("cpu.max") == "5000 10000"
            assert (tmp_path / "cgroup.subtree_control").read_text() == "+cpu"
        else:
            assert kernel.group_file("cpu.cfs_quota_us") == "5000"
    assert (tmp_path / "cgroup.procs").read_text() == str(os.getpid())
    assert not (tmp_path / "ours").exists()
    if unified:
        assert (tmp_path / "cgroup.subtree_control").read_text() == "-cpu"


def test_a_quota_is_left_when_the_measurement_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    FakeKernel(tmp_path, unified=False).installed(monkeypatch)
    with pytest.raises(ZeroDivisionError), Quota(tmp_path, unified=False, name="ours").entered():
        raise ZeroDivisionError
    assert (tmp_path / "cgroup.procs").read_text() == str(os.getpid())
    assert not (tmp_path / "ours").exists()


def test_a_group_without_the_controller_is_a_reason_and_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    FakeKernel(tmp_path, unified=False).installed(monkeypatch)
    quota = Quota(tmp_path, unified=True, name="ours")
    with pytest.raises(QuotaUnavailableError, match=r"cpu\.max: No such file"), quota.entered():
        pytest.fail("it was entered")
    assert (tmp_path / "cgroup.procs").read_text() == str(os.getpid())
    assert (tmp_path / "cgroup.subtree_control").read_text() == "-cpu"
    assert not (tmp_path / "ours").exists()


def test_how_often_the_quota_was_used_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = FakeKernel(tmp_path, unified=False)
    kernel.installed(monkeypatch)
    with Quota(tmp_path, unified=False, name="ours").entered() as counted:
        (tmp_path / "ours" / "cpu.stat").write_text("nr_periods 25\nnr_throttled 9\nthrottled_time 1\n")
    assert (counted.periods, counted.throttled) == (20, 7)


def test_a_real_quota_where_the_kernel_gives_one() -> None:
    try:
        quota = find_quota()
        with quota.entered():
            inside = cpu_quota.MEMBERSHIP.read_text()
    except QuotaUnavailableError as reason:
        pytest.skip(f"no CPU quota on this machine ({reason}); run it in a control group that is delegated to it")
    assert quota.name in inside
    assert quota.name not in cpu_quota.MEMBERSHIP.read_text()
    assert not (quota.home / quota.name).exists()


class FakeKernel:
    """Makes and removes the files of a control group as the kernel does with its folder."""

    def __init__(self, home: Path, *, unified: bool) -> None:
        self._home = home
        self._mkdir, self._rmdir = os.mkdir, os.rmdir
        self._files = ["cpu.max"] if unified else ["cpu.cfs_quota_us", "cpu.cfs_period_us"]
        for name in ("cgroup.procs", "cgroup.subtree_control"):
            (home / name).write_text("")

    def installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "mkdir", self._make)
        monkeypatch.setattr(os, "rmdir", self._remove)

    def group_file(self, name: str) -> str:
        return (self._home / "ours" / name).read_text()

    def _make(self, folder: Path) -> None:
        self._mkdir(folder)
        for name in (*self._files, "cgroup.procs"):
            (folder / name).write_text("")
        (folder / "cpu.stat").write_text("nr_periods 5\nnr_throttled 2\nthrottled_time 0\n")

    def _remove(self, folder: Path) -> None:
        for file in folder.iterdir():
            file.unlink()
        self._rmdir(folder)


def _wait_for_end(process: int) -> None:
    """It is not our child: the kernel tells when it ended. Without an end, the suite's own time limit does."""
    try:
        handle = os.pidfd_open(process)
    except ProcessLookupError:
        return
    try:
        select.select([handle], [], [])
    finally:
        os.close(handle)
