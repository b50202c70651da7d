"""The measured workload of a bundle, its events and its decision: the same for the same bundle.

`device-sim bench` and the project's own benchmarks measure with it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import chain, islice, repeat
from pathlib import Path
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from edge_sdk import BaseDecision, Engine
from edge_sdk.bundle.bundle import Bundle
from edge_sdk.bundle.container import open_container
from edge_sdk.bundle.reader import read_bundle
from edge_sdk.clock import Clock, system_clock
from edge_sdk.state.durability import Durability
from edge_sdk.vocabulary import item_id

WORKLOAD = "wealth-mix-1"  # to be changed with every change of the measured work
CANDIDATES = 50
STEP_MS = 10_000  # between two events of a history

# Shares of kinds in two weeks of 2,000 users of `device-sim population`; a kind of another scene gets `_OTHER_SHARE`.
_SHARES = {
    "impression": 0.672,
    "page_view": 0.120,
    "item_view": 0.110,
    "search": 0.029,
    "session_start": 0.028,
    "click": 0.025,
    "convert": 0.006,
    "price_change": 0.004,
    "dismiss": 0.003,
    "due_date": 0.003,
}
_OTHER_SHARE = 0.01
_EVENTS = 100_000  # of the workload; longer histories repeat them


class Columns(TypedDict):
    """Dictionary-encoded events: arguments of `Engine.record_many`."""

    kinds: npt.NDArray[np.uint8]
    items: npt.NDArray[np.uint16]
    values: npt.NDArray[np.float32]
    decisions: npt.NDArray[np.uint32]
    kind_names: list[str]
    item_names: list[str]


class DecisionFailedError(Exception):
    """A decision failed, so it cannot be timed; the message has its error and the fix."""


@dataclass(frozen=True, slots=True, eq=False)
class Workload:
    """One user's events in a fixed order, and a decision to be ranked."""

    path: Path
    public_key: bytes
    calls: list[tuple[str, str, float, int]]  # kind, item, value, decision, as an app gives them
    rows: list[tuple[int, int, float, int]]  # the same as ids
    base: BaseDecision
    rest_ms: int  # after this time every cap and cooldown is over

    @classmethod
    def of(cls, path: Path, public_key: bytes) -> Workload:
        """Returns the workload of a bundle: the same for the same bundle."""
        content = read_bundle(path, open_container(path, trusted_keys=[public_key], allow_unsigned=False))
        calls = _calls(content)
        names = content.layout.offers.names()
        candidates = [names[index % len(names)] for index in range(CANDIDATES)]
        return cls(
            path=path,
            public_key=public_key,
            calls=calls,
            rows=[(content.kind_ids[kind], item_id(item), value, decision) for kind, item, value, decision in calls],
            base=BaseDecision(candidates, np.linspace(1, -1, CANDIDATES)),
            rest_ms=(max((rule.within_s for rule in content.layout.caps), default=0) + 86_400) * 1000,
        )

    def open(
        self,
        state: Path,
        log_bytes: int,
        clock: Clock = system_clock,
        *,
        storage_key: bytes | None = None,
        durability: Durability = "process",
    ) -> Engine:
        """Opens an engine on this bundle."""
        return Engine.open(
            state,
            bundle=self.path,
            trusted_keys=[self.public_key],
            log_bytes=log_bytes,
            clock=clock,
            storage_key=storage_key,
            durability=durability,
        )

    def columns(self, events: int) -> Columns:
        """Returns `events` events as arguments of `record_many`, without times."""
        kinds, items, values, decisions = zip(*islice(chain.from_iterable(repeat(self.calls)), events), strict=True)
        kind_names, item_names = sorted(set(kinds)), sorted(set(items))
        kind_codes = {name: code for code, name in enumerate(kind_names)}
        item_codes = {name: code for code, name in enumerate(item_names)}
        return Columns(
            kinds=np.array([kind_codes[kind] for kind in kinds], np.uint8),
            items=np.array([item_codes[item] for item in items], np.uint16),
            values=np.array(values, np.float32),
            decisions=np.array(decisions, np.uint32),
            kind_names=kind_names,
            item_names=item_names,
        )

    def fill(self, engine: Engine, events: int, skip: int = 0) -> None:
        """Records the events number `skip` to `skip + events`."""
        endless = chain.from_iterable(repeat(self.calls))  # `cycle` would keep a copy
        for kind, item, value, decision in islice(endless, skip, skip + events):
            engine.record(kind, item=item, value=value, decision=decision)

    def new_base(self) -> BaseDecision:
        """Returns the same candidates and logits as a base decision that no engine has seen."""
        return BaseDecision(self.base.offers, self.base.logits)

    def rank(self, engine: Engine, base: BaseDecision | None = None) -> float:
        """Makes one decision; returns its microseconds. A failed decision would be fast, so it raises.

        Args:
            engine: An engine on this bundle.
            base: The base decision; None = the workload's own, always the same object.

        Raises:
            DecisionFailedError: The decision has an error code.
        """
        base = base or self.base
        start = time.perf_counter_ns()
        decision = engine.rank(base, limit=5)
        _ = decision.offers
        spent_us = (time.perf_counter_ns() - start) / 1000
        if decision.error:
            raise DecisionFailedError(f"{decision.error.name}: {decision.detail}; fix the bundle before timing it")
        return spent_us


class HistoryClock:
    """A clock that advances by one step at each call, so that a long history is recorded at once."""

    def __init__(self, now_ms: int, step_ms: int = STEP_MS) -> None:
        self.now_ms, self.step_ms = now_ms, step_ms

    def __call__(self) -> int:
        self.now_ms += self.step_ms
        return self.now_ms


def _calls(content: Bundle) -> list[tuple[str, str, float, int]]:
    """Returns events by the shares of kinds; impressions and feedback are about offers, 12 a decision."""
    random = np.random.default_rng(1)
    kinds, offers, items = list(content.kind_ids), content.layout.offers.names(), content.layout.items.names()
    shares = np.array([_SHARES.get(kind, _OTHER_SHARE) for kind in kinds])
    about_offers = {content.shown_kind, *content.feedback.values()}
    calls = []
    for number, index in enumerate(random.choice(len(kinds), _EVENTS, p=shares / shares.sum()).tolist()):
        kind_number = content.kind_ids[kinds[index]]
        names, decision = (offers, number // 12 + 1) if kind_number in about_offers else (items, 0)
        value = 0.0 if kind_number == content.shown_kind else float(random.lognormal(3, 1))
        calls.append((kinds[index], names[int(random.integers(len(names)))], value, decision))
    return calls
