"""Faithfulness of explanations: compares an event's contribution with the effect of its true deletion.

True deletion removes the event from the user's history, replays the rest through the device's memory (an older event
enters the window, and events derived from it disappear or change), and scores again with the shipped graph. Derived
events have contributions too, but they cannot be deleted alone, so they are not compared.
"""

from __future__ import annotations

import numpy as np

from cloud_export.data.log import Log
from cloud_export.evaluate.metrics import spearman
from cloud_export.evaluate.replay import Candidates
from cloud_export.features.examples import F32, I64, Examples, PointsInTime
from cloud_export.features.layout import DeviceLayout
from cloud_export.json_types import JsonValue
from edge_sdk.bundle.bundle import Bundle
from edge_sdk.bundle.selftest import model_shape
from edge_sdk.explain.contributions import counter_labels, events_named
from edge_sdk.explain.explainer import Explainer
from edge_sdk.memory.derived_events import Deriver
from edge_sdk.memory.memory import Memory, replay
from edge_sdk.model.inputs import ModelInputs
from edge_sdk.model.session import ModelSession
from edge_sdk.policy.scoring import fused
from edge_sdk.types import F64, by_score, places

DECISIONS = 200
EVENTS_EACH = 5
CANDIDATES_EACH = 8
_TERMS_SHOWN = 6


class Scorer:
    """Scores test decisions with the shipped graphs over rebuilt memories, from which an event can be left out."""

    def __init__(
        self,
        log: Log,
        layout: DeviceLayout,
        bundle: Bundle,
        *,
        test: I64,
        points: PointsInTime,
        examples: Examples,
        candidates: Candidates,
    ) -> None:
        self.log, self.layout, self.bundle = log, layout, bundle
        self.test, self.points, self.examples, self.candidates = test, points, examples, candidates
        self.explainer = Explainer(bundle)
        self._session = ModelSession(bundle.model, model_shape(bundle), bundle.tables, bundle.stand_ins)

    def rows(self, index: int) -> I64:
        """Returns the event rows of the log before test decision `index`, oldest first."""
        begin = int(self.log.events.offsets[self.points.user[index]])
        return np.arange(begin, begin + int(self.points.position[index]))

    def inputs(self, index: int, rows: I64) -> ModelInputs:
        """Returns the graph's inputs of test decision `index` for a history of these events only."""
        log, layout = self.log, self.layout
        columns = (
            log.events.time_ms[rows],
            layout.kind_ids[log.events.kind[rows]],
            layout.item_ids[log.events.item[rows]],
            log.events.value[rows],
        )
        memory: Memory = replay(layout.memory, *(column.tolist() for column in columns))
        part = slice(int(self.candidates.rankings.offsets[index]), int(self.candidates.rankings.offsets[index + 1]))
        inputs = ModelInputs.empty(self._session.shape, part.stop - part.start)
        now_ms = int(self.points.now_ms[index])
        inputs.candidate[:] = self.examples.candidate[index, : part.stop - part.start]
        memory.fill_window(now_ms, inputs.event_item, inputs.event_kind, inputs.event_age_s, inputs.event_value)
        memory.counters.fill(now_ms, layout.memory.counter_slots(inputs.candidate), inputs.counters)
        inputs.context[:] = self.examples.context[index]
        inputs.base_logits[:] = self.candidates.base_logits[part]
        inputs.weights[:] = layout.policy.weights
        return inputs

    def scores(self, inputs: ModelInputs) -> F32:
        """Returns the fused logits (C,)."""
        call = self._session.bound_inputs(len(inputs.candidate))
        call.set_inputs(inputs)
        call.run()
        return fused(call.logits, inputs.weights)

    def contributions(self, inputs: ModelInputs) -> tuple[F64, F64]:
        """Returns the contribution of each event with its share of the counters (N, C), and of the rest (C, 2·KC)."""
        return self.explainer.decomposed(inputs)


def explanation_faithfulness(scorer: Scorer, *, seed: int) -> float:
    """Returns Spearman's correlation of contributions and deletion effects over decisions, events and candidates.

    Returns:
        NaN when no test decision has an event.
    """
    generator = np.random.default_rng(seed)
    busy = np.flatnonzero((scorer.examples.event_kind > 0).sum(axis=1) > 0)
    claimed: list[F64] = []
    true: list[F64] = []
    for index in generator.choice(busy, min(DECISIONS, len(busy)), replace=False).tolist():
        rows = scorer.rows(index)
        inputs = scorer.inputs(index, rows)
        whole = scorer.scores(inputs)
        contribution, _ = scorer.contributions(inputs)
        row_at = window_rows(scorer.log, scorer.layout, rows)
        recorded = np.flatnonzero((row_at >= 0) & (inputs.event_kind[: len(row_at)] > 0))  # 0: expired
        chosen = generator.choice(len(recorded), min(EVENTS_EACH, len(recorded)), replace=False)
        some = generator.choice(len(whole), min(CANDIDATES_EACH, len(whole)), replace=False)
        for place in recorded[chosen].tolist():
            without = scorer.scores(scorer.inputs(index, rows[rows != row_at[place]]))
            claimed.append(contribution[place, some])
            true.append((whole - without)[some].astype(np.float64))
    return spearman(np.concatenate(claimed), np.concatenate(true)) if claimed else float("nan")


def explanation_examples(scorer: Scorer, *, count: int, seed: int) -> list[JsonValue]:
    """Returns worked examples: the test decisions whose first offer the device raised most, with contributions."""
    generator = np.random.default_rng(seed)
    drawn = generator.permutation(len(scorer.test))[:DECISIONS]
    found: list[tuple[int, dict[str, JsonValue]]] = []
    for index in drawn.tolist():
        inputs = scorer.inputs(index, scorer.rows(index))
        scores = scorer.scores(inputs)
        base = fused(inputs.base_logits, inputs.weights)
        first = int(by_score(scores)[0])
        base_place = int(places(by_score(base))[first]) + 1
        events, rest = scorer.contributions(inputs)
        tables = scorer.explainer.tables
        contributions = [(label, float(events[place, first])) for label, place, *_ in events_named(tables, inputs)]
        contributions += list(zip(counter_labels(tables), rest[first].tolist(), strict=True))
        found.append(
            (
                base_place,
                {
                    "offer": scorer.candidates.names[index][first],
                    "base_logit": float(base[first]),
                    "score": float(scores[first]),
                    "base_place": base_place,
                    "place": 1,
                    "contributions": _largest(contributions),
                },
            )
        )
    found.sort(key=lambda pair: -pair[0])
    return [example for _, example in found[:count]]


def window_rows(log: Log, layout: DeviceLayout, rows: I64) -> I64:
    """Returns the log row of each event in the window, newest first, (at most N,); -1 = a derived event.

    Args:
        log: the log.
        layout: the device's tables.
        rows: (E,) event rows of one user, oldest first.
    """
    memory = layout.memory
    _, kinds, _, _ = Deriver(memory.derived).feed_many(
        log.events.time_ms[rows],
        layout.kind_ids[log.events.kind[rows]],
        layout.item_ids[log.events.item[rows]],
        log.events.value[rows],
    )
    is_derived = np.isin(kinds, memory.derived.kinds)
    origin = np.full(len(kinds), -1)
    origin[~is_derived] = rows
    visible = np.array([memory.kinds[kind].in_window for kind in kinds.tolist()], np.bool_)
    return origin[visible][::-1][: memory.window]


def _largest(contributions: list[tuple[str, float]]) -> list[JsonValue]:
    """Returns the largest contributions and the sum of the others, so that the report's numbers add up."""
    contributions.sort(key=lambda pair: -abs(pair[1]))
    shown: list[JsonValue] = [{"label": label, "value": value} for label, value in contributions[:_TERMS_SHOWN]]
    if len(contributions) > _TERMS_SHOWN:
        others = contributions[_TERMS_SHOWN:]
        shown.append({"label": f"{len(others)} smaller contributions", "value": sum(value for _, value in others)})
    return shown
