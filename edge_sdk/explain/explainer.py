"""Takes decisions apart: the explanation graph, and the explanations of one decision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import overload

import numpy as np

from edge_sdk.bundle.bundle import Bundle
from edge_sdk.decision.decision import Decision
from edge_sdk.decision.evidence import Evidence
from edge_sdk.errors import BundleInvalidError, InvalidValueError
from edge_sdk.explain.contribution import Contribution, ContributionSource
from edge_sdk.explain.contributions import WindowTables, boost_contribution, counter_labels, decomposed, events_named
from edge_sdk.explain.explanation import Explanation
from edge_sdk.explain.rank_changes import PlacesByStep, places_by_step
from edge_sdk.explain.wording import Phrasebook
from edge_sdk.model.inputs import ModelInputs, graph_inputs
from edge_sdk.model.projection import Projection
from edge_sdk.model.session import make_session
from edge_sdk.policy.suppressions import SuppressionInputs, Suppressions
from edge_sdk.types import F32, F64, Mask


class Explanations(Sequence[Explanation]):
    """One explanation for each of a decision's offers, in their order, then for each dropped one, in base order.

    Everything is computed when it is made, and stays what it was whatever the engine records later; an `Explanation`
    is put together when it is asked for.
    """

    def __init__(
        self,
        decision: Decision,
        share: ModelShare,
        boosts: list[tuple[Contribution, Mask]],
        suppressions: Suppressions,
        words: Callable[[str], Phrasebook],
    ) -> None:
        """Use `Engine.explain`."""
        self._decision, self._share, self._boosts, self._suppressions = decision, share, boosts, suppressions
        self._words = words
        self._indices = decision.order.tolist()
        self._listed = len(self._indices)
        bits, base_order = decision.trace.result.dropped_bits, decision.base_order
        if bits is not None:
            self._indices += base_order[bits[base_order] != 0].tolist()

    def of(self, offer: str) -> Explanation:
        """The first of that offer.

        Raises:
            InvalidValueError: it is neither on the list nor among the dropped ones.
        """
        for at, index in enumerate(self._indices):
            if self._decision.candidates[index] == offer:
                return self[at]
        raise InvalidValueError("offer", offer)

    def __len__(self) -> int:
        """The decision's offers and its dropped ones."""
        return len(self._indices)

    @overload
    def __getitem__(self, at: int) -> Explanation: ...

    @overload
    def __getitem__(self, at: slice) -> tuple[Explanation, ...]: ...

    def __getitem__(self, at: int | slice) -> Explanation | tuple[Explanation, ...]:
        """Put one together, or several."""
        if isinstance(at, slice):
            return tuple(self[number] for number in range(*at.indices(len(self))))
        decision, index = self._decision, self._indices[at]
        stages = decision.trace.result.stages
        channels, variants = decision.base.channels, decision.base.variants
        place = range(len(self))[at] + 1
        return Explanation(
            offer=decision.candidates[index],
            channel=channels[index] if channels else "",
            variant=variants[index] if variants else "",
            place=place if place <= self._listed else 0,
            base_place=int(self._places.places[0, index]),
            base=float(stages.base[index]),
            score=float(stages.final[index]),
            contributions=tuple(sorted(self._contributions(index), key=lambda term: -abs(term.value))),
            rank_changes=self._places.rank_changes(index),
            suppressions=self._suppressions.of(index),
            time_ms=decision.time_ms,
            words=self._words,
        )

    def __eq__(self, other: object) -> bool:
        """The same explanations in the same order."""
        if not isinstance(other, Explanations):
            return NotImplemented
        return len(self) == len(other) and all(mine == its for mine, its in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # equality looks at content

    @cached_property
    def _places(self) -> PlacesByStep:
        return places_by_step(self._decision)

    def _contributions(self, index: int) -> list[Contribution]:
        contributions = self._share.contributions(index)
        contributions += [term for term, mask in self._boosts if mask[index]]
        stages = self._decision.trace.result.stages
        steps = (
            ("score_bound", stages.model, stages.adjusted),
            ("cost", stages.boosted, stages.priced),
            ("rank_bound", stages.priced, stages.bounded),
            ("diversity", stages.bounded, stages.final),
        )
        for step, before, after in steps:
            value = 0.0 if after is before else float(after[index]) - float(before[index])
            if value:
                contributions.append(Contribution(step, value, ContributionSource.POLICY))
        return contributions


@dataclass(frozen=True, eq=False)
class ModelShare:
    """The model's part of every candidate's score."""

    tables: WindowTables
    inputs: ModelInputs
    events: F64  # (N, C)
    counters: F64  # (C, 2·KC)

    @cached_property
    def _events(self) -> list[tuple[str, int, str, str, float]]:
        return events_named(self.tables, self.inputs)

    def contributions(self, index: int) -> list[Contribution]:
        """Of one candidate: each event, and the counted kinds that have something left."""
        values = self.events[:, index].tolist()
        contributions = [
            Contribution(label, values[place], ContributionSource.EVENT, place, kind, item, age_s)
            for label, place, kind, item, age_s in self._events
        ]
        tables, counters = self.tables, self.counters[index].tolist()
        category = tables.category_names[tables.offer_category[self.inputs.candidate[index]]]
        for at, (label, value) in enumerate(zip(counter_labels(tables), counters, strict=True)):
            if value:
                whose, kind = divmod(at, len(tables.counted))
                item = category if whose else ""
                contributions.append(
                    Contribution(label, value, ContributionSource.COUNTER, kind=tables.counted[kind], item=item)
                )
        return contributions


class Explainer:
    """The explanation graph of one bundle."""

    def __init__(self, bundle: Bundle) -> None:
        """Load the graph.

        Raises:
            BundleInvalidError: the bundle ships none, or one that onnxruntime cannot load.
        """
        if not len(bundle.explainer):
            raise BundleInvalidError(bundle.path, "explainer", "absent")
        self.tables = WindowTables.of(bundle)
        self._machine_fields = bundle.machine_fields
        self._words = cache(lambda language: Phrasebook.of(bundle.texts, language))
        try:
            self._session = make_session(bundle.explainer)
        except Exception as problem:  # onnxruntime's own exceptions share no root below Exception
            raise BundleInvalidError(bundle.path, "explainer", f"{type(problem).__name__}: {problem}") from problem
        self._projection = None if bundle.tables is None else Projection(bundle.tables)
        self._wanted = {graph_input.name for graph_input in self._session.get_inputs()}

    def contributions(self, inputs: ModelInputs) -> tuple[F32, F32]:
        """Fused contribution of each event (N, C) and of each counter (C, F)."""
        given = graph_inputs(self._projection, inputs)
        feed = {name: array for name, array in given.items() if name in self._wanted}
        events, counters = self._session.run(["event_contribution", "counter_contribution"], feed)
        return events, counters

    def decomposed(self, inputs: ModelInputs) -> tuple[F64, F64]:
        """What each event brings with its share of the counters (N, C); what the counters bring beyond (C, 2·KC)."""
        return decomposed(self.tables, inputs, *self.contributions(inputs))

    def explain(self, decision: Decision, evidence: Evidence) -> Explanations:
        """Explains a decision from its evidence alone: nothing that happened since plays a part.

        Args:
            decision: one with evidence.
            evidence: of the decision.
        """
        inputs = evidence.inputs
        read = model_inputs(evidence)
        asked = SuppressionInputs(
            policy=inputs.policy,
            candidates=inputs.candidates.candidates,
            context=inputs.evaluated.context,
            given=evidence.given,
            machine_fields=self._machine_fields,
            states=inputs.memory.machines.frozen(
                evidence.user_states, inputs.candidates.rows, inputs.evaluated.target_states
            ),
            free_at_ms=evidence.free_at_ms,
            moment=inputs.moment,
            costs=decision.trace.costs,
        )
        return Explanations(
            decision,
            ModelShare(self.tables, read, *self.decomposed(read)),
            [(boost_contribution(rule), mask) for rule, mask in inputs.evaluated.boosts],
            Suppressions.found(asked, decision.trace.result.dropped_bits),
            self._words,
        )


def model_inputs(evidence: Evidence) -> ModelInputs:
    """Returns what the model read for a decision, as rows."""
    candidates = evidence.inputs.candidates
    item, kind, age_s, value = evidence.window.read(evidence.inputs.moment.now_ms)
    return ModelInputs(
        event_item=item,
        event_kind=kind,
        event_age_s=age_s,
        event_value=value,
        counters=evidence.counters,
        context=evidence.one_hot,
        candidate=candidates.rows.astype(np.int32),
        base_logits=candidates.logits,
        weights=evidence.weights,
    )
