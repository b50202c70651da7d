"""Cases that break a promise on purpose: the harness plays them first, and must find each."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from edge_sdk import BaseDecision
from tests.deep.stress.caps_oracle import Event
from tests.deep.stress.isolate import run_case
from tests.deep.stress.kit import Kit
from tests.deep.stress.report import Tally, Teller
from tests.deep.stress.world import World

LIMIT_S: Final = 3.0


def undetected(kit: Kit) -> list[str]:
    """Returns the lies that the harness does not find; [] = it can fail."""
    missed = []
    for word, lie in LIES.items():
        tally = Tally()
        run_case("lie", _on(kit, lie), 1, tally, LIMIT_S)
        if not any(word in promise for _, promise in tally.faults):
            missed.append(f"{word}: {list(tally.faults)}")
    tally = Tally()
    run_case("truth", _on(kit, _truth), 1, tally, LIMIT_S * 5)
    return [*missed, *(f"a fault where there is none: {promise}" for _, promise in tally.faults)]


def _on(kit: Kit, act: Callable[[World], object]) -> Callable[[Path, int, Teller], None]:
    def play(folder: Path, seed: int, teller: Teller) -> None:
        act(World(folder, seed, teller, kit))

    return play


def _hang(world: World) -> None:
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


def _die(world: World) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def _raise(world: World) -> None:
    raise ValueError("by the harness")


def _lose(world: World) -> None:
    """An event is acknowledged that was never recorded."""
    with world.open() as engine:
        world.record_some(engine, 3)
    world.ledger.events.append(world.event())
    world.check_opens()


def _keep(world: World) -> None:
    """An erase was acknowledged that never happened."""
    with world.open() as engine:
        world.record_some(engine, 3)
    erased = list(world.ledger.events)
    world.ledger.erase(lambda event: True)
    world.check_no_trace(erased)
    world.check_opens()


def _exceed(world: World) -> None:
    """Four impressions were acknowledged that the engine does not know."""
    with world.open() as engine:
        world.ledger.events += [Event(number, "impression", "fund_a", world.clock.now_ms, 0.5) for number in range(4)]
        world.check_decision(engine, engine.rank(BaseDecision(["fund_a"], [1.0]), context=world.context()))


def _own(world: World) -> None:
    """The folder was never let go."""
    engine = world.open()
    world.check_opens()
    engine.close()


def _differ(world: World) -> None:
    """Memory is not as the log makes it: the clock is another one when the folder is opened again."""
    engine = world.open()
    world.record_some(engine, 40)
    world.clock.now_ms += 1
    close = engine.close

    def closing() -> None:
        close()
        world.clock.now_ms += 3_600_000

    vars(engine)["close"] = closing
    world.check_like_reopened(engine)


def _truth(world: World) -> None:
    """Nothing is wrong."""
    engine = world.open()
    world.record_some(engine, 40)
    world.rank(engine)
    world.check_like_reopened(engine)
    world.check_opens()
    world.check_same()


LIES: Final[dict[str, Callable[[World], object]]] = {
    "hangs": _hang,
    "dies": _die,
    "untyped ValueError": _raise,
    "is lost": _lose,
    "that was erased": _keep,
    "an erased event is in": _keep,
    "above a cap": _exceed,
    "opens again": _own,
    "memory equals": _differ,
}
