"""Runs each case in a fork of a process that never opened an engine, with a time limit and a limit of memory.

A child that hangs writes the stacks of its threads before it is killed; a child that dies by a signal is a fault too.
The processes that a case starts belong to its group and end with it.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from tests.deep.stress.report import Fault, Tally, Teller

GRACE_S: Final = 5.0  # for the stacks to be written
ADDRESS_BYTES: Final = 6 << 30
Case = Callable[[Path, int, Teller], None]  # an empty folder, the seed


def run_case(part: str, case: Case, seed: int, tally: Tally, limit_s: float) -> None:
    """Runs one case in a child of its own and adds what it says to the tally."""
    with tempfile.TemporaryDirectory(prefix="stress", dir=_ram()) as folder:
        ours, theirs = os.pipe()
        child = os.fork()
        if not child:
            os.close(ours)
            _be_child(case, seed, Path(folder), theirs, limit_s)
        os.close(theirs)
        doing, is_late = "", False
        for message in _messages(ours, time.monotonic() + limit_s + GRACE_S):
            tally.add_counts(part, message["counts"])
            doing = message.get("doing", doing)
            if "skipped" in doing:
                tally.skipped.add(doing)
            if "fault" in message:
                promise, found = message["fault"]
                tally.add_fault(Fault(part, promise, found, seed))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os.close(ours)
        stacks = _read(Path(folder) / "stderr")
        is_late = "Timeout (" in stacks or status == -signal.SIGKILL
        if is_late or status:
            what = "hangs" if is_late else f"the process dies ({status})"
            tally.hangs += is_late
            tally.deaths += not is_late
            tally.add_fault(Fault(part, f"{what}: {doing}", f"limit {limit_s} s\n{stacks[-4000:]}", seed))
        tally.add_counts(part, {"cases": 1})
        _free(Path(folder))


def limit_memory(size_bytes: int) -> None:
    """Limits the address space of this process, in bytes."""
    resource.setrlimit(resource.RLIMIT_AS, (size_bytes, resource.RLIM_INFINITY))


def forked(act: Callable[[], object]) -> int:
    """Runs `act` in a fork that then ends at once; returns the child's id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        act()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def ended(child: int, limit_s: float) -> int | None:
    """Waits for a child; returns its exit code (negative: the signal), or None after the limit, having killed it."""
    until = time.monotonic() + limit_s
    handle = os.pidfd_open(child)
    try:
        is_over = bool(select.select([handle], [], [], max(0.0, until - time.monotonic()))[0])
        if not is_over:
            os.kill(child, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        return code if is_over else None
    finally:
        os.close(handle)


def _be_child(case: Case, seed: int, folder: Path, pipe: int, limit_s: float) -> None:
    """Runs the case and ends the process."""
    code = 0
    try:
        os.setpgid(0, 0)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        errors = os.open(folder / "stderr", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(errors, 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        faulthandler.enable(2)
        faulthandler.dump_traceback_later(limit_s, exit=True, file=2)
        limit_memory(ADDRESS_BYTES)
        teller = Teller(pipe)
        (folder / "case").mkdir()
        try:
            case(folder / "case", seed, teller)
        except BaseException as problem:  # the case itself did not expect it
            teller.fault(f"untyped {type(problem).__name__} reaches the case: {place_of(problem)}", told(problem))
        teller.doing("end")
    except BaseException:
        traceback.print_exc()
        code = 99
    finally:
        os._exit(code)


def told(problem: BaseException) -> str:
    """Returns the trace of an exception."""
    return "".join(traceback.format_exception(problem))[-1400:]


def place_of(problem: BaseException) -> str:
    """Returns the innermost function of the SDK that the exception went through."""
    frames = traceback.extract_tb(problem.__traceback__)
    inside = [frame for frame in frames if "edge_sdk" in Path(frame.filename).parts] or list(frames)
    return f"{Path(inside[-1].filename).stem}.{inside[-1].name}" if inside else "nowhere"


def _messages(pipe: int, until: float) -> Iterator[dict[str, Any]]:
    rest = b""
    while (left_s := until - time.monotonic()) > 0:
        if not select.select([pipe], [], [], left_s)[0]:
            return
        part = os.read(pipe, 1 << 16)
        if not part:
            return
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            yield json.loads(line)


def _ram() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def _free(folder: Path) -> None:
    """Makes everything removable again, whatever a case did to modes, and a dead case left mounted."""
    for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
        place = line.split(" ")[1]
        if place.startswith(f"{folder}/"):
            subprocess.run(["umount", "--lazy", place], check=False)
    for path, _, _ in os.walk(folder):
        os.chmod(path, 0o700)
    shutil.rmtree(folder / "case", ignore_errors=True)
