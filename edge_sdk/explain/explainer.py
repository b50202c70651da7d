"""The explainer: runs the explanation graph and returns the explanations of one decision."""

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
    """One explanation for each of a decision's offers, in their order, then for each dropped offer, in base order.

    A decision explains itself from its evidence: later events, a wrapped log and another policy do not change its
    explanations. Contributions are computed once; each `Explanation` is built at its access.
    """

    def __init__(
        self,
        decision: Decision,
        model: ModelContributions,
        boosts: list[tuple[Contribution, Mask]],
        suppressions: Suppressions,
        phrasebook: Callable[[str], Phrasebook],
    ) -> None:
        """Takes the parts of the explanations; `Engine.explain` makes them.

        Args:
            decision: the explained decision.
            model: the model's contributions to each candidate's score.
            boosts: the contribution of each boost in force, and the candidates that it applies to, (C,).
            suppressions: of the dropped candidates.
            phrasebook: the phrasebook of a language.
        """
        self._decision, self._model, self._boosts, self._suppressions = decision, model, boosts, suppressions
        self._phrasebook = phrasebook
        self._indices = decision.order.tolist()
        self._listed = len(self._indices)
        bits, base_order = decision.trace.result.dropped_bits, decision.base_order
        if bits is not None:
            self._indices += base_order[bits[base_order] != 0].tolist()

    def of(self, offer: str) -> Explanation:
        """Returns the first explanation of an offer.

        Raises:
            InvalidValueError: the offer is neither listed nor dropped.
        """
        for at, index in enumerate(self._indices):
            if self._decision.candidates[index] == offer:
                return self[at]
        raise InvalidValueError("offer", offer)

    def __len__(self) -> int:
        """Returns the number of listed and dropped offers."""
        return len(self._indices)

    @overload
    def __getitem__(self, at: int) -> Explanation: ...

    @overload
    def __getitem__(self, at: slice) -> tuple[Explanation, ...]: ...

    def __getitem__(self, at: int | slice) -> Explanation | tuple[Explanation, ...]:
        """Returns one explanation, or a tuple of them for a slice."""
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
            contributions=tuple(sorted(self._contributions(index), key=lambda contribution: -abs(contribution.value))),
            rank_changes=self._places.rank_changes(index),
            suppressions=self._suppressions.of(index),
            time_ms=decision.time_ms,
            phrasebook=self._phrasebook,
        )

    def __eq__(self, other: object) -> bool:
        """Returns whether both have equal explanations in the same order."""
        if not isinstance(other, Explanations):
            return NotImplemented
        return len(self) == len(other) and all(mine == its for mine, its in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # equality compares content

    @cached_property
    def _places(self) -> PlacesByStep:
        return places_by_step(self._decision)

    def _contributions(self, index: int) -> list[Contribution]:
        contributions = self._model.contributions(index)
        contributions += [contribution for contribution, mask in self._boosts if mask[index]]
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
class ModelContributions:
    """The model's contributions to every candidate's score."""

    tables: WindowTables
    inputs: ModelInputs
    events: F64  # (N, C)
    counters: F64  # (C, 2·KC)

    @cached_property
    def _events(self) -> list[tuple[str, int, str, str, float]]:
        return events_named(self.tables, self.inputs)

    def contributions(self, index: int) -> list[Contribution]:
        """Returns the contributions to one candidate: each event, and each counted kind with a rest that is not 0."""
        values = self.events[:, index].tolist()
        contributions = [
            Contribution(label, values[event], ContributionSource.EVENT, event, kind, item, age_s)
            for label, event, kind, item, age_s in self._events
        ]
        tables, counters = self.tables, self.counters[index].tolist()
        category = tables.category_names[tables.candidate_category[self.inputs.candidate[index]]]
        for at, (label, value) in enumerate(zip(counter_labels(tables), counters, strict=True)):
            if value:
                is_category, kind = divmod(at, len(tables.counted))
                item = category if is_category else ""
                contributions.append(
                    Contribution(label, value, ContributionSource.COUNTER, kind=tables.counted[kind], item=item)
                )
        return contributions


class Explainer:
    """The explanation graph of one bundle."""

    def __init__(self, bundle: Bundle) -> None:
        """Loads the explanation graph.

        Raises:
            BundleInvalidError: the bundle has no explanation graph, or onnxruntime cannot load it.
        """
        if not len(bundle.explainer):
            raise BundleInvalidError(bundle.path, "explainer", "absent")
        self.tables = WindowTables.of(bundle)
        self._machine_fields, self._offers = bundle.machine_fields, len(bundle.layout.offers)
        self._phrasebook = cache(lambda language: Phrasebook.of(bundle.texts, language))
        try:
            self._session = make_session(bundle.explainer)
        except Exception as problem:  # onnxruntime's exceptions have no common base class below Exception
            raise BundleInvalidError(bundle.path, "explainer", f"{type(problem).__name__}: {problem}") from problem
        self._projection = None if bundle.tables is None else Projection(bundle.tables, bundle.stand_ins)
        self._wanted = {graph_input.name for graph_input in self._session.get_inputs()}

    def contributions(self, inputs: ModelInputs) -> tuple[F32, F32]:
        """Returns the fused contribution of each event (N, C) and of each counter (C, F)."""
        if self._projection is None:  # graphs up to format 2 have no row for a category
            is_offer = inputs.candidate <= self._offers
            inputs = inputs._replace(candidate=np.where(is_offer, inputs.candidate, 0).astype(np.int32))
        given = graph_inputs(self._projection, inputs)
        feed = {name: array for name, array in given.items() if name in self._wanted}
        events, counters = self._session.run(["event_contribution", "counter_contribution"], feed)
        return events, counters

    def decomposed(self, inputs: ModelInputs) -> tuple[F64, F64]:
        """Returns the contribution of each event with its share of the counters (N, C), and the rest (C, 2·KC)."""
        return decomposed(self.tables, inputs, *self.contributions(inputs))

    def explain(self, decision: Decision, evidence: Evidence) -> Explanations:
        """Returns the explanations of a decision, from its evidence alone.

        Args:
            decision: a decision with evidence.
            evidence: the decision's evidence.
        """
        inputs = evidence.inputs
        inputs_of_model = model_inputs(evidence)
        suppression_inputs = SuppressionInputs(
            policy=inputs.policy,
            candidates=inputs.candidates.candidates,
            context=inputs.evaluated.context,
            given=evidence.given,
            machine_fields=self._machine_fields,
            states=inputs.memory.machines.frozen(
                evidence.user_states, inputs.candidates.rows, inputs.evaluated.target_states
            ),
            free_at_ms=evidence.free_at_ms,
            request=inputs.request,
            costs=decision.trace.costs,
        )
        return Explanations(
            decision,
            ModelContributions(self.tables, inputs_of_model, *self.decomposed(inputs_of_model)),
            [(boost_contribution(rule), mask) for rule, mask in inputs.evaluated.boosts],
            Suppressions.found(suppression_inputs, decision.trace.result.dropped_bits),
            self._phrasebook,
        )


def model_inputs(evidence: Evidence) -> ModelInputs:
    """Returns the model's inputs for a decision, as rows."""
    candidates = evidence.inputs.candidates
    item, kind, age_s, value = evidence.window.read(evidence.inputs.request.now_ms)
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
