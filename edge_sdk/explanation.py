"""Why an offer has its score: base logit + what each event added + the rest of the counters, exactly.

The graph for this is a second one, loaded when first asked: onnxruntime computes a whole graph whatever outputs are
wanted, and `rank` must not pay for it.
"""

from __future__ import annotations

import numpy as np

from edge_sdk.bundle import Bundle
from edge_sdk.decay import TICKS_A_HALF_LIFE
from edge_sdk.errors import BundleInvalidError
from edge_sdk.ranker import ModelInputs, make_session
from edge_sdk.types import F32, F64, Decision, Explanation, Term


class Explainer:
    """The explanation graph of one bundle."""

    def __init__(self, bundle: Bundle) -> None:
        """Load the graph.

        Raises:
            BundleInvalidError: the bundle ships none, or one that onnxruntime cannot load.
        """
        if not len(bundle.explainer):
            raise BundleInvalidError(bundle.path, "explainer", "absent")
        self._bundle = bundle
        try:
            self._session = make_session(bundle.explainer)
        except Exception as problem:  # onnxruntime's own exceptions share no root below Exception
            raise BundleInvalidError(bundle.path, "explainer", f"{type(problem).__name__}: {problem}") from problem
        self._wanted = {graph_input.name for graph_input in self._session.get_inputs()}

    def contributions(self, inputs: ModelInputs) -> tuple[F32, F32]:
        """Fused contribution of each event (N, C) and of each counter (C, F)."""
        feed = {name: array for name, array in inputs.named().items() if name in self._wanted}
        events, counters = self._session.run(["event_contribution", "counter_contribution"], feed)
        return events, counters

    def explain(self, decision: Decision, inputs: ModelInputs) -> tuple[Explanation, ...]:
        """Take the scores of a decision's offers apart; `inputs` are those that it was made from."""
        events, counters = self.contributions(inputs)
        shares = counter_shares(self._bundle, inputs, counters)  # (N, C, F)
        of_events = events.astype(np.float64) + shares.sum(axis=2)
        rest = counters.astype(np.float64) - shares.sum(axis=0)
        event_labels, counter_labels = term_labels(self._bundle, inputs)
        base = inputs.base_logits.astype(np.float64) @ inputs.weights
        explanations = []
        for index in decision.order.tolist():
            terms = [Term(label, float(of_events[place, index]), place) for place, label in event_labels.items()]
            by_kind = rest[index].reshape(len(counter_labels), -1).sum(axis=1).tolist()
            terms += [Term(label, value, -1) for label, value in zip(counter_labels, by_kind, strict=True) if value]
            terms.sort(key=lambda term: -abs(term.value))
            name, score = decision.candidates[index], float(decision.scores[index])
            explanations.append(Explanation(name, score, float(base[index]), tuple(terms)))
        return tuple(explanations)


def term_labels(bundle: Bundle, inputs: ModelInputs) -> tuple[dict[int, str], tuple[str, ...]]:
    """Words for the terms: of each window event by its place, and of the counters beyond the window.

    The counters' words are one a counted kind, for the offer itself, then one a counted kind for its category.
    """
    names = bundle.layout.items.names()
    about_nothing = {bundle.layout.kinds[kind].row for kind in bundle.layout.derived.kinds_about_nothing}
    events = {}
    for place in np.flatnonzero(inputs.event_kind).tolist():
        kind_row, row = int(inputs.event_kind[place]), int(inputs.event_item[place])
        item = "" if kind_row in about_nothing else f" {names[row - 1]}" if row else " (an item not in the bundle)"
        events[place] = f"{bundle.kind_names[kind_row - 1]}{item}, {in_words(float(inputs.event_age_s[place]))} ago"
    counted = {rule.counter: bundle.kind_names[rule.row - 1] for rule in bundle.layout.kinds.values()}
    counters = tuple(
        f"earlier {counted[counter]} of the {whose}"
        for whose in ("offer", "offer's category")
        for counter in range(bundle.layout.counter_kinds)
    )
    return events, counters


def counter_shares(bundle: Bundle, inputs: ModelInputs, counters: F32) -> F64:
    """Each window event's share of the counter terms, (N, C, F).

    The terms are linear in the counters, and a counter is a sum of decayed ones; an event's share is its own.

    Args:
        counters: contribution of each counter, (C, F).
    """
    layout = bundle.layout
    n, c, h = layout.window, len(inputs.candidate), len(layout.decays)
    shares = np.zeros((n, c, layout.counter_features))
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.where(inputs.counters > 0, counters / inputs.counters.astype(np.float64), 0.0)
    # In seconds, as whole ticks make them: up to 1 ms × 1024 off the declared ones.
    half_lives = np.array([decay.tick_ms * TICKS_A_HALF_LIFE / 1000 for decay in layout.decays])
    rule_of_row = {rule.row: rule for rule in layout.kinds.values()}
    item_offer = [0] + [layout.offers.row(int(identifier)) for identifier in layout.items.ids]
    offer_category = layout.offers.row_category
    for place in np.flatnonzero(inputs.event_kind).tolist():
        counter = rule_of_row[int(inputs.event_kind[place])].counter
        if counter < 0:
            continue
        row = int(inputs.event_item[place])
        offer = item_offer[row]
        category = offer_category[offer] or layout.items.row_category[row]
        decayed = np.exp2(-float(inputs.event_age_s[place]) / half_lives)
        own = slice(counter * h, counter * h + h)
        of_category = slice(own.start + layout.counter_kinds * h, own.stop + layout.counter_kinds * h)
        if offer:
            shares[place, :, own] = decayed * (inputs.candidate == offer)[:, None]
        if category:
            shares[place, :, of_category] = decayed * (offer_category[inputs.candidate] == category)[:, None]
    return shares * slope


def in_words(age_s: float) -> str:
    """A length of time a person reads: ``12 s``, ``5 min``, ``3 h``, ``2 days``."""
    for unit, seconds, limit in (("s", 1, 120), ("min", 60, 7200), ("h", 3600, 172800)):
        if age_s < limit:
            return f"{age_s / seconds:.0f} {unit}"
    return f"{age_s / 86400:.0f} days"
