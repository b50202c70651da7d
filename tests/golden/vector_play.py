"""Plays a scenario of golden decisions on an engine, and returns the results in the form of the files.

It needs only the runtime, so it also runs on the emulated arm64 machine (`device-sim count`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edge_sdk import BaseDecision, Decision, Engine
from edge_sdk._sha256 import sha256
from edge_sdk.clock import NEVER_MS
from edge_sdk.log.record import items_of
from edge_sdk.memory.targets import Scope
from edge_sdk.policy.exploration import uniforms
from edge_sdk.policy.rules import Explore
from edge_sdk.testing.white_box import internals

Scenario = dict[str, Any]  # one file, parsed
STAGES: Final = ("base", "model", "adjusted", "boosted", "priced", "bounded", "final")
BUNDLE: Final = "decisions.edge"
TRUSTED_KEY: Final = bytes.fromhex("549156e3beb14c91520be311051fbb31d8f7f914efc799ed0e4c516385556d00")
OPENED_MS: Final = 1_768_478_400_000  # 2026-01-15 12:00:00 UTC, the first time of the clock
LOG_BYTES: Final = 4096  # 126 events, so that a port sees the log wrap without thousands of events
_HEADER_BYTES: Final = 64


def base_of(given: dict[str, Any]) -> BaseDecision:
    """Returns a request's base decision."""
    return BaseDecision(
        given["offers"],
        given["logits"],
        channels=given.get("channels"),
        variants=given.get("variants"),
        costs=given.get("costs"),
    )


class _Clock:
    """A clock whose time is set."""

    def __init__(self) -> None:
        self.now_ms = OPENED_MS

    def __call__(self) -> int:
        return self.now_ms


class Player:
    """One scenario on one device."""

    def __init__(self, scenario: Scenario, files: Path, state: Path) -> None:
        """Opens an engine on an empty state folder.

        Args:
            scenario: the events and requests; its expectations are not read.
            files: the folder of the bundle and the policies.
            state: the state folder.
        """
        self._scenario, self._files, self._state = scenario, files, state
        self._clock = _Clock()
        self._engine = self._open()

    def play(self) -> Iterator[tuple[Decision, dict[str, Any], list[Any]]]:
        """Yields for each request the decision, its record for the file, and the result of each act after it."""
        scenario = self._scenario
        if scenario["policy"]:
            self._act({"install": scenario["policy"]}, None)
        self._record(scenario["events"])
        for request in scenario["requests"]:
            self._clock.now_ms = request["now_ms"]
            decision = self._engine.rank(
                base_of(request["base"]),
                context=request.get("context"),
                attributes=request.get("attributes"),
                limit=request.get("limit"),
                weights=request.get("weights"),
            )
            stated = self._stated(decision)
            self.minimum_score = internals(self._engine).maker.policy.rules.minimum_score
            yield decision, stated, [self._act(act, decision) for act in request.get("then", ())]

    def close(self) -> dict[str, int | str]:
        """Closes the engine; returns the capacity and the digest of the log's file."""
        capacity = self._engine.status().capacity
        self._engine.close()
        slots = (self._state / "events.log").read_bytes()[_HEADER_BYTES:]
        # No crc32: each record ends with its own, so that of many depends on their number alone.
        return {"capacity": capacity, "slots_sha256": sha256(slots).hexdigest()}

    # ---- acts ----

    def _open(self) -> Engine:
        return Engine.open(
            self._state,
            bundle=self._files / BUNDLE,
            trusted_keys=[TRUSTED_KEY],
            log_bytes=LOG_BYTES,
            clock=self._clock,
            utc_offset_s=lambda now_ms: int(self._scenario["utc_offset_s"]),
            seed=self._scenario["seed"],
        )

    def _record(self, events: list[Any]) -> None:
        for time_ms, kind, item, value in events:
            self._clock.now_ms = time_ms
            self._engine.record(kind, item=item, value=value)

    def _act(self, act: dict[str, Any], decision: Decision | None) -> Any:
        """Does one act and returns its result."""
        engine = self._engine
        if "record" in act:
            return self._record(act["record"])
        self._clock.now_ms = act.get("at_ms", self._clock.now_ms)
        if "erase" in act:
            return engine.erase(**act["erase"])
        if "install" in act:
            return engine.install_policy((self._files / act["install"]).read_bytes())
        if "reopen" in act:
            engine.close()
            self._engine = self._open()
            return None
        assert decision is not None
        if "is_still_valid" in act:
            return engine.is_still_valid(decision)
        before = internals(engine).state.log.last_seq
        if "shown" in act:
            engine.shown(decision, count=act["shown"])
        else:
            offer, outcome, value = act["feedback"]
            engine.feedback(decision, offer, outcome, value=value)
        return self._recorded(before)

    def _recorded(self, after: int) -> list[list[Any]]:
        """Returns the events after a sequence number: [seq, time_ms, kind id, item id, value, decision]."""
        records = internals(self._engine).state.log.read()
        new = records[records["seq"] > after]
        times = new["time_s"].astype(np.int64) * 1000 + new["time_ms"]
        columns = [new["seq"], times, new["kind"], items_of(new), new["value"], new["decision"]]
        return [list(row) for row in zip(*map(numbers, columns), strict=True)]

    # ---- results ----

    def _stated(self, decision: Decision) -> dict[str, Any]:
        trace, result, evidence = decision.trace, decision.trace.result, decision.trace.evidence
        stated: dict[str, Any] = {
            "id": decision.id,
            "policy_version": decision.policy_version,
            "error": int(decision.error),
            **self._memory(decision),
            "weights": None if evidence is None else numbers(evidence.weights),
            "weight_rule": None if evidence is None else trace.weight_rule,
            "model_weight": None if evidence is None else trace.model_weight,
            "cost_weight": None if evidence is None else evidence.inputs.spend.cost_weight,
            "costs": numbers(trace.costs),
            "scores": {stage: numbers(getattr(result.stages, stage)) for stage in STAGES},
            "dropped_bits": None if result.dropped_bits is None else result.dropped_bits.tolist(),
            "is_empty": decision.is_empty,
            "retry_at_ms": decision.retry_at_ms,
            **self._draw(decision),
            "eligible_order": result.eligible_order.tolist(),
            "order": decision.order.tolist(),
            "reasons": [int(offer.reasons) for offer in decision.offers],
            "dropped_reasons": [int(offer.reasons) for offer in decision.dropped],
            "propensity": decision.propensity.tolist(),
            "inclusion": decision.inclusion.tolist(),
            "explanation": None if evidence is None or not len(decision.order) else self._contributions(decision),
        }
        return stated

    def _memory(self, decision: Decision) -> dict[str, Any]:
        """Returns the local state of a decision: the graph's inputs, machines, caps, spending."""
        engine, now_ms = self._engine, decision.time_ms
        memory, candidates = internals(engine).state.memory, internals(engine).maker.cached(decision.base).candidates
        rows, count = candidates.rows, len(candidates.rows)
        window = memory.layout.window
        items, kinds = np.zeros((2, window), np.int32)
        ages, values = np.zeros((2, window), np.float32)
        memory.fill_window(now_ms, items, kinds, ages, values)
        counters = np.zeros((count, memory.layout.counter_features), np.float32)
        memory.counters.fill(now_ms, candidates.slots, counters)
        states = {}
        for index, rule in enumerate(memory.layout.machines):
            of_each = memory.machines.states(index, rows, now_ms).tolist()
            is_user = rule.per is Scope.USER
            states[rule.name] = memory.machines.state(index, now_ms) if is_user else of_each
        caps = internals(engine).maker.policy.caps
        until_ms = caps.capped_until(memory.caps.free_times(candidates.cap_cells), now_ms)
        until = np.where(until_ms == NEVER_MS, -1, until_ms).tolist()
        capped = {cap.name: row for cap, row in zip(caps.rules, until, strict=True)}
        return {
            "window": [numbers(column) for column in (items, kinds, ages, values)],
            "counters": [numbers(row) for row in counters],
            "states": states,
            "capped_until_ms": capped,
            "spent": memory.spent(now_ms),
        }

    def _draw(self, decision: Decision) -> dict[str, Any]:
        """Returns the 24-bit numbers of the draw, and the keys of softmax; None = no draw, or another mode."""
        exploration = decision.trace.result.draw.exploration
        if exploration.mode is Explore.OFF:
            return {"noise": None, "keys": None}
        noise = uniforms(self._scenario["seed"], decision.id, len(decision.candidates) + 2)
        keys = None
        if exploration.mode is Explore.SOFTMAX:
            keys = (decision.scores.astype(np.float64) / exploration.temperature - np.log(-np.log(noise[2:]))).tolist()
        return {"noise": (noise * 2**24 - 0.5).astype(np.int64).tolist(), "keys": keys}

    def _contributions(self, decision: Decision) -> list[list[Any]]:
        """Returns the contributions of the first offer, sorted: [source, index in the window, kind, item, value]."""
        first = self._engine.explain(decision)[0]
        contributions = [
            [str(found.source), found.event, found.kind, found.item, float(str(np.float32(found.value)))]
            for found in first.contributions
        ]
        return sorted(contributions)


def numbers(array: npt.NDArray[Any]) -> list[Any]:
    """Returns numbers for JSON: each float32 as its shortest exact decimal; NaN as None."""
    if array.dtype != np.float32:
        return array.tolist()  # type: ignore[no-any-return]
    return [None if np.isnan(value) else float(str(value)) for value in array]
