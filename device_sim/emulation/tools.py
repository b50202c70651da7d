"""The programs of the host that set-up and counting call, and the messages when one is missing."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from typing import Final

from device_sim.emulation.errors import CommandError, MissingToolsError

EMULATOR: Final = "qemu-aarch64"
# 7.2 is the first that was tried; from 9.0 on plugins need another interface (version 2).
OLDEST_EMULATOR: Final = (7, 2)
FIRST_OTHER_INTERFACE: Final = (9, 0)
COMPILERS: Final = ("cc", "gcc", "clang")


def missing_to_run() -> list[str]:
    """Returns what is missing to run a guest: one line each, with the command that fixes it; empty = nothing."""
    problems = _emulator_problems()
    if compiler() is None:
        problems.append("no C compiler is on the PATH; install one: apt-get install gcc libc6-dev")
    if shutil.which("setarch") is None:
        problems.append("setarch is not on the PATH; install it: apt-get install util-linux")
    return problems


def missing_to_set_up(*, debian_there: bool = False) -> list[str]:
    """Returns what is missing to set up: the lines of `missing_to_run`, and the programs that fetch packages.

    Args:
        debian_there: Whether the cache has Debian's packages, so that they need not be fetched.
    """
    problems = missing_to_run()
    for program in () if debian_there else ("apt-get", "dpkg"):
        if shutil.which(program) is None:
            problems.append(f"{program} is not on the PATH; run it on Debian or Ubuntu, or in a container of one")
    if importlib.util.find_spec("pip") is None:
        problems.append("pip is missing; install it: python -m ensurepip")
    return problems


def require(problems: Sequence[str]) -> None:
    """Checks that there are no problems.

    Raises:
        MissingToolsError: There are; the message has all of them.
    """
    if problems:
        raise MissingToolsError(problems)


def compiler() -> str | None:
    """Returns the system's C compiler: $CC, or the first of the usual names on the PATH."""
    names = [os.environ["CC"]] if os.environ.get("CC") else list(COMPILERS)
    return next((path for name in names if (path := shutil.which(name))), None)


def emulator_version() -> str | None:
    """Returns the emulator's version, such as `7.2.22`; None = missing, or its output has no version."""
    if shutil.which(EMULATOR) is None:
        return None
    try:
        answer = subprocess.run([EMULATOR, "--version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"version (\d+(?:\.\d+)+)", answer.stdout)
    return found[1] if found else None


def run(
    command: Sequence[str], *, purpose: str, fix: str, environment: Mapping[str, str] | None = None, timeout_s: float
) -> str:
    """Runs a program of set-up; returns the text that it printed.

    Raises:
        CommandError: The program cannot be started, ends with an error, or does not end.
    """
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout_s, check=False, env=environment, errors="replace"
        )
    except OSError as error:
        raise CommandError(purpose, command, str(error), fix) from error
    except subprocess.TimeoutExpired as error:
        raise CommandError(purpose, command, f"no end within {timeout_s:g} s", fix) from error
    if done.returncode != 0:
        raise CommandError(purpose, command, done.stderr or done.stdout, fix)
    return done.stdout


def _emulator_problems() -> list[str]:
    install = "apt-get install qemu-user (Debian 12, Ubuntu 24.04)"
    if shutil.which(EMULATOR) is None:
        return [f"{EMULATOR} is not on the PATH; install it: {install}"]
    version = emulator_version()
    if version is None:
        return [f"{EMULATOR} --version does not answer; install it anew: {install}"]
    if not OLDEST_EMULATOR <= tuple(int(part) for part in version.split(".")) < FIRST_OTHER_INTERFACE:
        return [f"{EMULATOR} is {version}, 7.2 to 8.2 is needed (its plugin interface); install it: {install}"]
    return []
