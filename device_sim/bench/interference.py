"""Makes the conditions under which calls are timed: a busy neighbour, a shared CPU, a quota.

Every started process ends: at the end of the block, on an exception, on Ctrl-C and, if this process is killed, because
the neighbour checks whether its parent is alive.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from device_sim.bench.bench_types import ConditionName
from device_sim.bench.cpu_quota import QuotaUnavailableError, Throttling, find_quota

_BURN = """
import os, sys
parent, cpus = int(sys.argv[1]), [int(cpu) for cpu in sys.argv[2:]]
if cpus:
    os.sched_setaffinity(0, cpus)
print("burning", flush=True)
while os.getppid() == parent:
    for _ in range(1_000_000):
        pass
"""


class UnavailableError(Exception):
    """The condition cannot be made on this machine; the message is the reason."""


def condition(name: ConditionName) -> AbstractContextManager[Throttling | None]:
    """Returns a context manager that makes the condition.

    Raises:
        UnavailableError: On entering, where this machine cannot make the condition.
    """
    ways: dict[ConditionName, Callable[[], AbstractContextManager[Throttling | None]]] = {
        "quiet": _quiet,
        "neighbour": _beside_a_neighbour,
        "same_cpu": _on_the_same_cpu,
        "quota": _under_a_quota,
    }
    return ways[name]()


@contextmanager
def burning(cpu: int | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a process that burns CPU, on one CPU or on any, until the end of the block.

    Raises:
        UnavailableError: The process did not start.
    """
    command = [sys.executable, "-c", _BURN, str(os.getpid()), *([] if cpu is None else [str(cpu)])]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        if process.stdout is None or process.stdout.readline() != b"burning\n":
            raise UnavailableError("the busy neighbour did not start")
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def _quiet() -> Iterator[None]:
    yield None


@contextmanager
def _beside_a_neighbour() -> Iterator[None]:
    with burning():
        yield None


@contextmanager
def _on_the_same_cpu() -> Iterator[None]:
    if not hasattr(os, "sched_setaffinity"):
        raise UnavailableError("this system binds no process to a CPU")
    allowed = os.sched_getaffinity(0)
    cpu = max(allowed)  # the lowest one serves most interrupts
    try:
        os.sched_setaffinity(0, {cpu})
        with burning(cpu):
            yield None
    except PermissionError as error:
        raise UnavailableError(f"binding a process to a CPU: {error.strerror}") from error
    finally:
        os.sched_setaffinity(0, allowed)


@contextmanager
def _under_a_quota() -> Iterator[Throttling]:
    try:
        with find_quota().entered() as counted:
            yield counted
    except QuotaUnavailableError as error:
        raise UnavailableError(str(error)) from error
