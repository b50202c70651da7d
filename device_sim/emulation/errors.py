"""The errors of `device_sim.emulation`; every message ends with the fix."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

STDERR_TAIL_LINES = 12


class EmulationError(Exception):
    """The base class of the errors of `device_sim.emulation`."""


class MissingToolsError(EmulationError):
    """Programs that setting up or running needs are missing."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problems))


class NotSetUpError(EmulationError):
    """Parts that `device-sim setup` makes are missing."""

    def __init__(self, parts: Sequence[str]) -> None:
        super().__init__(f"not set up: {', '.join(parts)}; run: device-sim setup")


class CacheFolderError(EmulationError):
    """The cache folder cannot be written: read-only, full, or not a folder."""

    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__(f"{folder}: {reason}; free space there, or name another folder in EDGE_SIM_CACHE")


class CommandError(EmulationError):
    """A program that set-up calls ended with an error."""

    def __init__(self, purpose: str, command: Sequence[str], stderr: str, fix: str) -> None:
        super().__init__(f"{purpose} failed ({command[0]}): {tail(stderr)}; {fix}")


class UnknownCoreError(EmulationError):
    """`machine.CORES` has no core of this name."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(f"core {name!r} is not known; give one of: {', '.join(known)}")


class GuestFailedError(EmulationError):
    """The guest program ended with an error or by a signal."""

    def __init__(self, script: str, status: int, stderr: str) -> None:
        self.status = status
        how = f"was ended by signal {-status}" if status < 0 else f"ended with exit code {status}"
        super().__init__(f"{script} under the emulator {how}: {tail(stderr)}; if files are missing: device-sim setup")


class GuestTimeoutError(EmulationError):
    """The guest program did not end within its time limit."""

    def __init__(self, script: str, timeout_s: float, stderr: str) -> None:
        super().__init__(
            f"{script} under the emulator did not end within {timeout_s:g} s: {tail(stderr)}; "
            "give it more time, or close what else keeps this machine busy"
        )


class PluginOutputError(EmulationError):
    """The plugin's output is cut off or not in its format."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"{where}: {reason}; run it again, and look whether the disk is full")


def tail(stderr: str) -> str:
    """Returns the last lines of a program's stderr, or a note that the program wrote none."""
    lines = [line for line in stderr.strip().splitlines() if line.strip()]
    return "\n  ".join(lines[-STDERR_TAIL_LINES:]) or "it wrote nothing to stderr"
