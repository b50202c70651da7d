"""Limits the process to half of a CPU: a control group of its own (cgroup v1 or v2), removed after use.

Sources: kernel documentation, admin-guide/cgroup-v1/cgroups.rst, scheduler/sched-bwc.rst and admin-guide/cgroup-v2.rst.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

PERIOD_US: Final = 10_000  # short, so that a wait falls within the 99th percentile and not beyond it
QUOTA_US: Final = 5_000
CGROUPS: Final = Path("/sys/fs/cgroup")
MEMBERSHIP: Final = Path("/proc/self/cgroup")


class QuotaUnavailableError(Exception):
    """This machine allows no quota; the message is the reason."""


@dataclass(slots=True)
class Throttling:
    """How often the quota was used up since it was entered."""

    periods: int = 0
    throttled: int = 0


@dataclass(frozen=True, slots=True)
class Quota:
    """A group with a quota, which the process can enter and leave.

    Attributes:
        home: The folder of the process's own group.
        unified: Whether it is cgroup v2.
        name: The name of the group that is made within it.
    """

    home: Path
    unified: bool
    name: str = field(default_factory=lambda: f"edge-bench-{os.getpid()}")

    @contextmanager
    def entered(self) -> Iterator[Throttling]:
        """Gives the whole process the quota within the block.

        Raises:
            QuotaUnavailableError: The group cannot be made or entered; everything is as it was before.
        """
        group, counted = self.home / self.name, Throttling()
        granted = False
        try:
            try:
                os.mkdir(group)
                granted = self._enter(group)
                before = _throttling(group)
            except OSError as error:
                raise QuotaUnavailableError(f"{error.filename or group}: {error.strerror}") from error
            yield counted
            after = _throttling(group)
            counted.periods, counted.throttled = (late - early for late, early in zip(after, before, strict=True))
        finally:
            self._leave(group, granted)

    def _enter(self, group: Path) -> bool:
        """Enters the group; returns whether the controller was granted to the groups of `home` and must be revoked."""
        if not self.unified:
            _write(group / "cpu.cfs_period_us", str(PERIOD_US))
            _write(group / "cpu.cfs_quota_us", str(QUOTA_US))
            _write(group / "cgroup.procs", str(os.getpid()))
            return False
        # A group that hands out controllers may hold no process itself: out first, then the controller.
        _write(group / "cgroup.procs", str(os.getpid()))
        switch = self.home / "cgroup.subtree_control"
        granted = "cpu" not in switch.read_text().split()
        if granted:
            _write(switch, "+cpu")
        try:
            _write(group / "cpu.max", f"{QUOTA_US} {PERIOD_US}")
        except OSError:
            if granted:
                _write(switch, "-cpu")
            raise
        return granted

    def _leave(self, group: Path, granted: bool) -> None:
        """Returns to the home group; steps that were never done fail to be undone, which is ignored."""
        with suppress(OSError):
            if granted:
                _write(self.home / "cgroup.subtree_control", "-cpu")
        with suppress(OSError):
            _write(self.home / "cgroup.procs", str(os.getpid()))
        with suppress(OSError):
            os.rmdir(group)


def find_quota(cgroups: Path = CGROUPS, membership: Path = MEMBERSHIP) -> Quota:
    """Returns the quota of this process's group.

    Args:
        cgroups: The mount point of the control groups.
        membership: The file that names this process's groups.

    Raises:
        QuotaUnavailableError: No control groups here, or none that counts CPU time.
    """
    try:
        groups = [line.split(":", 2) for line in membership.read_text().splitlines()]
    except OSError as error:
        raise QuotaUnavailableError(f"{membership}: {error.strerror}") from error
    for _, controllers, place in (group for group in groups if len(group) == 3):
        if "cpu" in controllers.split(","):
            return _checked(Quota(_folder(cgroups / "cpu", place), unified=False), "cpu.cfs_quota_us")
    for _, controllers, place in (group for group in groups if len(group) == 3):
        if not controllers:
            return _checked(Quota(_folder(cgroups, place), unified=True), "cgroup.subtree_control")
    raise QuotaUnavailableError(f"{membership} names no control group for the CPU")


def _folder(root: Path, place: str) -> Path:
    """Returns the folder of a group; in a container the own group is the root."""
    named = root / place.strip("/")
    return named if named.is_dir() else root


def _checked(quota: Quota, file: str) -> Quota:
    if not (quota.home / file).exists():
        raise QuotaUnavailableError(f"{quota.home} has no {file}: no CPU quota can be set here")
    return quota


def _write(path: Path, words: str) -> None:
    """Writes to a file of the kernel; a missing file is not created."""
    handle = os.open(path, os.O_WRONLY)
    try:
        os.write(handle, words.encode())
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        os.close(handle)


def _throttling(group: Path) -> tuple[int, int]:
    """Returns (periods, throttled periods) so far."""
    lines = (line.split() for line in (group / "cpu.stat").read_text().splitlines())
    figures = {words[0]: int(words[1]) for words in lines if len(words) == 2}
    return figures.get("nr_periods", 0), figures.get("nr_throttled", 0)
