"""Candidate sets: a base decision checked against a bundle and its policy.

A candidate set has everything that does not depend on the user: table rows, logits of each objective, costs, and the
candidates that each rule selects. An offer that the bundle does not know is ranked by what the base decision says of
it, its base logits and its category.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from edge_sdk.base_decision import BaseDecision
from edge_sdk.errors import ErrorCode
from edge_sdk.limits import CANDIDATES_MAX
from edge_sdk.memory.layout import MemoryLayout
from edge_sdk.memory.spending import units_of
from edge_sdk.policy.compiled import CompiledPolicy
from edge_sdk.policy.eligibility import Masks
from edge_sdk.policy.rules import Policy
from edge_sdk.policy.scoring import fused
from edge_sdk.policy.targeting import Candidates, selected
from edge_sdk.types import F32, F64, I64, Mask, by_score
from edge_sdk.vocabulary import Vocabulary, category_id, item_id

_NAMED_MAX = 5  # an error message lists at most so many unknown names

_Problem = tuple[ErrorCode, str] | None  # an error code and its detail; None = no problem


class CandidateSet(NamedTuple):
    """Everything that is computed once for each base decision. With `error` set, only `order` can be used."""

    base: BaseDecision  # a reference, because the decision maker finds this record by the identity of the base decision
    candidates: Candidates  # (C,) rows and channels
    slots: I64  # (C, 2) counter slots: of the offer and of its category
    categories: I64  # (C,) category rows
    logits: F32  # (C, K); NaN where the given logits were unusable
    scores: F32  # (C,) base logits fused with the policy's weights
    order: I64  # (C,) candidate indices by these scores
    costs: F32  # (C,)
    highest_cost: float
    cost_units: F64  # (C,) the costs in the budget's units, whole numbers
    highest_units: float  # of one candidate
    highest_slate_units: F64  # (C + 1,) of the most expensive slate of each size
    cap_cells: I64  # (R, C) `FrequencyCaps.cells`: the cell of each count under each cap
    identities: I64 | None  # (C,) equal for the treatments of one offer; None = no offer is listed twice
    masks: Masks
    known: Mask | None  # (C,) whether the bundle knows each offer; None = all
    error: ErrorCode
    detail: str

    @classmethod
    def of(
        cls, base: BaseDecision, layout: MemoryLayout, policy: CompiledPolicy, row_of: dict[str, int]
    ) -> CandidateSet:
        """Returns the candidate set of a base decision; never raises for its content.

        Args:
            base: the cloud's ranking.
            layout: the memory layout of the bundle.
            policy: the policy in force.
            row_of: offer rows already looked up, by name; newly found rows are added.
        """
        rules, count = policy.rules, len(base.offers)
        offers, unknown_ids, unusable = _offers(base.offers, layout.offers, row_of)
        rows, category_problem = _candidate_rows(base, offers, policy.stand_ins)
        logits, problem = _logits(base.logits, count, len(rules.weights))
        channels, treatment_problem = _channels(base, rules)
        costs, cost_problem = _costs(base, rules, offers, channels)
        scores, problem = _base_scores(logits, rules.weights, problem)
        candidates = Candidates(rows, channels, offers, unknown_ids)
        cost_units = units_of(costs, policy.units_per_one)
        name_problem = _name_problem(unusable)
        problems = [_count_problem(count), problem, name_problem, category_problem, treatment_problem, cost_problem]
        error, detail = next((found for found in problems if found), (ErrorCode.NONE, ""))
        return cls(
            base=base,
            candidates=candidates,
            slots=policy.slots[rows],
            categories=policy.categories[rows],
            logits=logits,
            scores=scores,
            order=np.arange(count) if problem else by_score(scores),
            costs=costs,
            highest_cost=float(costs.max(initial=0.0)),
            cost_units=cost_units,
            highest_units=float(cost_units.max(initial=0.0)),
            highest_slate_units=np.concatenate([[0.0], np.cumsum(np.sort(cost_units)[::-1])]),
            cap_cells=policy.caps.cells(rows, channels),
            identities=_identities(offers, unknown_ids),
            masks=Masks(
                drops=[selected(rule.selection, candidates) for rule in rules.drops],
                boosts=[selected(rule.selection, candidates) for rule in rules.boosts],
                pins=[selected(rule.selection, candidates) for rule in rules.pins],
                uncounted=policy.caps.uncounted(rows, channels),
            ),
            known=None if unknown_ids is None else offers > 0,
            error=error,
            detail=detail,
        )

    @property
    def rows(self) -> I64:
        """(C,) candidate rows."""
        return self.candidates.rows


def _base_scores(logits: F32, weights: F32, problem: _Problem) -> tuple[F32, _Problem]:
    """Returns the fused base logits (C,), NaN where they overflow, and the problem with the logits."""
    with np.errstate(over="ignore", invalid="ignore"):  # huge logits become infinite, without a warning on stderr
        scores = fused(logits, weights)
    if problem or np.isfinite(scores).all():
        return scores, problem
    detail = "base logits that overflow when weighted; fix the base decision where it is made"
    return np.full_like(scores, np.nan), (ErrorCode.BAD_BASE_LOGITS, detail)  # NaN: no rule can read a number


def _identities(offers: I64, unknown_ids: I64 | None) -> I64 | None:
    """Returns `CandidateSet.identities`. `np.unique` would import masked arrays at its first call: 7 ms."""
    keys = offers.tolist()
    if unknown_ids is not None:  # an id is not a row: below 0. One without an id is like no other
        ids = unknown_ids.tolist()
        keys = [row or -ids[at] or f"candidate {at}" for at, row in enumerate(keys)]
    if len({*keys}) == len(keys):
        return None
    first: dict[object, int] = {}
    return np.array([first.setdefault(key, at) for at, key in enumerate(keys)], np.int64)


def _count_problem(count: int) -> _Problem:
    if not count:
        return (ErrorCode.NO_CANDIDATES, "the base decision is empty; pass the offers to choose from")
    if count > CANDIDATES_MAX:
        detail = f"{count} candidates, {CANDIDATES_MAX} at most; let the cloud keep the best"
        return (ErrorCode.TOO_MANY_CANDIDATES, detail)
    return None


def _name_problem(unusable: list[object]) -> _Problem:
    if not unusable:
        return None
    detail = f"{_listed(unusable)} cannot be the name of an offer; pass the names that the cloud exported"
    return (ErrorCode.UNKNOWN_OFFER, detail)


def _offers(names: tuple[str, ...], offers: Vocabulary, row_of: dict[str, int]) -> tuple[I64, I64 | None, list[object]]:
    """Returns offer rows (C,), `Candidates.unknown_ids`, and the names that are none: no text, or empty."""
    rows: list[int] = []
    for name in names:
        try:  # `contextlib.suppress` would add a sixth to the time of a new base decision
            row = row_of.get(name) or offers.row(item_id(name))
        except (AttributeError, TypeError, UnicodeEncodeError):  # not a str, or half a surrogate pair
            row = 0
        if row:
            row_of[name] = row
        rows.append(row)
    if all(rows):
        return np.array(rows, np.int64), None, []
    ids = [0 if row else _usable_id(name) for name, row in zip(names, rows, strict=True)]
    unusable: list[object] = [
        name for name, row, identifier in zip(names, rows, ids, strict=True) if not row and not identifier
    ]
    return np.array(rows, np.int64), np.array(ids, np.int64), unusable


def _usable_id(name: str) -> int:
    """Returns the item id of a name; 0 if it is no text, or the empty name: that means "about no item"."""
    try:
        return item_id(name) if name else 0
    except (AttributeError, TypeError, UnicodeEncodeError):
        return 0


def _candidate_rows(base: BaseDecision, offers: I64, stand_ins: Mapping[int, int]) -> tuple[I64, _Problem]:
    """Returns candidate rows (C,), and the problem with the given categories.

    A category that the bundle does not know is no category. Of a known offer the bundle's own category counts.
    """
    if base.categories is None:
        return offers, None
    if len(base.categories) != len(offers):
        detail = f"{len(base.categories)} categories for {len(offers)} offers; pass one for each"
        return offers, (ErrorCode.BAD_CATEGORIES, detail)
    rows = offers.copy()
    for at in np.flatnonzero(offers == 0).tolist():
        try:
            rows[at] = stand_ins.get(category_id(base.categories[at]), 0)
        except (AttributeError, TypeError, UnicodeEncodeError):
            rows[at] = 0
    return rows, None


def _logits(given: F32, count: int, objectives: int) -> tuple[F32, _Problem]:
    """Returns logits of shape (C, K), and the problem with the given logits."""
    nothing = np.full((count, objectives), np.nan, np.float32)
    if given.shape == (count,):
        given = np.repeat(given[:, None], objectives, axis=1)
    if given.shape != (count, objectives):
        detail = f"base logits of shape {given.shape}; pass ({count},) or ({count}, {objectives})"
        return nothing, (ErrorCode.BAD_BASE_LOGITS, detail)
    if not np.isfinite(given).all():
        detail = "base logits that are NaN or infinite; fix the base decision where it is made"
        return nothing, (ErrorCode.BAD_BASE_LOGITS, detail)
    return np.ascontiguousarray(given), None


def _channels(base: BaseDecision, policy: Policy) -> tuple[I64 | None, _Problem]:
    """Returns each candidate's channel index (None = all in the app), and the problem with channels or variants."""
    for field_name, given, known in (
        ("channels", base.channels, [channel.name for channel in policy.channels]),
        ("variants", base.variants, ["", *policy.variants]),
    ):
        if given is None:
            continue
        if len(given) != len(base.offers):
            detail = f"{len(given)} {field_name} for {len(base.offers)} offers; pass one for each"
            return None, (ErrorCode.UNKNOWN_TREATMENT, detail)
        unknown: list[object] = [name for name in given if name not in known]
        if unknown:
            detail = f"the bundle does not know {_listed(unknown)}; it declares the {field_name} {known[1:]}"
            return None, (ErrorCode.UNKNOWN_TREATMENT, detail)
    if base.channels is None or not any(base.channels):
        return None, None
    index = {channel.name: number for number, channel in enumerate(policy.channels)}
    return np.array([index[name] for name in base.channels], np.int64), None


def _costs(base: BaseDecision, policy: Policy, offers: I64, channels: I64 | None) -> tuple[F32, _Problem]:
    """Returns costs (C,), and the problem with the given costs."""
    own: F32 = policy.offer_costs[offers]
    if channels is not None:
        own = own + np.array([channel.cost for channel in policy.channels], np.float32)[channels]
    if base.costs is None:
        return own, None
    if base.costs.shape != offers.shape or not (np.isfinite(base.costs) & (base.costs >= 0)).all():
        detail = f"costs of shape {base.costs.shape}, or below 0, NaN or infinite; pass one number for each candidate"
        return own, (ErrorCode.BAD_COSTS, detail)
    return base.costs, None


def _listed(names: list[object]) -> str:
    more = f" and {len(names) - _NAMED_MAX} more" if len(names) > _NAMED_MAX else ""
    return ", ".join(repr(name) for name in names[:_NAMED_MAX]) + more
