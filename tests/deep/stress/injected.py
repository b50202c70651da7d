"""Part 4: every call of the runtime to the system fails once; MemoryError and interrupts at any line of the SDK."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from edge_sdk import EdgeError, Engine
from tests.deep.stress.caps_oracle import Event
from tests.deep.stress.failing import installed, raising_at_line
from tests.deep.stress.isolate import place_of, told
from tests.deep.stress.kit import Kit
from tests.deep.stress.report import Teller
from tests.deep.stress.world import World

ERRORS: Final = (errno.ENOSPC, errno.EIO, errno.EMFILE, errno.EROFS, errno.EACCES)
VERBS: Final = (
    "open", "open new", "record", "rank", "resize", "rotate", "decrypt", "install", "erase all", "erase some", "many",
    "explain", "status", "sync", "close",
)  # fmt: skip
MOST: Final = 120  # injections in a case


def _verbs(world: World, engine: Engine | None) -> dict[str, Callable[[], object]]:
    """Returns the calls that are made to fail."""
    if engine is None:
        return {"open": world.open}
    event, base, context = world.event(), world.base(), world.context()
    version, decision = world.version + 1, engine.rank(base, context=context)
    return {
        "record": lambda: world.record(engine, event),
        "rank": lambda: engine.rank(base, context=context),
        "resize": lambda: engine.storage.resize(1 << 17),
        "rotate": lambda: _rotate(world, engine),
        "decrypt": lambda: engine.storage.rotate_key(None),
        "install": lambda: engine.install_policy(world.kit.policies[version].read_bytes()),
        "erase all": lambda: _erase(world, engine, None),
        "erase some": lambda: _erase(world, engine, ["fund_a", "page_home"]),
        "many": lambda: engine.record_many([1, 2], [0, 0], kind_names=["note"]),
        "explain": lambda: engine.explain(decision),
        "status": engine.status,
        "sync": engine.storage.sync,
        "close": engine.close,
    }


def _rotate(world: World, engine: Engine) -> None:
    world.key = None  # of the folder that is opened again: tried with both keys
    engine.storage.rotate_key(b"n" * 16)
    world.key = b"n" * 16


def _erase(world: World, engine: Engine, items: list[str] | None) -> None:
    def chosen(event: Event) -> bool:
        return items is None or event.item in items

    gone = list(filter(chosen, world.ledger.events))
    world.ledger.erase(chosen)
    world.ledger.maybe += gone
    engine.erase(items=items)
    world.ledger.maybe = [event for event in world.ledger.maybe if event not in gone]


def case(kit_made: Kit) -> Callable[[Path, int, Teller], None]:
    """Returns the case: one verb, one error, at each of its calls (or at random lines)."""

    def play(folder: Path, seed: int, teller: Teller) -> None:
        first = World(folder, seed, teller, kit_made)
        engine = first.open()
        first.record_some(engine, 60, step_ms=60_000)
        engine.install_policy(kit_made.policies[2].read_bytes())
        first.record_some(engine, 20, step_ms=60_000)
        engine.close()
        Sweep(first, seed, teller).run()

    return play


class Sweep:
    """One verb and one error, in a fresh copy of the folder for each injection."""

    def __init__(self, first: World, seed: int, teller: Teller) -> None:
        """Chooses verb and error by the seed."""
        self._first, self._seed, self._teller = first, seed, teller
        self._verb = VERBS[seed % len(VERBS)]
        number = first.random.choice((*ERRORS, 0, 0))
        self._at_lines = number == 0
        own: Callable[[], BaseException] = first.random.choice((MemoryError, KeyboardInterrupt))
        self._problem = own if self._at_lines else lambda: OSError(number, os.strerror(number))
        self._error = own.__name__ if self._at_lines else errno.errorcode[number]
        self._injector = installed()

    def run(self) -> None:
        """Injects at each call, or at random lines."""
        last = 0
        for number in range(1, MOST + 1):
            at = number
            if self._at_lines:
                at = number if number < 20 or not last else self._first.random.randint(1, last)
            hit, last = self._once(at, number)
            if not hit and not self._at_lines:
                break

    def _once(self, at: int, number: int) -> tuple[str, int]:
        """Injects once, and checks everything; returns where, and how many lines were seen."""
        world = self._copy(number)
        engine = None if self._verb.startswith("open") else world.open()
        if engine is not None and self._verb in ("rank", "record", "close"):
            world.record_some(engine, world.random.choice((3, 40, 1021)), step_ms=100)
        if self._verb == "decrypt" and engine is not None:
            engine.storage.rotate_key(b"n" * 16)
            world.key = b"n" * 16
        act = _verbs(world, engine)[self._verb.split(" new")[0]]
        seen = [0]
        self._teller.doing(f"{self._error} at {'line' if self._at_lines else 'call'} {at} of {self._verb}")
        made: object = None
        try:
            if self._at_lines:
                with raising_at_line(at, self._problem, seen):
                    made = act()
            else:
                with self._injector.failing(at, self._problem):
                    made = act()
        except BaseException as problem:
            self._judge(world, problem)
        hit = self._injector.hit or (f"line {at}" if seen[0] >= at else "")
        if hit:
            self._teller.count("injected")
            self._aftermath(world, made if isinstance(made, Engine) else engine)
        else:
            for left in (made, engine):
                if isinstance(left, Engine):
                    left.close()
        shutil.rmtree(world.folder)
        return hit, seen[0]

    def _copy(self, number: int) -> World:
        folder = self._first.folder / str(number)
        folder.mkdir()
        world = World(folder, self._seed + number, self._teller, self._first.kit)
        if self._verb != "open new":
            shutil.copytree(self._first.state, world.state)
            world.ledger.events, world.ledger.numbers = list(self._first.ledger.events), self._first.ledger.numbers
        world.clock.now_ms, world.version = self._first.clock.now_ms, 2
        return world

    def _judge(self, world: World, problem: BaseException) -> None:
        """An injected interrupt or MemoryError may come out as itself; everything else must be typed."""
        if self._at_lines and isinstance(problem, (KeyboardInterrupt, MemoryError)):
            if self._verb == "rank" and isinstance(problem, MemoryError):
                where = place_of(problem)
                self._teller.fault(f"rank returns a Decision, always: MemoryError in {where}", told(problem))
            return
        if not isinstance(problem, EdgeError):
            name = f"untyped {type(problem).__name__} of {self._verb} in {place_of(problem)}"
            self._teller.fault(name, f"{self._error} at {self._injector.hit}\n{told(problem)}")

    def _aftermath(self, world: World, engine: Engine | None) -> None:
        """The engine goes on, its lock is free, it closes, the folder opens, nothing acknowledged is lost."""
        what = f"after {self._error} in {self._verb}"
        if engine is not None and self._verb != "close":
            self._goes_on(world, engine, what)
        if engine is not None:
            try:
                engine.close()
            except BaseException as problem:
                self._teller.fault(f"the engine closes {what}: {type(problem).__name__}", told(problem))
        keys = [world.key, b"n" * 16] if self._verb in ("rotate", "decrypt") else [world.key]
        for key in [*keys, None]:
            world.key = key
            try:
                world.open().close()
            except EdgeError as problem:
                failed: EdgeError = problem
            except BaseException as problem:
                world.untyped(f"open {what}", problem)
                return
            else:
                world.check_opens()
                return
        self._teller.fault(
            f"the folder opens again {what}: {type(failed).__name__}", f"{self._injector.hit}\n{told(failed)}"
        )

    def _goes_on(self, world: World, engine: Engine, what: str) -> None:
        thread = threading.Thread(target=engine.status, daemon=True)
        thread.start()
        thread.join(5.0)
        if thread.is_alive():
            self._teller.fault(f"the lock is free {what}", self._injector.hit)
            return
        try:
            world.rank(engine)
            world.record(engine)
            if not self._verb.startswith("erase"):
                world.rank(engine)
        except BaseException as problem:
            self._teller.fault(
                f"the engine goes on {what}: {type(problem).__name__} in {place_of(problem)}", told(problem)
            )
