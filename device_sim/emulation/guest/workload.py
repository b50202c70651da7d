"""An app at work on one engine: events that happen, decisions that are asked for. What happens is said by a plan.

The host makes the plan (`workload_plan.py`), so that every machine plays the same. Nothing here draws a random number
or looks at a clock.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from device_sim.emulation.guest.probes import Empty
from edge_sdk import BaseDecision, Decision, Engine
from edge_sdk.testing.white_box import internals

Plan = dict[str, Any]  # `workload_plan.Plan` as JSON

_SEED = 7  # of exploration


class WorkloadError(Exception):
    """A decision came out that is no decision to count; the message says why and what to fix."""


class SteppedClock:
    """A clock that stands still until the workload moves it."""

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        return self.now_ms


class Workload:
    """One engine on its own state folder, its window full of events; `before` and `operate` of every operation."""

    def __init__(self, plan: Plan, bundle: Path, state: Path) -> None:
        """Open the engine and let the first events happen.

        Args:
            plan: what happens.
            bundle: the `.edge` file.
            state: the state folder; made here.
        """
        self._plan, self._bundle, self._state = plan, bundle, state
        self._events: list[tuple[str, str]] = [(kind, item) for kind, item in plan["events"]]
        self._candidates: tuple[str, ...] = tuple(plan["candidates"])
        self._logits = np.linspace(1.0, -1.0, len(self._candidates))
        self._context: dict[str, str] = plan["context"]
        self._limit: int = plan["limit"]
        self._at, self._step_ms = -1, plan["step_ms"]
        self.clock = SteppedClock(plan["start_ms"])
        self._empty = Empty()
        self.base = self._new_base()
        self.open()
        for _ in range(plan["first_events"]):
            self.go_on()
        self.ask()

    # ---- operations ----

    def record(self) -> None:
        """Write down the event that `advance` chose."""
        self.engine.record(self._kind, item=self._item, value=1.0)

    def rank(self) -> None:
        """A decision, and its offers read."""
        self.decision = self.engine.rank(self.base, context=self._context, limit=self._limit)
        _ = self.decision.offers

    def explain(self) -> None:
        """The newest decision taken apart, and the first offer's terms read."""
        _ = self.engine.explain(self.decision)[0].contributions

    def open(self) -> None:
        """The engine, opened on the folder as it is; the signature is looked at if the plan has a key."""
        key = bytes.fromhex(self._plan["public_key"])
        self.engine = Engine.open(
            self._state,
            bundle=self._bundle,
            trusted_keys=[key] if key else [],
            allow_unsigned=not key,
            clock=self.clock,
            utc_offset_s=lambda now_ms: 0,
            seed=_SEED,
        )

    def close(self) -> None:
        """Let the folder go; once more is harmless."""
        self.engine.close()

    def nothing(self) -> None:
        """What the loop without the operation calls in its place."""

    def pass_door(self) -> None:
        """Call a function that does nothing, and that may have been wrapped."""
        self._empty.call()

    # ---- what goes before them ----

    def advance(self) -> None:
        """The clock's next step, and the next event."""
        self._at = (self._at + 1) % len(self._events)
        self._kind, self._item = self._events[self._at]
        self.clock.now_ms += self._step_ms

    def go_on(self) -> None:
        """The next event has happened."""
        self.advance()
        self.record()

    def go_on_with_new_base(self) -> None:
        """The same, and the app has the cloud's ranking in a new object."""
        self.go_on()
        self.base = self._new_base()

    def go_on_forgetful(self) -> None:
        """The next event has happened, and the engine has forgotten all that it keeps of earlier decisions."""
        self.go_on()
        internals(self.engine).maker.forget()

    def go_on_and_rank(self) -> None:
        """The next event has happened, and a decision was made."""
        self.go_on()
        self.rank()

    # ---- between the loops ----

    def settle(self) -> None:
        """Let memory take in what waits in the log, and let the count to the next such moment start anew."""
        internals(self.engine).state.maintain(self.clock.now_ms)

    def ask(self) -> Decision:
        """A decision like those that are counted.

        Raises:
            WorkloadError: it is the bare base order, its window is not full, or no offer stands.
        """
        self.rank()
        decision, trace = self.decision, self.decision.trace
        if decision.error or trace is None:
            raise WorkloadError(f"a decision failed ({decision.error}: {decision.detail}); fix the bundle")
        held = internals(self.engine).session.bound_inputs(len(self._candidates)).event_count()
        window = internals(self.engine).bundle.layout.window
        if held < window:
            raise WorkloadError(f"the window holds {held} of {window} events; let more kinds enter it in the scene")
        if not decision.offers:
            raise WorkloadError("the bundle's rules let no offer stand in this workload; loosen them for counting")
        return decision

    def _new_base(self) -> BaseDecision:
        return BaseDecision(self._candidates, self._logits)


def read_plan(folder: Path) -> Plan:
    """The plan that the host wrote into the run's folder."""
    plan: Plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    return plan
