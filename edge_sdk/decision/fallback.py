"""The fallback decision where no engine is open: the base order, each offer once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_sdk.base_decision import BaseDecision
from edge_sdk.decision.decision import Decision, Trace
from edge_sdk.decision.request import understood_limit
from edge_sdk.errors import EdgeError, ErrorCode
from edge_sdk.policy.exploration import Draw
from edge_sdk.policy.pipeline import PolicyResult, Request
from edge_sdk.policy.rules import Exploration
from edge_sdk.policy.slate import Slate
from edge_sdk.policy.stages import Stages
from edge_sdk.reasons import Reason
from edge_sdk.types import F32, I64, by_score

if TYPE_CHECKING:
    from edge_sdk.bundle.bundle import Bundle  # which a client without an engine does not load


def fallback_decision(
    base: BaseDecision,
    *,
    error: ErrorCode,
    detail: str = "",
    limit: int | None = None,
    time_ms: int,
    number: int = 0,
    scene: str = "",
    model_version: str = "",
    policy_version: int = 0,
    dropped_bits: I64 | None = None,
) -> Decision:
    """Returns the base order as a decision.

    With one logit for each offer the offers are ordered by logit, as in the engine's base order. With one logit for
    each objective they keep the order of the list, because only a bundle has the weights to fuse them. Without a bundle
    only one rule applies: an offer is listed once, in its first treatment (channel and wording).

    Args:
        base: the cloud's ranking.
        error: why no engine decided.
        detail: how to fix the error.
        limit: at most so many offers, of any type, as far as it can be understood (`understood_limit`).
        time_ms: milliseconds since 1970.
        number: id of the decision; 0 = none.
        scene: name of the bundle's scene, if there is a bundle.
        model_version: of the bundle.
        policy_version: of the policy.
        dropped_bits: (C,) reason bits of suppressed candidates, 0 = eligible; None = by the rule above.
    """
    scores, order = _scored(base)
    bits = _other_treatments(base, order) if dropped_bits is None else dropped_bits
    eligible = order if bits is None else order[bits[order] == 0]
    draw = Draw(Exploration(), scores, Slate(eligible, (), (), None, None), eligible)
    return Decision(
        id=number,
        time_ms=time_ms,
        scene=scene,
        model_version=model_version,
        policy_version=policy_version,
        error=error,
        detail=detail,
        base=base,
        retry_at_ms=None,
        trace=Trace(
            result=PolicyResult(Stages.of_base(scores), bits, eligible, (), draw),
            base_order=order,
            costs=_costs(base),
            known=None,
            limit=understood_limit(limit),
        ),
    )


def unranked(base: BaseDecision, request: Request, problem: Exception, bundle: Bundle) -> Decision:
    """Returns the base order where an engine can evaluate no rule: memory cannot be read, or there is no memory left.

    Args:
        base: the cloud's ranking.
        request: when and for which list; its limit is as the app gave it.
        problem: why; its code is the decision's, if it has one.
        bundle: has the policy in force.
    """
    return fallback_decision(
        base,
        error=problem.code if isinstance(problem, EdgeError) else ErrorCode.MODEL_FAILED,
        detail=f"{type(problem).__name__}: {problem}; no rule was evaluated",
        limit=request.limit,
        time_ms=request.now_ms,
        number=request.number,
        scene=bundle.scene,
        model_version=bundle.model_version,
        policy_version=bundle.policy.version,
    )


def _scored(base: BaseDecision) -> tuple[F32, I64]:
    """Returns scores (C,), NaN where the offers do not have one usable logit each, and the order."""
    count = len(base.offers)
    if base.logits.shape == (count,) and bool(np.isfinite(base.logits).all()):
        return base.logits, by_score(base.logits)
    return np.full(count, np.nan, np.float32), np.arange(count, dtype=np.int64)


def _costs(base: BaseDecision) -> F32:
    """Returns the cloud's costs (C,) if they are numbers, else zeros; the bundle's costs are not known here."""
    count = len(base.offers)
    usable = base.costs is not None and base.costs.shape == (count,) and bool(np.isfinite(base.costs).all())
    return base.costs if base.costs is not None and usable else np.zeros(count, np.float32)


def _other_treatments(base: BaseDecision, order: I64) -> I64 | None:
    bits, listed = np.zeros(len(base.offers), np.int64), set[str]()
    for index in order.tolist():
        offer = base.offers[index]
        if isinstance(offer, str):  # an app may pass any object
            bits[index] = int(Reason.OTHER_TREATMENT) if offer in listed else 0
            listed.add(offer)
    return bits if bits.any() else None
