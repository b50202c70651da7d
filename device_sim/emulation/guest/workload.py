"""The counted workload: a plan's events and requests, played on one engine.

The host makes the plan (`workload_plan.py`), so that every machine plays the same one. No function here draws a random
number or reads a clock.
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
    """A decision is not worth counting; the message says why and what to fix."""


class SteppedClock:
    """A clock that shows the same time until the workload changes it."""

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        return self.now_ms


class Workload:
    """One engine on its own state folder with a full window; its methods are the operations and their preparations."""

    def __init__(self, plan: Plan, bundle: Path, state: Path) -> None:
        """Opens the engine and records the plan's first events.

        Args:
            plan: The events and the request.
            bundle: The `.edge` file.
            state: The state folder; made here.
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
        """Records the event that `advance` chose."""
        self.engine.record(self._kind, item=self._item, value=1.0)

    def rank(self) -> None:
        """Makes a decision and reads its offers."""
        self.decision = self.engine.rank(self.base, context=self._context, limit=self._limit)
        _ = self.decision.offers

    def explain(self) -> None:
        """Explains the newest decision and reads the first offer's contributions."""
        _ = self.engine.explain(self.decision)[0].contributions

    def open(self) -> None:
        """Opens the engine on the folder as it is; the signature is checked if the plan has a key."""
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
        """Closes the engine; a second call does nothing."""
        self.engine.close()

    def nothing(self) -> None:
        """Does nothing: the idle loop calls this method instead of the operation."""

    def call_empty(self) -> None:
        """Calls a function that does nothing and may be wrapped by a probe."""
        self._empty.call()

    # ---- preparations ----

    def advance(self) -> None:
        """Advances the clock by one step and chooses the next event."""
        self._at = (self._at + 1) % len(self._events)
        self._kind, self._item = self._events[self._at]
        self.clock.now_ms += self._step_ms

    def go_on(self) -> None:
        """Records the next event."""
        self.advance()
        self.record()

    def go_on_with_new_base(self) -> None:
        """Records the next event and makes a new base decision object of the same ranking."""
        self.go_on()
        self.base = self._new_base()

    def go_on_forgetful(self) -> None:
        """Records the next event and empties the engine's caches of earlier decisions."""
        self.go_on()
        internals(self.engine).maker.forget()

    def go_on_and_rank(self) -> None:
        """Records the next event and makes a decision."""
        self.go_on()
        self.rank()

    # ---- between the loops ----

    def settle(self) -> None:
        """Lets memory ingest the pending events, so that the next batch starts from zero."""
        internals(self.engine).state.maintain(self.clock.now_ms)

    def ask(self) -> Decision:
        """Makes a decision like those that are counted, and checks it.

        Raises:
            WorkloadError: The decision is the base order, its window is not full, or no offer is eligible.
        """
        self.rank()
        decision = self.decision
        if decision.error:
            raise WorkloadError(f"a decision failed ({decision.error}: {decision.detail}); fix the bundle")
        parts = internals(self.engine)
        events, window = parts.session.bound_inputs(len(self._candidates)).event_count(), parts.bundle.layout.window
        if events < window:
            raise WorkloadError(f"the window holds {events} of {window} events; let more kinds enter it in the scene")
        if not decision.offers:
            raise WorkloadError("the bundle's rules leave no offer eligible in this workload; loosen them for counting")
        return decision

    def _new_base(self) -> BaseDecision:
        return BaseDecision(self._candidates, self._logits)


def read_plan(folder: Path) -> Plan:
    """Returns the plan that the host wrote into the run's folder."""
    plan: Plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    return plan
