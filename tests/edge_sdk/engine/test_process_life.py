"""A forked child neither owns the folder nor writes into it, and an engine that nobody holds lets the folder go.

The processes here wait for each other by pipes; none of them waits for a time.
"""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from typing import Final

import pytest

from edge_sdk import Engine
from edge_sdk.errors import StateOwnedError
from tests.support.scene import SettableClock, Small

_BEGIN: Final = """
import os, sys
from edge_sdk import BaseDecision, Engine
folder, bundle = sys.argv[1:]
def opened(**options):
    return Engine.open(folder, bundle=bundle, allow_unsigned=True, log_bytes=8192, **options)
def said(file, word):
    assert os.read(file, 64) == word, word
"""


def run(program: str, folder: Path, small: Small) -> list[str]:
    """Returns the lines that a Python process prints."""
    arguments = [sys.executable, "-c", _BEGIN + program, str(folder), str(small.bundle)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_child_lets_the_folder_go_when_its_parent_closes_it(tmp_path: Path, small: Small) -> None:
    program = """
engine = opened()
engine.record("view")
hold, held = os.pipe()
child = os.fork()
if not child:
    os.close(held)
    os.read(hold, 1)
    os._exit(0)
engine.close()
opened().close()
print("free")
os.close(held)
os.waitpid(child, 0)
"""
    assert run(program, tmp_path / "state", small) == ["free"]


def test_a_child_lets_the_folder_go_when_its_parent_is_killed(tmp_path: Path, small: Small) -> None:
    program = (
        _BEGIN
        + """
engine = opened(durability="power", sync_interval_s=0.01)
engine.record("view")
if os.fork():
    print(os.getpid(), flush=True)
os.read(0, 1)
os._exit(0)
"""
    )
    arguments = [sys.executable, "-c", program, str(tmp_path / "state"), str(small.bundle)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert int(parent.stdout.readline()) == parent.pid
        with pytest.raises(StateOwnedError, match=f"in use by process {parent.pid};"):
            Engine.open(tmp_path / "state", bundle=small.bundle, allow_unsigned=True)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        with Engine.open(tmp_path / "state", bundle=small.bundle, allow_unsigned=True) as engine:
            assert engine.status().events == 1


CALLS: Final = """
base = BaseDecision(["fund_a", "fund_b"], [1.0, 0.5])
decision = engine.rank(base, context={"surface": "home", "stage": "new"})
calls = {
    "record": lambda: engine.record("view"),
    "record_many": lambda: engine.record_many([1], [0], kind_names=["view"]),
    "rank": lambda: engine.rank(base),
    "shown": lambda: engine.shown(decision),
    "feedback": lambda: engine.feedback(decision, "fund_a", "click"),
    "explain": lambda: engine.explain(decision),
    "is_still_valid": lambda: engine.is_still_valid(decision),
    "message": lambda: engine.message(decision, "fund_a"),
    "erase": lambda: engine.erase(),
    "erase items": lambda: engine.erase(items=["fund_a"]),
    "install_policy": lambda: engine.install_policy(b""),
    "resize": lambda: engine.storage.resize(1 << 16),
    "rotate_key": lambda: engine.storage.rotate_key(b"k" * 16),
    "sync": lambda: engine.storage.sync(),
}
"""


def test_every_call_in_a_child_is_refused_and_the_parent_goes_on(tmp_path: Path, small: Small) -> None:
    """Also within the millisecond in which the parent recorded, when `record` looks at nothing."""
    program = (
        """
now = [1_768_478_400_000]
engine = opened(clock=lambda: now[0])
engine.record("view")
"""
        + CALLS
        + """
before = engine.status().events
child = os.fork()
if not child:
    for name, call in calls.items():
        try:
            call()
            print(name, "did something", flush=True)
        except Exception as problem:
            if type(problem).__name__ != "ForkedError" or str(os.getppid()) not in str(problem):
                print(name, repr(problem), flush=True)
    engine.close()
    os._exit(7)
assert os.waitpid(child, 0)[1] >> 8 == 7
for _ in range(100):
    engine.record("view")
engine.close()
with opened() as engine:
    print(engine.status().events - before, engine.status().damaged)
"""
    )
    assert run(program, tmp_path / "state", small) == ["100 0"]


def test_a_child_of_a_busy_engine_does_not_wait_for_its_parents_threads(tmp_path: Path, small: Small) -> None:
    """A thread of the parent is inside a call when another one forks; in the child, that thread never returns."""
    program = """
import threading
inside, go = threading.Event(), threading.Event()
def clock():
    if threading.current_thread().name == "busy":
        inside.set()
        go.wait()
    return 1_768_478_400_000
engine = opened(clock=clock)
busy = threading.Thread(target=engine.record, args=("view",), name="busy")
busy.start()
inside.wait()
child = os.fork()
if not child:
    try:
        engine.record("view")
    except RuntimeError as problem:
        os._exit(9 if type(problem).__name__ == "ForkedError" else 8)
assert os.waitpid(child, 0)[1] >> 8 == 9
go.set()
busy.join()
engine.record("view")
print(engine.status().events)
engine.close()
"""
    assert run(program, tmp_path / "state", small) == ["2"]


def test_a_child_forked_within_a_call_ends_that_call_with_an_error(tmp_path: Path, small: Small) -> None:
    program = """
children = []
def clock():
    if armed:
        armed.clear()
        children.append(os.fork())
    return 1_768_478_400_000
armed = []
engine = opened(clock=clock)
armed.append(True)
problems = []
for _ in range(2):
    try:
        engine.record("view")
    except RuntimeError as problem:
        problems.append(type(problem).__name__)
if not children[0]:
    os._exit(5 if problems == ["ForkedError"] * 2 else 6)
print(os.waitpid(children[0], 0)[1] >> 8, problems, engine.status().events)
engine.close()
"""
    assert run(program, tmp_path / "state", small) == ["5 [] 2"]


def test_an_engine_that_nobody_holds_lets_its_folder_go(tmp_path: Path, small: Small, clock: SettableClock) -> None:
    """At once, without the collector: no part of an engine holds the whole. The flusher's thread ends too."""
    former = {thread.name for thread in threading.enumerate()}
    gc.collect()
    gc.disable()
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            engine = Engine.open(
                tmp_path / "state",
                bundle=small.bundle,
                allow_unsigned=True,
                clock=clock,
                durability="power",
                sync_interval_s=3600,
            )
            engine.record("view")
            files = len(os.listdir("/proc/self/fd"))
            del engine
            again = small.open(tmp_path / "state", clock)
            assert len(os.listdir("/proc/self/fd")) <= files
    finally:
        gc.enable()
    assert [(w.category, "close it" in str(w.message)) for w in warned] == [(ResourceWarning, True)]
    assert again.status().events == 1
    again.close()
    for thread in threading.enumerate():
        if thread.name == "edge-sdk flusher":
            thread.join()
    assert {thread.name for thread in threading.enumerate()} <= former


def test_an_engine_that_is_still_held_here_is_named(tmp_path: Path, small: Small, clock: SettableClock) -> None:
    with (
        small.open(tmp_path / "state", clock),
        pytest.raises(StateOwnedError, match=r"in use by this very process \d+; close the engine that has it open"),
    ):
        small.open(tmp_path / "state", clock)
