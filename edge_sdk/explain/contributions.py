"""The decomposition of a score into contributions of events and counters. Pure functions over arrays.

A counter's contribution is attributed to the counted events that are still in the window; the rest is its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_sdk.bundle.bundle import Bundle
from edge_sdk.explain.contribution import Contribution, ContributionSource, age_in_words
from edge_sdk.memory.decay import TICKS_A_HALF_LIFE
from edge_sdk.model.inputs import ModelInputs
from edge_sdk.policy.rules import Boost
from edge_sdk.types import F32, F64, I64


@dataclass(frozen=True, slots=True, eq=False)
class WindowTables:
    """The names and rows of a bundle that explanations of the window need, looked up once."""

    item_names: tuple[str, ...]  # by item row; "" = unknown
    kind_names: tuple[str, ...]  # by kind row; "" = no event
    kinds_about_nothing: frozenset[int]  # kind rows
    category_names: tuple[str, ...]  # by category row; "" = none
    item_offer: I64  # (items + 1,) offer row of each item row
    item_category: I64  # (items + 1,) category row of each item row
    offer_category: I64  # (offers + 1,)
    kind_counter: I64  # (kinds + 1,) counter of each kind row; -1 = not counted
    counted: tuple[str, ...]  # kind name of each counter
    half_lives_s: F64  # (H,)

    @classmethod
    def of(cls, bundle: Bundle) -> WindowTables:
        """Returns the tables of a bundle."""
        layout = bundle.layout
        item_offer = np.zeros(len(layout.items) + 1, np.int64)
        item_offer[1:] = layout.offers.rows(layout.items.ids)
        of_offer = layout.offers.row_category[item_offer]
        kind_counter = np.full(len(bundle.kind_names) + 1, -1)
        counted = [""] * layout.counter_kinds
        for rule in layout.kinds.values():
            kind_counter[rule.row] = rule.counter
            if rule.counter >= 0:
                counted[rule.counter] = bundle.kind_names[rule.row - 1]
        return cls(
            item_names=("", *layout.items.names()),
            kind_names=("", *bundle.kind_names),
            kinds_about_nothing=frozenset(layout.kinds[kind].row for kind in layout.derived.kinds_about_nothing),
            category_names=("", *bundle.categories),
            item_offer=item_offer,
            item_category=np.where(of_offer > 0, of_offer, layout.items.row_category),
            offer_category=layout.offers.row_category,
            kind_counter=kind_counter,
            counted=tuple(counted),
            # In seconds, from whole ticks: up to 1 ms × 1024 different from the declared half-lives.
            half_lives_s=np.array([decay.tick_ms * TICKS_A_HALF_LIFE / 1000 for decay in layout.decays]),
        )


def counter_shares(tables: WindowTables, inputs: ModelInputs, counters: F32) -> F64:
    """Returns each window event's share of the counters' contributions, (C, 2, N): for the offer, then its category.

    The contributions are linear in the counters, and a counter is a sum of decayed ones (1 for each event). The share
    of an event is the contribution of its decayed one.

    Args:
        tables: the bundle's tables.
        inputs: the model's inputs of the decision.
        counters: contribution of each counter, (C, F).
    """
    kinds, halves, count = len(tables.counted), len(tables.half_lives_s), len(inputs.candidate)
    shares = np.zeros((count, 2, len(inputs.event_kind)))
    of_event = tables.kind_counter.take(inputs.event_kind)
    at = np.flatnonzero(of_event >= 0)
    if not len(at):
        return shares
    slope = np.zeros((count, 2 * kinds * halves))
    np.divide(counters, inputs.counters, out=slope, where=inputs.counters > 0, dtype=np.float64)
    decayed = np.exp2(inputs.event_age_s[at, None] / -tables.half_lives_s)
    rows = inputs.event_item[at]
    about = np.stack([tables.item_offer.take(rows), tables.item_category.take(rows)])  # (2, M)
    about[about == 0] = -1  # no offer or category: equal to no candidate's row
    targets = np.stack([inputs.candidate, tables.offer_category.take(inputs.candidate)], axis=1)
    is_about = targets[:, :, None] == about
    # By counter and event, how much one event adds to the counters of its kind. One product then gives all shares.
    added = np.zeros((kinds, halves, len(at)))
    added[of_event[at], :, np.arange(len(at))] = decayed
    shares[:, :, at] = (slope.reshape(2 * count, -1) @ added.reshape(-1, len(at))).reshape(is_about.shape) * is_about
    return shares


def decomposed(tables: WindowTables, inputs: ModelInputs, events: F32, counters: F32) -> tuple[F64, F64]:
    """Returns the contribution of each event with its share of the counters (N, C), and the rest of the counters.

    The rest is (C, 2·KC): by counted kind of the offer, then of its category, the contribution of events that are no
    longer in the window.

    Args:
        tables: the bundle's tables.
        inputs: the model's inputs of the decision.
        events: the model's contribution of each event, (N, C).
        counters: contribution of each counter, (C, F).
    """
    shares = counter_shares(tables, inputs, counters)
    kinds, halves, count = len(tables.counted), len(tables.half_lives_s), len(inputs.candidate)
    is_of = tables.kind_counter.take(inputs.event_kind)[:, None] == np.arange(kinds)
    rest = (counters.astype(np.float64).reshape(-1, halves) @ np.ones(halves)).reshape(count, 2, kinds)
    rest -= (shares.reshape(2 * count, -1) @ is_of.astype(np.float64)).reshape(rest.shape)
    return events + (shares[:, 0] + shares[:, 1]).T, rest.reshape(count, 2 * kinds)


def events_named(tables: WindowTables, inputs: ModelInputs) -> list[tuple[str, int, str, str, float]]:
    """Returns each event in the window, newest first: label, index in the window, kind, item, age in s."""
    named = []
    kinds, rows, ages = inputs.event_kind.tolist(), inputs.event_item.tolist(), inputs.event_age_s.tolist()
    for index, (kind_row, row, age_s) in enumerate(zip(kinds, rows, ages, strict=True)):
        if kind_row:
            kind, item = tables.kind_names[kind_row], tables.item_names[row]
            is_about = "" if kind_row in tables.kinds_about_nothing else f" {item}" if row else _UNKNOWN
            named.append((f"{kind}{is_about}, {age_in_words(age_s)} ago", index, kind, item, age_s))
    return named


_UNKNOWN = " (an item not in the bundle)"


def counter_labels(tables: WindowTables) -> tuple[str, ...]:
    """Returns the labels of the rest that `decomposed` returns: each kind of the offer, then each of its category."""
    return tuple(
        f"earlier {kind} of the {target}" for target in ("offer", "offer's category") for kind in tables.counted
    )


def boost_contribution(rule: Boost) -> Contribution:
    """Returns the contribution of a boost in force to the score of each candidate that it applies to."""
    has_conditions = bool(rule.when.of_user or rule.when.of_target)
    source = ContributionSource.CONTEXT if has_conditions else ContributionSource.BIAS
    return Contribution(rule.name, float(rule.add), source)
