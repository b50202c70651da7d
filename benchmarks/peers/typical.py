"""A mobile engineer's usual code around the exported model: numpy features, `session.run`, rules in Python."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from benchmarks.peers.naive_onnx import naive_session
from benchmarks.peers.ours import TickingClock
from benchmarks.peers.peer import Peer, Ready
from benchmarks.plain_features import DeviceTables, PlainFeatures
from benchmarks.work import Work
from edge_sdk import BaseDecision
from edge_sdk.model.onnx_runtime import onnxruntime
from edge_sdk.types import F32


class CountRule(NamedTuple):
    """At most `limit` events of a kind within a time; a cooldown has a limit of 1."""

    kind: str
    per: str  # "offer" or "category"
    limit: int
    within_ms: int


class TypicalRanker:
    """Keeps the user's events and ranks candidates."""

    def __init__(self, scene: Mapping[str, Any], tables: DeviceTables, session: onnxruntime.InferenceSession) -> None:
        """Takes scene.toml as a table, the device's tables, and the model's session."""
        self._tables, self._session = tables, session
        self._features = PlainFeatures(tables)
        policy = scene["policy"]
        self._eligibility: list[dict[str, Any]] = policy.get("eligibility", [])
        caps, cooldowns = policy.get("caps", []), policy.get("cooldowns", [])
        self._rules = [CountRule(rule["kind"], rule["per"], rule["limit"], rule["within_s"] * 1000) for rule in caps]
        self._rules += [CountRule(rule["kind"], rule["per"], 1, rule["rest_s"] * 1000) for rule in cooldowns]
        self._times: list[dict[str, deque[int]]] = [{} for _ in self._rules]  # of each rule, by offer or category
        self._weights: F32 = np.array(list(tables.weights.values()), dtype=np.float32)
        self._inputs = {graph_input.name for graph_input in session.get_inputs()}

    def record(self, time_ms: int, kind: str, item: str, value: float) -> None:
        """Ingests an event."""
        self._features.add(time_ms, kind, item, value)
        for rule, times in zip(self._rules, self._times, strict=True):
            if rule.kind == kind:
                target = self._target(rule, item)
                if target:
                    times.setdefault(target, deque(maxlen=rule.limit)).append(time_ms)

    def scores(self, base: BaseDecision, context: Mapping[str, str], now_ms: int) -> F32:
        """Returns the model's fused logits (C,), before any rule."""
        item, kind, age_s, value, counters, one_hot, rows = self._features.model_inputs(base.offers, context, now_ms)
        inputs = {
            "event_item": item,
            "event_kind": kind,
            "event_age_s": age_s,
            "event_value": value,
            "counters": counters,
            "context": one_hot,
            "candidate": rows,
            "base_logits": base.logits,
            "weights": self._weights,
        }
        fused: F32 = self._session.run(["fused"], {name: inputs[name] for name in self._inputs})[0]
        return fused

    def rank(
        self, base: BaseDecision, context: Mapping[str, str], now_ms: int, limit: int | None = None
    ) -> list[tuple[str, float]]:
        """Returns the eligible offers with their scores, best first."""
        scores = self.scores(base, context, now_ms).tolist()
        ranked = [
            (offer, score)
            for offer, score in zip(base.offers, scores, strict=True)
            if self._is_eligible(offer, context, now_ms)
        ]
        ranked.sort(key=lambda pair: pair[1], reverse=True)
        return ranked[:limit]

    def _is_eligible(self, offer: str, context: Mapping[str, str], now_ms: int) -> bool:
        tables = self._tables
        if now_ms < tables.valid_from_ms[offer]:
            return False
        until_ms = tables.valid_until_ms[offer]
        if until_ms and now_ms >= until_ms:
            return False
        category = tables.offer_category[offer]
        for eligible in self._eligibility:
            when = eligible["when"]
            if eligible["category"] == category and any(context[name] not in when[name] for name in when):
                return False
        for rule, times in zip(self._rules, self._times, strict=True):
            newest = times.get(offer if rule.per == "offer" else category)
            if newest is not None and len(newest) == rule.limit and newest[0] + rule.within_ms > now_ms:
                return False
        return True

    def _target(self, rule: CountRule, item: str) -> str:
        """Returns the offer or category that an event counts for under a rule; "" = none."""
        if rule.per == "offer":
            return item if item in self._tables.offer_row else ""
        return self._tables.offer_category.get(item) or self._tables.item_category.get(item) or ""


def filled(work: Work) -> TypicalRanker:
    """Returns a ranker that has ingested the task's events."""
    ranker = TypicalRanker(work.scene, work.tables, naive_session(work))
    for event in work.events:
        ranker.record(event.time_ms, event.kind, event.item, event.value)
    return ranker


@contextmanager
def _typical(work: Work) -> Iterator[Ready]:
    ranker, clock = filled(work), TickingClock(work.now_ms)
    scores = ranker.scores(work.base, work.context, work.now_ms)
    clock.step_ms = 1
    base, context = work.base, work.context
    yield Ready(lambda: ranker.rank(base, context, clock()), lambda: scores)


PEERS = (Peer("typical", "what a user would write, whole", _typical, ("onnxruntime", "numpy")),)
