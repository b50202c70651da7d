"""One user's device as the harness sees it: a settable clock, a ledger of what was acknowledged, and the promises.

The ledger knows an event by the number that it carries in its field `decision`. Everything is checked from outside:
by answers of public verbs, and by the bytes of the log (`log_file.py`).
"""

from __future__ import annotations

import pickle
import random
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from edge_sdk import BaseDecision, Decision, EdgeError, Engine
from tests.deep.stress.caps_oracle import Event, above
from tests.deep.stress.isolate import place_of, told
from tests.deep.stress.kit import CHANNEL_COSTS, CHANNELS, ITEMS, KINDS, NOW_MS, OFFERS, Kit
from tests.deep.stress.log_file import read_events, trace_of
from tests.deep.stress.report import Teller

FIRST_NUMBER: Final = 1 << 24  # above every id of a decision
LOG_BYTES: Final = 1 << 16  # 2,046 events


class Clock:
    """A clock that keeps its time until it is set; it may misbehave for a call."""

    def __init__(self) -> None:
        self.now_ms: Any = NOW_MS
        self.act: Callable[[], object] | None = None

    def __call__(self) -> int:
        if self.act is not None:
            self.act()
        found: int = self.now_ms
        return found


@dataclass(slots=True)
class Ledger:
    """What was acknowledged, what may be there, and what was erased."""

    events: list[Event] = field(default_factory=list)  # acknowledged and not erased
    maybe: list[Event] = field(default_factory=list)  # the call did not return
    numbers: int = FIRST_NUMBER
    blanked: int = 0
    is_unsure: bool = False  # an erase did not return

    def next(self) -> int:
        """Returns an unused number."""
        self.numbers += 1
        return self.numbers

    def erase(self, chosen: Callable[[Event], bool]) -> None:
        """Forgets the events that an erase selects."""
        self.blanked += sum(map(chosen, self.events)) + sum(map(chosen, self.maybe))
        self.events = [event for event in self.events if not chosen(event)]
        self.maybe = [event for event in self.maybe if not chosen(event)]


class World:
    """An engine under test, with its ledger."""

    def __init__(self, folder: Path, seed: int, teller: Teller, kit: Kit) -> None:
        self.folder, self.teller, self.kit = folder, teller, kit
        self.state = folder / "state"
        self.random = random.Random(seed)
        self.clock = Clock()
        self.ledger = Ledger()
        self.key: bytes | None = None
        self.seed = seed
        self.version = 1
        self.capacity = 1 << 30  # the smallest that the log had

    # ---- the engine ----

    def open(self, state: Path | None = None, **options: Any) -> Engine:
        """Opens an engine on the user's folder."""
        given: dict[str, Any] = {
            "bundle": self.kit.bundle,
            "trusted_keys": [self.kit.public_key],
            "log_bytes": LOG_BYTES,
            "clock": self.clock,
            "utc_offset_s": _utc,
            "seed": 11,
            "storage_key": self.key,
        }
        given |= options
        if given["utc_offset_s"] is None:
            del given["utc_offset_s"]  # the system's zone
        engine = Engine.open(self.state if state is None else state, **given)
        self.note_capacity(engine)
        return engine

    def note_capacity(self, engine: Engine) -> None:
        """Remembers how many events the log had room for at least: older ones may have left it."""
        self.capacity = min(self.capacity, engine.status().capacity)

    def event(self) -> Event:
        """Returns a random event that was not recorded yet."""
        kind, item = self.random.choice(KINDS), self.random.choice((*ITEMS, "", "never heard of"))
        value = CHANNEL_COSTS.get({"push_shown": "push", "sms_shown": "sms"}.get(kind, ""), 0.0) or 0.5
        return Event(self.ledger.next(), kind, item, int(self.clock.now_ms), value)

    def record(self, engine: Engine, event: Event | None = None) -> Event:
        """Records an event; it is in the ledger as acknowledged, or, if the call raises, as one that may be there."""
        event = event or self.event()
        self.ledger.maybe.append(event)
        engine.record(event.kind, item=event.item, value=event.value, decision=event.number)
        self.ledger.events.append(event)  # before it leaves `maybe`: an interrupt may land between
        self.ledger.maybe.remove(event)
        self.teller.count("acknowledged")
        self.teller.count("calls")
        return event

    def record_some(self, engine: Engine, count: int, step_ms: int = 1000) -> None:
        """Records events while time passes."""
        for _ in range(count):
            self.clock.now_ms += step_ms
            self.record(engine)

    def base(self) -> BaseDecision:
        """Returns a random base decision of known offers in random channels."""
        pairs = self.random.sample(
            [(offer, channel) for offer in OFFERS for channel in CHANNELS], self.random.randint(1, 9)
        )
        scale = self.random.choice((1.0, 1.0, 80.0))
        logits = [[self.random.gauss(0.0, scale), self.random.gauss(0.0, scale)] for _ in pairs]
        return BaseDecision([offer for offer, _ in pairs], logits, channels=[channel for _, channel in pairs])

    def context(self) -> dict[str, str]:
        """Returns a context in which ranking is possible."""
        return {"surface": self.random.choice(("home", "wealth"))}

    def rank(self, engine: Engine, **options: Any) -> Decision | None:
        """Ranks, and checks the decision; None = `rank` raised, which is a fault unless `options` are hostile."""
        self.teller.count("calls")
        arguments = {"context": self.context(), "attributes": {"balance": 50.0}, **options}
        try:
            decision = engine.rank(self.base(), **arguments)
        except BaseException as problem:
            self.untyped("rank", problem)
            return None
        self.check_decision(engine, decision)
        return decision

    # ---- promises ----

    def untyped(self, verb: str, problem: BaseException, also: tuple[type[BaseException], ...] = ()) -> bool:
        """Reports an exception that no document allows; returns whether it is one."""
        is_allowed = isinstance(problem, (EdgeError, *also)) or (
            isinstance(problem, RuntimeError) and "closed" in str(problem)
        )
        if isinstance(problem, EdgeError):
            self._check_travels(problem)
        if not is_allowed:
            self.teller.fault(f"untyped {type(problem).__name__} of {verb} in {place_of(problem)}", told(problem))
        return not is_allowed

    def _check_travels(self, problem: EdgeError) -> None:
        """Checks that an error can be sent to another process."""
        try:
            copy = pickle.loads(pickle.dumps(problem))
            is_same = type(copy) is type(problem) and str(copy) == str(problem)
        except Exception:
            is_same = False
        if not is_same:
            self.teller.fault(f"an error unpickles as itself: {type(problem).__name__}", f"{problem}")

    def check_decision(self, engine: Engine, decision: Decision) -> None:
        """Checks caps, budget, order and sums of a decision."""
        if not isinstance(decision, Decision):
            self.teller.fault("rank returns a Decision, always", repr(decision))
            return
        order = decision.order.tolist()
        if len(set(order)) != len(order) or len(decision.offers) != len(order):
            self.teller.fault("an offer is listed twice", f"{order}")
        found = self.above(decision)
        if found:
            self.teller.fault(f"above a cap: {found[0]}", f"{found} {decision.error.name} {self.ledger.events[-40:]}")
        self._check_probabilities(decision)
        if decision.error or self.random.random() > 0.1:
            return
        try:
            for explanation in engine.explain(decision):
                total = explanation.base + sum(part.value for part in explanation.contributions)
                if abs(total - explanation.score) > 1e-4 + 1e-5 * abs(total):
                    self.teller.fault("contributions sum to the score", f"{total} {explanation}")
        except Exception as problem:
            self.untyped("explain", problem)

    def _check_probabilities(self, decision: Decision) -> None:
        """Checks that probabilities are some: the first place is certain to be taken, and no place is taken twice."""
        if len(decision.candidates) and not decision.is_empty and abs(float(decision.propensity.sum()) - 1.0) > 1e-6:
            self.teller.fault("propensities of the first place sum to 1", f"{decision.propensity.tolist()}")
        inclusion = decision.inclusion
        if not bool(((inclusion > -1e-9) & (inclusion < 1 + 1e-6)).all()):
            self.teller.fault("inclusion probabilities are between 0 and 1", f"{inclusion.tolist()}")
        if bool((inclusion[decision.order] <= 0).any()):
            self.teller.fault("a listed offer had a chance of being listed", f"{inclusion.tolist()} {decision.order}")

    def above(self, decision: Decision) -> list[str]:
        """Returns the caps and the budget that a decision breaks, by the ledger's acknowledged events alone."""
        return above(decision, list(self.ledger.events))

    def check_log(self) -> None:
        """Checks that the log has what was acknowledged, nothing twice and nothing erased; only for a plain log."""
        found = Counter(event.decision for event in read_events(self.state / "events.log"))
        room = max(0, self.capacity - self.ledger.blanked - len(self.ledger.maybe))
        acknowledged = Counter(event.number for event in self.ledger.events[-room:] if room)
        possible = Counter(event.number for event in self.ledger.events) + Counter(
            event.number for event in self.ledger.maybe
        )
        numbered = Counter({number: times for number, times in found.items() if number >= FIRST_NUMBER})
        lost = acknowledged - numbered
        if lost and not self.ledger.is_unsure:
            self.teller.count("lost", lost.total())
            self.teller.fault("an acknowledged event is lost", f"{len(lost)} of {len(acknowledged)}: {list(lost)[:9]}")
        if extra := numbered - possible:
            self.teller.fault("an event is there that was erased, refused or never recorded", f"{list(extra)[:9]}")

    def check_opens(self, **options: Any) -> bool:
        """Opens the folder again, checks that it works, closes it and checks the log; returns whether it opened."""
        try:
            engine = self.open(**options)
        except BaseException as problem:
            self.teller.fault(f"the folder opens again: {type(problem).__name__} in {place_of(problem)}", told(problem))
            return False
        try:
            self.rank(engine)
            self.record(engine)
            self.rank(engine)
        finally:
            engine.close()
        if self.key is None:
            self.check_log()
        return True

    def check_like_reopened(self, engine: Engine) -> None:
        """Checks that memory is as a fresh opening makes it, by the scores before and after; closes the engine."""
        base = BaseDecision(OFFERS, [[place / 7, 0.5 - place / 5] for place in range(6)])
        context, scores, version = {"surface": "home"}, [], engine.status().policy_version
        scores.append(engine.rank(base, context=context).scores.tolist())
        try:
            engine.close()
        except EdgeError as problem:
            self.teller.fault("close works on a healthy disk", told(problem))
        with self.open() as again:
            scores.append(again.rank(base, context=context).scores.tolist())
            is_same_policy = again.status().policy_version == version  # an install may have been interrupted
        if is_same_policy and not np.allclose(scores[0], scores[1], rtol=1e-5, atol=1e-5):
            self.teller.fault("memory equals that of a fresh opening", f"{scores}")

    def check_same(self) -> None:
        """Checks that copies of the closed folder decide the same under the same seed."""
        import shutil

        answers = []
        base, context = self.base(), self.context()
        for name in ("a", "b"):
            copy = self.folder / name
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(self.state, copy)
            with self.open(copy) as engine:
                decision = engine.rank(base, context=context, attributes={"balance": 1.0})
                answers.append((decision.order.tolist(), decision.scores.tobytes(), decision.id, decision.error))
        if answers[0] != answers[1]:
            self.teller.fault("same state and seed, same decision", f"{answers}")

    def check_no_trace(self, erased: Iterable[Event]) -> None:
        """Checks that no file of the folder contains one of these events."""
        for path in self.state.iterdir():
            content = path.read_bytes() if path.is_file() else b""
            for event in erased:
                if trace_of(event.value, event.number) in content:
                    self.teller.fault(f"an erased event is in {path.name}", f"{event}")
                    return


def _utc(now_ms: int) -> int:
    return 0
