"""Part 1: random sequences of all public verbs with random, absurd and hostile arguments, from several threads."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edge_sdk import BaseDecision, Decision, EdgeError, Engine
from tests.deep.stress import kit
from tests.deep.stress.caps_oracle import Event
from tests.deep.stress.hostile import Finalised, HostileMapping, OwnError, anything, raising
from tests.deep.stress.isolate import told
from tests.deep.stress.kit import ITEMS, KINDS, NOW_MS, OFFERS, Kit
from tests.deep.stress.report import Teller
from tests.deep.stress.world import World

STEPS = 120
_JUMPS = (1, 30, 1000, 61_000, 301_000, 3_700_000, 86_400_000)


class Calls:
    """Plays one engine."""

    def __init__(self, world: World, act: Callable[[Engine], object] | None) -> None:
        """With `act`, hostile objects call the engine; otherwise they raise."""
        self.world, self.random, self.teller = world, world.random, world.teller
        self.engine = world.open()
        self.decisions: list[Decision] = []
        self._act = act
        self.is_worn = False  # an erase overwrote something, or events may have left the log

    def play(self, steps: int) -> None:
        """Makes this many calls."""
        steps_of = [self.record, self.record, self.rank, self.shown, self.absurd, self.absurd, self.many, self.erase]
        for _ in range(steps):
            self.world.clock.now_ms += self.random.choice(_JUMPS)
            self.random.choice(steps_of)()
            if self.random.random() < 0.04:
                self.reopen()
            if self.random.random() < 0.04:
                self.change()

    # ---- what is right ----

    def record(self) -> None:
        self.world.record_some(self.engine, self.random.choice((1, 1, 5, 30)))

    def rank(self) -> None:
        """Ranks what is right: no error may come, and at most `limit` offers."""
        limit = self.random.choice((None, 0, 1, 3, np.int64(2), np.uint8(3)))
        if decision := self.world.rank(self.engine, limit=limit):
            self.decisions = [*self.decisions[-5:], decision]
            if decision.error or (limit is not None and len(decision.offers) > limit):
                self.teller.fault(
                    f"a right request gets no error: {decision.error.name}", f"{limit!r} {decision.detail}"
                )
        if self.random.random() < 0.1:
            self._rank_unknown()

    def _rank_unknown(self) -> None:
        """Ranks offers of which the bundle does not know one: the others are ranked as always."""
        base = BaseDecision([*OFFERS[2:], "brand new"], [[0.5, place / 4] for place in range(5)])
        decision = self.engine.rank(base, context=self.world.context(), attributes={"balance": 1.0})
        if decision.error:
            self.teller.fault(f"an unknown offer leaves the others ranked: {decision.error.name}", decision.detail)

    def shown(self) -> None:
        """Shows the decision as an app does, event by event, so that the ledger knows each."""
        if not self.decisions:
            return
        decision = self.random.choice(self.decisions)
        for offer in decision.offers[: self.random.randint(0, 4)]:
            value, kind = kit.CHANNEL_COSTS[offer.channel] or 0.5, kit.SHOWN[offer.channel]
            number = self.world.ledger.next()
            self.world.record(self.engine, Event(number, kind, offer.id, self.world.clock.now_ms, value))

    def many(self) -> None:
        """Records a column of events, all or none."""
        events = [self.world.event() for _ in range(self.random.randint(0, 40))]
        names = (*ITEMS, "", "never heard of")
        self.engine.record_many(
            [event.time_ms for event in events],
            np.array([KINDS.index(event.kind) for event in events], np.int64),
            np.array([names.index(event.item) for event in events], np.int64),
            [event.value for event in events],
            [event.number for event in events],
            kind_names=KINDS,
            item_names=names,
        )
        self.world.ledger.events += events
        self.teller.count("acknowledged", len(events))

    def erase(self) -> None:
        """Erases a part, seldom all; the number of overwritten events is that of the ledger."""
        if self.random.random() < 0.7:
            return
        before = self.random.choice((None, NOW_MS, self.world.clock.now_ms - 500, self.world.clock.now_ms + 1))
        items = self.random.choice((None, None, ["fund_a"], ["page_home", ""], [], ["nobody"], ["nobody"]))
        kinds = self.random.choice((None, None, ["impression"], ["click", "note"], []))
        gone = [event for event in self.world.ledger.events if _is_chosen(event, before, items, kinds)]
        erased = self.engine.erase(before=before, items=items, kinds=kinds)
        self.world.ledger.erase(lambda event: _is_chosen(event, before, items, kinds))
        self.is_worn |= bool(gone) or len(self.world.ledger.events) > 1000
        if not self.world.ledger.maybe and erased != len(gone):
            self.teller.fault(
                "erase returns how many it overwrote", f"{erased} of {len(gone)}: {before} {items} {kinds}"
            )
        self.world.check_no_trace(gone)
        self._explains_still(len(gone))

    def _explains_still(self, erased: int) -> None:
        """After an erase of nothing a decision of this engine can still be explained."""
        decision = self.decisions[-1] if self.decisions and not erased and not self.world.ledger.maybe else None
        if decision is None or decision.error or self.is_worn:
            return
        try:
            self.engine.explain(decision)
        except EdgeError as problem:
            self.teller.fault("an erase of nothing leaves decisions explainable", told(problem))

    def change(self) -> None:
        """Resizes, rotates, installs, syncs."""
        what, world = self.random.randrange(4), self.world
        if what == 0:
            self.engine.storage.resize(self.random.choice((1 << 16, 1 << 17, 1 << 18)))
            world.note_capacity(self.engine)
        elif what == 1:
            world.key = self.random.choice((None, b"k" * 16, b"o" * 32))
            self.engine.storage.rotate_key(world.key)
        elif what == 2 and world.version < kit.FAR_VERSION:
            world.version += 1
            self.engine.install_policy(world.kit.policies[world.version].read_bytes())
        else:
            self.engine.storage.sync()

    def reopen(self) -> None:
        self.engine.close()
        if self.world.key is None:
            self.world.check_log()
        bundle = self.random.choice((self.world.kit.bundle, self.world.kit.other_bundle))
        self.engine = self.world.open(bundle=bundle)
        self.decisions, self.is_worn = [], False

    # ---- what is absurd ----

    def absurd(self) -> None:
        """Calls a verb with an absurd argument; only typed errors may come, and nothing may be recorded by halves."""
        name, call = self.random.choice(list(self.verbs().items()))
        before = self.engine.status().events
        self.teller.doing(f"{name} with an absurd argument")
        self.teller.count("calls")
        try:
            call()
        except OwnError as problem:
            if name == "rank":
                self.teller.fault("rank returns a Decision, always", told(problem))
        except BaseException as problem:
            if self.world.untyped(name, problem, (TypeError, OwnError)):
                return
            if self.engine.status().events != before and self._act is None:
                self.teller.fault(f"a refused {name} records nothing", told(problem))
        else:
            self._forget_unknown(before)

    def _forget_unknown(self, before: int) -> None:
        """Erases what an accepted absurd call recorded: the ledger does not know it."""
        if self.engine.status().events != before or self._act is not None:
            self.engine.erase()
            self.is_worn = True
            self.world.ledger.erase(lambda event: True)
            self.world.ledger.maybe.clear()

    def verbs(self) -> dict[str, Callable[[], object]]:
        """Returns every verb with one absurd argument or more."""
        engine, some, decision = self.engine, self._some, self.decisions[-1] if self.decisions else None
        base = self.world.base()
        calls: dict[str, Callable[[], object]] = {
            "record": lambda: engine.record(some("view"), item=some("fund_a"), value=some(1.0), decision=some(1)),
            "record_many": lambda: engine.record_many(
                some([NOW_MS]),
                some([0]),
                some([0]),
                some([1.0]),
                some([0]),
                kind_names=some(["view"]),
                item_names=some(["a"]),
            ),
            "rank": self._rank,
            "BaseDecision": self._rank_base,
            "erase": lambda: engine.erase(before=some(NOW_MS), items=some(["fund_a"]), kinds=some(["view"])),
            "install_policy": lambda: engine.install_policy(some(b"EDGP")),
            "resize": lambda: engine.storage.resize(some("4096")),
            "rotate_key": lambda: engine.storage.rotate_key(some("key")),
            "status": engine.status,
            "shown": lambda: engine.shown(some(decision), count=some(1)),
            "is_still_valid": lambda: engine.is_still_valid(some(decision)),
            "explain": lambda: engine.explain(some(decision)),
            "message": lambda: engine.message(some(decision), some("fund_a"), language=some("en")),
            "feedback": lambda: engine.feedback(some(decision), some("fund_a"), some("click"), value=some(0.0)),
            "open twice": lambda: self.world.open(**{self.random.choice(_OPTIONS): some(None)}),
        }
        if decision is None:
            for name in ("shown", "is_still_valid", "explain", "message", "feedback"):
                del calls[name]
        del base
        return calls

    def _some(self, right: Any) -> Any:
        """Returns the right argument or an absurd one."""
        return right if self.random.random() < 0.4 else anything(self.random, self._do)

    def _rank(self) -> None:
        some, base = self._some, self.world.base()
        hostile = HostileMapping(self._do, {"surface": "home", "balance": 3.0, "click": 1.0})
        options = {
            name: some(hostile) for name in ("context", "attributes", "weights", "limit") if self.random.random() < 0.5
        }
        decision = self.engine.rank(base, **options)
        self.world.check_decision(self.engine, decision)

    def _rank_base(self) -> None:
        some = self._some
        try:
            base = BaseDecision(
                some(list(OFFERS)), some(np.ones(6)), channels=some(None), variants=some(None), costs=some(None),
                refreshed_ms=some(0),
            )  # fmt: skip
        except (TypeError, OwnError):
            return
        decision = self.engine.rank(base, context={"surface": "home"})
        if not isinstance(decision, Decision):
            self.teller.fault("rank returns a Decision, always", repr(decision))
        for read in ("offers", "dropped", "propensity", "inclusion", "scores", "is_empty"):
            getattr(decision, read)

    def _do(self) -> None:
        if self._act is None:
            raising()
        else:
            self._act(self.engine)


_OPTIONS = (
    "log_bytes",
    "durability",
    "sync_interval_s",
    "storage_key",
    "clock",
    "utc_offset_s",
    "seed",
    "trusted_keys",
)


def _is_chosen(event: Event, before: int | None, items: list[str] | None, kinds: list[str] | None) -> bool:
    return (
        (before is None or event.time_ms < before)
        and (items is None or event.item in items)
        and (kinds is None or event.kind in kinds)
    )


def case(kit_made: Kit) -> Callable[[Path, int, Teller], None]:
    """Returns the case: by its seed one thread with raising or calling objects, a finalizer, or several threads."""

    def play(folder: Path, seed: int, teller: Teller) -> None:
        world = World(folder, seed, teller, kit_made)
        act = world.random.choice((None, None, _call_again(world)))
        calls = Calls(world, act)
        if seed % 7 == 0:
            _with_finalizers(calls)
        elif seed % 5 == 0:
            _in_threads(calls)
        else:
            calls.play(STEPS)
        calls.engine.close()
        calls.engine.close()
        world.check_opens()
        world.check_same()

    return play


def _call_again(world: World) -> Callable[[Engine], object]:
    """Returns an act by which a hostile object calls the engine: it is refused in type, or served."""
    verb = world.random.choice(("status", "record", "rank", "erase", "close"))

    def again(engine: Engine) -> None:
        world.teller.doing(f"{verb} inside a hostile argument")
        if verb == "record":
            engine.record("note")
        elif verb == "rank":
            engine.rank(world.base(), context=world.context())
        elif verb == "erase":
            engine.erase(items=["nobody"])
        else:
            engine.status()

    return again


def _with_finalizers(calls: Calls) -> None:
    """Records and ranks while the collector runs finalizers that call the engine."""
    gc.set_threshold(7)
    calls.teller.doing("finalizers that call the engine")
    for _ in range(STEPS):
        Finalised(lambda: calls.engine.status())
        calls.world.clock.now_ms += 100
        calls.record()
        calls.rank()
    gc.set_threshold(700)


def _in_threads(calls: Calls) -> None:
    """Four threads record, rank, explain and erase nothing at once."""
    world = calls.world

    def run(number: int) -> None:
        try:
            for _ in range(60):
                world.clock.now_ms += 50
                world.record(calls.engine)
                if number % 2:
                    calls.engine.rank(world.base(), context={"surface": "home"})
                calls.engine.status()
        except BaseException as problem:
            world.teller.fault(f"untyped {type(problem).__name__} in a thread", told(problem))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
