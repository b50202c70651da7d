"""A client with hostile hooks, clock and opener, and processes that end while a client opens its engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge_sdk import BaseDecision, Client, Decision, EdgeError, Engine, Hook
from tests.deep.stress.hostile import OwnError, anything, raising
from tests.deep.stress.isolate import told
from tests.deep.stress.kit import OFFERS, Kit
from tests.deep.stress.report import Teller
from tests.deep.stress.world import World

EXITS = 3  # processes in a case

_ENDS_WHILE_OPENING = """
import sys, time
from edge_sdk import BaseDecision, Client, Engine
client = Client(lambda: Engine.open(sys.argv[1], bundle=sys.argv[2], trusted_keys=[bytes.fromhex(sys.argv[3])]))
client.start()
time.sleep(float(sys.argv[4]))
client.record("note")
"""


def case(kit_made: Kit) -> Callable[[Path, int, Teller], None]:
    """Returns the case: hostile hooks and clocks, or endings."""

    def play(folder: Path, seed: int, teller: Teller) -> None:
        world = World(folder, seed, teller, kit_made)
        if seed % 3 == 0:
            _end_while_opening(world)
        else:
            _hostile(world)

    return play


def _end_while_opening(world: World) -> None:
    """A process ends at a random moment of opening: its exit code is 0."""
    for number in range(EXITS):
        delay_s = world.random.random() * 0.06
        world.teller.doing("a process ends while a client opens")
        state = world.folder / f"state {number}"
        arguments = [str(state), str(world.kit.bundle), world.kit.public_key.hex(), str(delay_s)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        ended = subprocess.run(
            [sys.executable, "-c", _ENDS_WHILE_OPENING, *arguments], capture_output=True, env=environment
        )
        world.teller.count("forks")
        if ended.returncode or b"Traceback" in ended.stderr:
            world.teller.fault(
                f"a process ends while a client opens: exit code {ended.returncode}", ended.stderr.decode()[-900:]
            )


class Hostility(Hook):
    """A hook whose every method may raise."""

    def __init__(self, world: World) -> None:
        self._world = world

    def _maybe(self, *_: object) -> None:
        if self._world.random.random() < 0.5:
            raise self._world.random.choice((OwnError, MemoryError))("by the harness")

    def on_state(self, state: object) -> None:
        """Runs in the thread that opens, too: nothing that it raises may harm the client."""
        if self._world.random.random() < 0.3:
            raise self._world.random.choice((OwnError, SystemExit))("by the harness")

    before = after = error = finally_ = on_disk_failure = _maybe  # type: ignore[assignment]


def _hostile(world: World) -> None:
    """Hooks, clock and opener misbehave; `rank` answers, and events that were taken are recorded."""
    clock_answers: list[Any] = [world.clock.now_ms]

    def clock() -> Any:
        if clock_answers[0] == "raises":
            raise OwnError
        return clock_answers[0]

    def opener() -> Engine:
        world.random.choice((lambda: None, lambda: None, raising))()
        return world.open()

    decision: Decision | None = None
    client = Client(
        opener, hooks=[Hostility(world)], clock=clock, cache_s=world.random.choice((0.0, 5.0)), stale_after_s=60.0
    )
    for _ in range(60):
        clock_answers[0] = world.random.choice((world.clock.now_ms, world.clock.now_ms, "raises", None, float("nan")))
        world.clock.now_ms += 1000
        decision = _client_call(world, client, decision)
    clock_answers[0] = world.clock.now_ms
    try:
        client.close()
    except BaseException as problem:
        world.untyped("Client.close", problem)
    if world.state.exists():
        world.open().close()


def _client_call(world: World, client: Client[Engine], decision: Decision | None) -> Decision | None:
    base = BaseDecision(OFFERS, [0.0] * 6, refreshed_ms=world.random.choice((0, 1, anything(world.random, raising))))
    calls: dict[str, Callable[[], object]] = {
        "start": client.start,
        "wait": lambda: client.wait(0.05),
        "rank": lambda: client.rank(base, context=world.context()),
        "offers": lambda: client.offers(base, context=world.context(), default=["a"]),
        "record": lambda: client.record("note"),
        "shown": lambda: None if decision is None else client.shown(decision),
        "state": lambda: client.state,
        "diagnostics": lambda: json.dumps(client.diagnostics()),
        "erase": lambda: client.erase(items=["nobody"]),
        "status": client.status,
    }
    name = world.random.choice(list(calls))
    world.teller.doing(f"Client.{name} under hostile hooks and clock")
    world.teller.count("calls")
    try:
        found = calls[name]()
    except EdgeError:
        return decision
    except BaseException as problem:
        is_clock = name in ("record", "shown", "erase") and isinstance(problem, (OwnError, TypeError))
        if not is_clock:  # of the app's own clock, where an event needs its time
            world.teller.fault(f"untyped {type(problem).__name__} of Client.{name}", told(problem))
        return decision
    if name == "rank" and not isinstance(found, Decision):
        world.teller.fault("Client.rank returns a Decision", repr(found))
    return found if isinstance(found, Decision) else decision
