"""Part 2: alarms whose handlers raise or call the engine, at random moments and in tight loops."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from edge_sdk import EdgeError, Engine
from tests.deep.stress.isolate import told
from tests.deep.stress.kit import FAR_VERSION, Kit
from tests.deep.stress.report import Teller
from tests.deep.stress.world import World

ROUNDS = 400


class Alarms:
    """Alarms in a tight loop. The handler acts only when it lands in code of the SDK."""

    def __init__(self, act: Callable[[], object], interval_s: float, teller: Teller) -> None:
        """`act` is what the handler does."""
        self._act, self._interval_s, self._teller, self._is_inside = act, interval_s, teller, False
        self.landed = 0

    def __enter__(self) -> Alarms:
        signal.signal(signal.SIGALRM, self._handle)
        signal.setitimer(signal.ITIMER_REAL, self._interval_s, self._interval_s)
        return self

    def __exit__(self, *problem: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        self._teller.count("signals", self.landed)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if frame is not None and "/edge_sdk/" in frame.f_code.co_filename and not self._is_inside:
            self.landed += 1
            self._is_inside = True
            try:
                self._act()
            finally:
                self._is_inside = False


def _interrupt() -> None:
    raise KeyboardInterrupt


def case(kit_made: Kit) -> Callable[[Path, int, Teller], None]:
    """Returns the case: handlers that raise, or that call a verb."""

    def play(folder: Path, seed: int, teller: Teller) -> None:
        world = World(folder, seed, teller, kit_made)
        engine = world.open()
        world.record_some(engine, 50)
        interval_s = world.random.choice((0.00005, 0.0002, 0.001, 0.005))
        verb = world.random.choice(("raise", "raise", "raise", "record", "rank", "status"))
        teller.doing(f"a handler that does {verb}")
        act = _interrupt if verb == "raise" else _calling(world, engine, verb)
        with Alarms(act, interval_s, teller):
            for _ in range(ROUNDS):
                try:
                    _one(world, engine)
                except KeyboardInterrupt:
                    pass
                except BaseException as problem:
                    world.untyped("a verb under alarms", problem)
        _lock_is_free(engine, teller, verb)
        world.check_like_reopened(engine)
        world.check_opens()

    return play


def _one(world: World, engine: Engine) -> None:
    """Makes one call in which an interrupt may land."""
    world.clock.now_ms += 700
    what = world.random.randrange(40)
    if what == 0 and world.version < FAR_VERSION:
        world.version += 1
        engine.install_policy(world.kit.policies[world.version].read_bytes())
    elif what == 1:
        engine.storage.resize(world.random.choice((1 << 16, 1 << 17)))
    elif what == 2:
        engine.erase(items=["nobody"])
    elif what == 3:
        engine.storage.sync()
    elif what < 12:
        decision = engine.rank(world.base(), context=world.context())
        if found := world.above(decision):
            world.teller.fault(
                f"above a cap after an interrupt: {found[0]}", f"{found} {decision.error.name} {decision.detail}"
            )
    else:
        world.record(engine)


def _calling(world: World, engine: Engine, verb: str) -> Callable[[], object]:
    """Returns a handler that calls the engine: it is served, or refused with a typed error."""

    def call() -> None:
        try:
            if verb == "record":
                engine.record("note", decision=1)
            elif verb == "rank":
                engine.rank(world.base(), context=world.context())
            else:
                engine.status()
        except EdgeError:
            pass
        except BaseException as problem:
            world.teller.fault(f"untyped {type(problem).__name__} of {verb} in a handler", told(problem))

    return call


def _lock_is_free(engine: Engine, teller: Teller, verb: str) -> None:
    """Checks from another thread that no lock was left behind."""
    teller.doing(f"a lock is left held after a handler that does {verb}")
    thread = threading.Thread(target=engine.status, daemon=True)
    thread.start()
    thread.join()
    teller.doing("after the alarms")
