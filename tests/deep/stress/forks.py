"""Part 3: forks while threads record; the folder is free for the next owner, and a child gets typed errors."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path

from edge_sdk import EdgeError, Engine
from tests.deep.stress.isolate import ended, forked, told
from tests.deep.stress.kit import Kit
from tests.deep.stress.report import Teller
from tests.deep.stress.world import World

CHILD_S = 5.0
_IDLE = "import time\ntime.sleep(60)"


def case(kit_made: Kit) -> Callable[[Path, int, Teller], None]:
    """Returns the case: one of the ways in which a process has children."""

    def play(folder: Path, seed: int, teller: Teller) -> None:
        warnings.simplefilter("ignore")
        world = World(folder, seed, teller, kit_made)
        ways = (
            _use_in_child,
            _use_in_multiprocessing,
            _close_while_child_lives,
            _kill_parent,
            _drop,
            _inheriting_program,
        )
        way = ways[seed % len(ways)]
        teller.doing(way.__name__.strip("_"))
        teller.count("forks")
        way(world)
        world.check_opens()

    return play


def _recording(world: World, engine: Engine) -> Callable[[], None]:
    """Starts threads that record; returns what stops them."""
    stop = threading.Event()

    def run() -> None:
        while not stop.is_set() and len(world.ledger.events) < 1500:
            world.record(engine)

    threads = [threading.Thread(target=run, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()

    def end() -> None:
        stop.set()
        for thread in threads:
            thread.join()

    return end


def _verbs(world: World, engine: Engine) -> dict[str, Callable[[], object]]:
    return {
        "record": lambda: engine.record("note"),
        "rank": lambda: engine.rank(world.base(), context=world.context()),
        "status": engine.status,
        "erase": engine.erase,
        "resize": lambda: engine.storage.resize(1 << 17),
        "close": engine.close,
        "open": lambda: world.open().close(),
    }


def _refused(world: World, engine: Engine) -> None:
    """In a child: every verb is refused with a typed error (`close` may do nothing)."""
    for name, call in _verbs(world, engine).items():
        world.teller.doing(f"{name} in a forked child")
        try:
            call()
        except (EdgeError, RuntimeError):
            continue
        except BaseException as problem:
            world.teller.fault(f"untyped {type(problem).__name__} of {name} in a forked child", told(problem))
        else:
            if name != "close":
                world.teller.fault(f"{name} in a forked child is refused with a typed error", "it returned")


def _use_in_child(world: World) -> None:
    engine = world.open()
    stop = _recording(world, engine)
    for _ in range(3):
        child = forked(lambda: _refused(world, engine))
        if ended(child, CHILD_S) != 0:
            world.teller.fault("a forked child that uses the engine neither hangs nor dies", "no verb returned in time")
            break
    stop()
    engine.close()


def _use_in_multiprocessing(world: World) -> None:
    engine = world.open()
    stop = _recording(world, engine)
    process = multiprocessing.get_context("fork").Process(target=_refused, args=(world, engine))
    process.start()
    process.join(CHILD_S)
    if process.exitcode != 0:
        world.teller.fault("a multiprocessing child that uses the engine ends", f"exit code {process.exitcode}")
        process.kill()
        process.join()
    stop()
    engine.close()


def _close_while_child_lives(world: World) -> None:
    engine = world.open()
    world.record_some(engine, 20)
    child = forked(signal.pause)
    engine.close()
    _is_free(world, "the parent closed, a forked child lives")
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def _kill_parent(world: World) -> None:
    """An owner forks a child and is killed; the child lives on."""
    ours, theirs = os.pipe()
    world.clock.now_ms += 60_000
    events = [world.event() for _ in range(20)]

    def own() -> None:
        engine = world.open()
        for event in events:
            world.record(engine, event)
        grandchild = forked(signal.pause)
        os.write(theirs, grandchild.to_bytes(4, "little"))
        signal.pause()

    owner = forked(own)
    grandchild = int.from_bytes(os.read(ours, 4), "little")
    os.kill(owner, signal.SIGKILL)
    os.waitpid(owner, 0)
    world.ledger.events += events  # acknowledged: the owner wrote to the pipe after it had recorded them
    _is_free(world, "the parent was killed, its child lives")
    os.kill(grandchild, signal.SIGKILL)


def _drop(world: World) -> None:
    """An engine that nobody holds any more lets the folder go, and keeps what was acknowledged."""
    engine = world.open(durability=world.random.choice(("process", "power")))
    world.record_some(engine, 20)
    world.rank(engine)
    del engine
    gc.collect()
    _is_free(world, "the engine was dropped without close")


def _inheriting_program(world: World) -> None:
    """Another program starts with all descriptors; the folder is free when its owner closes."""
    engine = world.open()
    world.record_some(engine, 20)
    program = subprocess.Popen([sys.executable, "-S", "-c", _IDLE], close_fds=False)
    engine.close()
    _is_free(world, "the owner closed, a program that it started lives")
    program.kill()
    program.wait()


def _is_free(world: World, when: str) -> None:
    def again() -> None:
        world.open().close()

    try:
        again()
    except EdgeError as problem:
        world.teller.fault(f"the folder is free: {when}", told(problem))
