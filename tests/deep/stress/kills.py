"""Part 2: kill -9 at random moments while recording, erasing, resizing, rotating, installing and opening.

The recorder writes a line before and after each call; what it wrote before the kill is the ledger.
"""

from __future__ import annotations

import json
import os
import select
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edge_sdk import EdgeError, Engine
from tests.deep.stress.caps_oracle import Event
from tests.deep.stress.isolate import forked
from tests.deep.stress.kit import FAR_VERSION, ITEMS, KINDS, Kit
from tests.deep.stress.report import Teller
from tests.deep.stress.world import World

KILLS = 8  # in a case, on one folder
SIZES = (1 << 18, 1 << 19)
KEYS = (None, b"k" * 16, b"o" * 32)
NAMES = (*ITEMS, "", "never heard of")


class Recorder:
    """The process that is killed."""

    def __init__(self, world: World, pipe: int, mode: str) -> None:
        """`mode` is the call that is made often, beside recording."""
        self._world, self._pipe, self._mode = world, pipe, mode

    def run(self) -> None:
        """Opens the folder and makes calls until it is killed."""
        world = self._world
        durability = world.random.choice(("process", "process", "power"))
        engine = world.open(log_bytes=SIZES[0], durability=durability)
        self._tell("begun", ["opened"])
        for step in range(500):
            world.clock.now_ms += 1000
            event = world.event()
            self._tell("begun", ["record", *_row(event)])
            engine.record(event.kind, item=event.item, value=event.value, decision=event.number)
            self._tell("done", [])
            if step % 5 == 0:
                act, told = self._change(engine)
                self._tell("begun", told)
                act()
                self._tell("done", [])
            if self._mode == "reopen" and step % 20 == 19:
                engine.close()
                engine = world.open(log_bytes=SIZES[0])
        signal.pause()

    def _change(self, engine: Engine) -> tuple[Callable[[], object], list[Any]]:
        world, mode = self._world, self._mode
        if mode == "erase":
            items = world.random.choice((None, ["fund_a"], ["page_home", "coupon_b"]))
            return lambda: engine.erase(items=items), ["erase", items]
        if mode == "resize":
            size = world.random.choice(SIZES)
            return lambda: engine.storage.resize(size), ["resize"]
        if mode == "rotate":
            number = world.random.randrange(len(KEYS))
            return lambda: engine.storage.rotate_key(KEYS[number]), ["rotate", number]
        if mode == "install" and world.version < FAR_VERSION:
            world.version += 1
            return lambda: engine.install_policy(world.kit.policies[world.version].read_bytes()), [
                "install",
                world.version,
            ]
        if mode == "many":
            events = [world.event() for _ in range(world.random.randint(1, 30))]
            return lambda: _record_many(engine, events), ["many", *map(_row, events)]
        return lambda: engine.rank(world.base(), context=world.context()), ["rank"]

    def _tell(self, what: str, content: list[Any]) -> None:
        os.write(
            self._pipe,
            json.dumps([what, self._world.ledger.numbers, self._world.clock.now_ms, content]).encode() + b"\n",
        )


def case(kit_made: Kit) -> Callable[[Path, int, Teller], None]:
    """Returns the case: one folder, some kills, and a check after each."""

    def play(folder: Path, seed: int, teller: Teller) -> None:
        world = World(folder, seed, teller, kit_made)
        mode = world.random.choice(("erase", "resize", "rotate", "install", "many", "reopen", "rank"))
        for number in range(KILLS):
            teller.doing(f"kill {number} while it does {mode}")
            _apply(world, _lines_of_a_killed(world, mode))
            teller.count("kills")
            keys = _fitting(world)
            if not keys:
                return
            world.key = keys[0]
            world.check_opens(log_bytes=SIZES[0])

    return play


def _lines_of_a_killed(world: World, mode: str) -> list[list[Any]]:
    """Starts a recorder, kills it at a random moment, and returns what it told."""
    ours, theirs = os.pipe()
    world.random.seed(world.random.random())
    child = forked(lambda: Recorder(world, theirs, mode).run())
    os.close(theirs)
    until = time.monotonic() + world.random.choice((0.005, 0.02, 0.03, 0.06, 0.12)) * (0.5 + world.random.random())
    content = b""
    while (left_s := until - time.monotonic()) > 0:
        if select.select([ours], [], [], left_s)[0]:
            part = os.read(ours, 1 << 16)
            if not part:
                world.teller.fault("the recorder dies by itself", content[-500:].decode())
                break
            content += part
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while part := os.read(ours, 1 << 16):
        content += part
    os.close(ours)
    return [json.loads(line) for line in content.split(b"\n")[:-1]]


def _apply(world: World, lines: list[list[Any]]) -> None:
    """Brings the ledger up to what was told; a call without an end may or may not have happened."""
    begun: list[Any] = []
    for what, numbers, now_ms, content in lines:
        world.ledger.numbers, world.clock.now_ms = numbers, now_ms
        if what == "begun":
            begun = content
        else:
            _settle(world, begun, has_returned=True)
            begun = []
    world.ledger.numbers += 1000  # of events that nobody told about
    world.clock.now_ms += 1000
    _settle(world, begun, has_returned=False)


def _settle(world: World, call: list[Any], *, has_returned: bool) -> None:
    ledger = world.ledger
    if not call:
        return
    if call[0] in ("record", "many"):
        events = [Event(*call[1:])] if call[0] == "record" else [Event(*row) for row in call[1:]]
        (ledger.events if has_returned else ledger.maybe).extend(events)
        world.teller.count("acknowledged", len(events) * has_returned)
    elif call[0] == "erase":
        chosen = [event for event in [*ledger.events, *ledger.maybe] if call[1] is None or event.item in call[1]]
        ledger.erase(lambda event: call[1] is None or event.item in call[1])
        ledger.maybe += [] if has_returned else chosen
    elif call[0] == "rotate":
        world.key = KEYS[call[1]] if has_returned else world.key
    elif call[0] == "install":
        world.version = call[1]


def _fitting(world: World) -> list[bytes | None]:
    """Returns the keys that open the folder; the last one must, or the one of a rotation that was cut short."""
    fitting = []
    problems = []
    for key in KEYS:
        try:
            world.open(storage_key=key, log_bytes=SIZES[0]).close()
            fitting.append(key)
        except EdgeError as problem:
            problems.append(f"{problem}")
        except BaseException as problem:
            world.untyped("open after a kill", problem)
    if len(fitting) != 1 and (world.state / "events.log").exists():
        world.teller.fault(f"{len(fitting)} keys open the folder after a kill", "\n".join(problems))
    return fitting


def _record_many(engine: Engine, events: list[Event]) -> None:
    engine.record_many(
        [event.time_ms for event in events],
        np.array([KINDS.index(event.kind) for event in events]),
        np.array([NAMES.index(event.item) for event in events]),
        [event.value for event in events],
        [event.number for event in events],
        kind_names=KINDS,
        item_names=NAMES,
    )


def _row(event: Event) -> list[Any]:
    return [event.number, event.kind, event.item, event.time_ms, event.value]
