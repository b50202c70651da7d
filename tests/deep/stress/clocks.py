"""Part 7: clocks that jump, raise or give nonsense, and zones that change."""

from __future__ import annotations

import datetime
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from edge_sdk import Decision, EdgeError, Engine
from tests.deep.stress.hostile import OwnError, raising
from tests.deep.stress.isolate import told
from tests.deep.stress.kit import NOW_MS, Kit
from tests.deep.stress.report import Teller
from tests.deep.stress.world import World

STEPS: Final = 150
ZONES: Final = ("Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe", "America/St_Johns", "Pacific/Apia", "UTC")
NONSENSE: Final[tuple[Any, ...]] = (
    None, "now", float("nan"), float("inf"), -1, 1 << 70, 1.5e12, True, object(), b"", [], -1e300,
)  # fmt: skip
JUMPS_MS: Final = (0, 1, -1, 999, 60_000, -60_000, 3_600_000, -3_600_000, 86_400_000, -86_400_000, 30 * 86_400_000)


def case(kit_made: Kit) -> Callable[[Path, int, Teller], None]:
    """Returns the case: jumps, nonsense, or zones."""

    def play(folder: Path, seed: int, teller: Teller) -> None:
        world = World(folder, seed, teller, kit_made)
        (_jumps, _nonsense, _offsets, _zones)[seed % 4](world)
        world.clock.act, world.clock.now_ms = None, max(_last_ms(world), NOW_MS) + 1000
        world.check_opens()

    return play


def _last_ms(world: World) -> int:
    return max((event.time_ms for event in world.ledger.events), default=NOW_MS)


def _jumps(world: World) -> None:
    """The clock jumps to and fro, events are back-filled newest first: caps hold for every order of times."""
    engine = world.open()
    for _ in range(STEPS):
        world.teller.doing("a clock that jumps")
        world.clock.now_ms += world.random.choice(JUMPS_MS)
        if world.random.random() < 0.2:
            _back_fill(world, engine)
        for _ in range(world.random.choice((1, 4))):
            world.record(engine)
        world.rank(engine)
    engine.close()


def _back_fill(world: World, engine: Engine) -> None:
    """Records events of the last two hours, newest first."""
    now_ms: int = world.clock.now_ms
    for _ in range(4):
        event = world.event()
        event.time_ms, event.kind, event.item = now_ms - world.random.randrange(7_200_000), "impression", "fund_a"
        engine.record_many(
            [event.time_ms], [0], [0], [0.5], [event.number], kind_names=["impression"], item_names=["fund_a"]
        )
        event.value = 0.5
        world.ledger.events.append(event)


def _nonsense(world: World) -> None:
    """The clock raises or gives nonsense: `rank` answers, `record` is refused in type, and all goes on afterwards."""
    engine = world.open()
    for _ in range(STEPS):
        good_ms = world.clock.now_ms = max(NOW_MS, _last_ms(world)) + 500
        world.record(engine)
        before = engine.status().events
        what = world.random.choice((*NONSENSE, "raises"))
        world.teller.doing(f"a clock that gives {what!r}")
        if what == "raises":
            world.clock.act = raising
        else:
            world.clock.now_ms = what
        _call_under_nonsense(world, engine)
        world.clock.act, world.clock.now_ms = None, good_ms + 1
        added = engine.status().events - before
        if added not in (0, 1):
            world.teller.fault("an event under a wrong clock is recorded once or not at all", f"{what!r} {added}")
        if added:
            engine.erase()
            world.ledger.erase(lambda event: True)
            world.ledger.maybe.clear()
    engine.close()


def _call_under_nonsense(world: World, engine: Engine) -> None:
    base = world.base()
    try:
        decision = engine.rank(base, context=world.context())
        if not isinstance(decision, Decision):
            world.teller.fault("rank returns a Decision, always", f"{decision!r}")
    except BaseException as problem:
        world.teller.fault(f"rank returns a Decision, always: a clock, {type(problem).__name__}", told(problem))
    for name, call in (("record", lambda: engine.record("note")), ("status", engine.status)):
        try:
            call()
        except OwnError:  # of the app's own clock: it knows what it raised
            pass
        except BaseException as problem:
            world.untyped(f"{name} under a wrong clock", problem, (TypeError,))


def _offsets(world: World) -> None:
    """The app's `utc_offset_s` raises, gives nonsense, or another number each time."""
    answers: list[Any] = [0]

    def offset(now_ms: int) -> Any:
        if answers[0] == "raises":
            raise OwnError
        return answers[0]

    engine = world.open(utc_offset_s=offset)
    for _ in range(STEPS):
        world.clock.now_ms += 600_000
        answers[0] = world.random.choice((*NONSENSE, "raises", 3600, -43_200, 50_400, 20_700.0, 10**9))
        world.teller.doing(f"an offset of {answers[0]!r}")
        answers[0] = answers[0] if answers[0] != "now" else math.nan
        world.record(engine)
        world.rank(engine)
        try:
            engine.is_still_valid(engine.rank(world.base(), context=world.context()))
        except (OwnError, EdgeError):
            pass
        except BaseException as problem:
            world.untyped("is_still_valid under a wrong offset", problem, (TypeError,))
    engine.close()


def _zones(world: World) -> None:
    """The system's zone changes while the process runs: no push from 22:00 to 08:00 of the zone that is in force."""
    link = world.folder / "localtime"  # stands for the system's own
    _set_zone(link, "UTC")
    os.environ["TZ"] = f":{link}"
    time.tzset()
    engine = world.open(utc_offset_s=None)
    for _ in range(STEPS):
        world.clock.now_ms += world.random.choice((1_800_000, 1_801_000, 3_600_000, 86_400_000 * 7))
        zone = world.random.choice(ZONES)
        _set_zone(link, zone)
        world.teller.doing(f"the zone changes to {zone}")
        decision = engine.rank(world.base(), context=world.context())
        local = datetime.datetime.fromtimestamp(decision.time_ms / 1000, ZoneInfo(zone))
        is_quiet = local.hour >= 22 or local.hour < 8
        pushes = [offer for offer in decision.offers if offer.channel == "push"]
        if is_quiet and pushes:
            world.teller.fault("no push in quiet hours of the zone in force", f"{zone} {local} {decision.error.name}")
    engine.close()


def _set_zone(link: Path, zone: str) -> None:
    """Changes the system's zone as its settings do: the link is replaced, and no process is told."""
    new = link.with_suffix(".new")
    new.symlink_to(Path("/usr/share/zoneinfo") / zone)
    new.replace(link)
