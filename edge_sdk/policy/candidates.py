"""A base decision made ready for a bundle and its policy, and whether it can be adjusted at all.

All that can be known before the user is looked at: table rows, logits an objective, costs, whom each rule is about.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edge_sdk.base_decision import BaseDecision
from edge_sdk.errors import ErrorCode
from edge_sdk.limits import CANDIDATES_MAX, CONTEXTS_KEPT
from edge_sdk.memory.caps import cap_cells
from edge_sdk.memory.layout import MemoryLayout
from edge_sdk.memory.memory import Memory
from edge_sdk.policy.conditions import TargetingContext
from edge_sdk.policy.eligibility import EvaluatedRules, Masks, evaluate_rules, machines_looked_at
from edge_sdk.policy.rules import Policy
from edge_sdk.policy.scoring import fused
from edge_sdk.policy.targeting import Candidates, selected
from edge_sdk.types import F32, F64, I64, by_score
from edge_sdk.vocabulary import Vocabulary, item_id

_NAMED_MAX = 5  # unknown names that an error message lists

_Problem = list[tuple[ErrorCode, str]]  # what is wrong, if anything: at most one code with its detail


class CandidateSet(NamedTuple):
    """What is computed once for each base decision. With `error` set, `order` is all there is to answer."""

    base: BaseDecision  # kept alive: the engine finds this object by the base's identity
    candidates: Candidates  # (C,) offer rows and channels
    slots: I64  # (C, 2) of their counters
    categories: I64  # (C,) category rows
    logits: F32  # (C, K); NaN where the given ones were unusable
    scores: F32  # (C,) base logits fused with the policy's own weights
    order: I64  # (C,) base order by these scores
    costs: F32  # (C,)
    dearest: float  # the highest of them
    dearest_slates: F64  # (C + 1,) what the dearest slate of so many places costs
    cap_cells: I64  # (R, C) where the caps' answers for them stand
    has_repeats: bool  # an offer stands there with several channels or variants
    machines: tuple[int, ...]  # whose states of candidates some rule looks at
    masks: Masks
    error: ErrorCode
    detail: str
    kept: dict[TargetingContext, EvaluatedRules]  # `situated` fills it
    weighted: dict[int, tuple[F32, I64]]  # `weighted_by` fills it

    @property
    def rows(self) -> I64:
        """(C,) offer rows; 0 = unknown."""
        return self.candidates.rows

    def dearest_slate(self, size: int) -> float:
        """What the dearest slate of so many places costs."""
        return float(self.dearest_slates[size])

    def evaluated(self, policy: Policy, memory: Memory, situation: TargetingContext, now_ms: int) -> EvaluatedRules:
        """What the policy says of these candidates in this situation; made when what it looks at has changed."""
        versions = tuple([memory.machines.version(index, now_ms) for index in self.machines])
        known = self.kept.get(situation)
        if known is None or not known.holds(now_ms, versions):
            if len(self.kept) >= CONTEXTS_KEPT:
                self.kept.clear()
            known = evaluate_rules(policy, self.candidates, self.masks, memory, situation, now_ms, versions)
            self.kept[situation] = known
        return known

    def weighted_by(self, weights: F32) -> tuple[F32, I64]:
        """Base scores (C,) and base order under a policy's weights, which live as long as the policy does."""
        known = self.weighted.get(id(weights))
        if known is None:
            with np.errstate(over="ignore", invalid="ignore"):
                scores = fused(self.logits, weights)
            known = self.weighted[id(weights)] = scores, by_score(scores)
        return known


def prepare(base: BaseDecision, layout: MemoryLayout, policy: Policy, row_of: dict[str, int]) -> CandidateSet:
    """Check a base decision against a bundle; never raises for its content.

    Args:
        base: the cloud's ranking.
        layout: of the bundle.
        policy: the one in force.
        row_of: offer rows already looked up, by name; known ones are added.
    """
    count = len(base.offers)
    rows, unknown = _rows(base.offers, layout.offers, row_of)
    logits, trouble = _logits(base.logits, count, len(policy.weights))
    channels, touch_trouble = _channels(base, policy)
    costs, cost_trouble = _costs(base, policy, rows, channels)
    with np.errstate(over="ignore", invalid="ignore"):  # absurd logits become infinite, without a warning on stderr
        scores = fused(logits, policy.weights)
    if count and not trouble and not np.isfinite(scores).all():
        detail = "base logits that overflow when weighted; fix the base decision where it is made"
        trouble = _trouble(ErrorCode.BAD_BASE_LOGITS, detail)
        scores = np.full_like(scores, np.nan)  # as of other unusable logits: no number that a rule could look at
    order = np.arange(count) if trouble else by_score(scores)
    first = [_count_trouble(count), trouble, _unknown_trouble(unknown), touch_trouble, cost_trouble]
    error, found_detail = next((found[0] for found in first if found), (ErrorCode.NONE, ""))
    candidates = Candidates(rows, channels)
    return CandidateSet(
        base=base,
        candidates=candidates,
        slots=layout.counter_slots(rows),
        categories=layout.offers.row_category[rows],
        logits=logits,
        scores=scores,
        order=order,
        costs=costs,
        dearest=float(costs.max(initial=0.0)),
        dearest_slates=np.concatenate([[0.0], np.cumsum(np.sort(costs.astype(np.float64))[::-1])]),
        cap_cells=cap_cells(layout.caps, layout.offers.row_category, layout.category_rows, rows, channels),
        has_repeats=_has_repeats(rows),
        machines=machines_looked_at(policy),
        masks=Masks(
            drops=[selected(rule.selection, candidates) for rule in policy.drops],
            boosts=[selected(rule.selection, candidates) for rule in policy.boosts],
            pins=[selected(rule.selection, candidates) for rule in policy.pins],
        ),
        error=error,
        detail=found_detail,
        kept={},
        weighted={},
    )


def _has_repeats(rows: I64) -> bool:
    """Whether a known offer stands there twice. `np.unique` would import masked arrays at its first call: 7 ms."""
    known = rows[rows > 0].tolist()
    return len({*known}) < len(known)


def _trouble(code: ErrorCode, detail: str) -> _Problem:
    return [(code, detail)]


def _count_trouble(count: int) -> _Problem:
    if not count:
        return _trouble(ErrorCode.NO_CANDIDATES, "the base decision is empty; pass the offers to choose from")
    if count > CANDIDATES_MAX:
        detail = f"{count} candidates, {CANDIDATES_MAX} at most; let the cloud keep the best"
        return _trouble(ErrorCode.TOO_MANY_CANDIDATES, detail)
    return []


def _unknown_trouble(unknown: list[object]) -> _Problem:
    if not unknown:
        return []
    detail = f"the bundle does not know {_listed(unknown)}; install the bundle that was exported with these offers"
    return _trouble(ErrorCode.UNKNOWN_OFFER, detail)


def _rows(names: tuple[str, ...], offers: Vocabulary, row_of: dict[str, int]) -> tuple[I64, list[object]]:
    rows: list[int] = []
    unknown: list[object] = []
    for name in names:
        try:  # `suppress` would take a sixth of a new base decision
            row = row_of.get(name) or offers.row(item_id(name))
        except (AttributeError, TypeError, UnicodeEncodeError):  # no str, or half a surrogate pair
            row = 0
        if row:
            row_of[name] = row
        else:
            unknown.append(name)
        rows.append(row)
    return np.array(rows, np.int64), unknown


def _logits(given: F32, count: int, objectives: int) -> tuple[F32, _Problem]:
    """Logits of shape (C, K), and what is wrong with the given ones."""
    nothing = np.full((count, objectives), np.nan, np.float32)
    if given.shape == (count,):
        given = np.repeat(given[:, None], objectives, axis=1)
    if given.shape != (count, objectives):
        detail = f"base logits of shape {given.shape}; pass ({count},) or ({count}, {objectives})"
        return nothing, _trouble(ErrorCode.BAD_BASE_LOGITS, detail)
    if not np.isfinite(given).all():
        detail = "base logits that are NaN or infinite; fix the base decision where it is made"
        return nothing, _trouble(ErrorCode.BAD_BASE_LOGITS, detail)
    return np.ascontiguousarray(given), []


def _channels(base: BaseDecision, policy: Policy) -> tuple[I64 | None, _Problem]:
    """Channel index of each candidate (None = all in the app), and what is wrong with channels or variants."""
    for field_name, given, known in (
        ("channels", base.channels, [channel.name for channel in policy.channels]),
        ("variants", base.variants, ["", *policy.variants]),
    ):
        if given is None:
            continue
        if len(given) != len(base.offers):
            detail = f"{len(given)} {field_name} for {len(base.offers)} offers; pass one for each"
            return None, _trouble(ErrorCode.UNKNOWN_TREATMENT, detail)
        unknown: list[object] = [name for name in given if name not in known]
        if unknown:
            detail = f"the bundle does not know {_listed(unknown)}; it declares the {field_name} {known[1:]}"
            return None, _trouble(ErrorCode.UNKNOWN_TREATMENT, detail)
    if base.channels is None or not any(base.channels):
        return None, []
    index = {channel.name: number for number, channel in enumerate(policy.channels)}
    return np.array([index[name] for name in base.channels], np.int64), []


def _costs(base: BaseDecision, policy: Policy, rows: I64, channels: I64 | None) -> tuple[F32, _Problem]:
    """Costs (C,), and what is wrong with the given ones."""
    own: F32 = policy.offer_costs[rows]
    if channels is not None:
        own = own + np.array([channel.cost for channel in policy.channels], np.float32)[channels]
    if base.costs is None:
        return own, []
    if base.costs.shape != rows.shape or not (np.isfinite(base.costs) & (base.costs >= 0)).all():
        detail = f"costs of shape {base.costs.shape}, or below 0, NaN or infinite; pass one number for each candidate"
        return own, _trouble(ErrorCode.BAD_COSTS, detail)
    return base.costs, []


def _listed(names: list[object]) -> str:
    more = f" and {len(names) - _NAMED_MAX} more" if len(names) > _NAMED_MAX else ""
    return ", ".join(repr(name) for name in names[:_NAMED_MAX]) + more
