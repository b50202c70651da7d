"""A base decision made ready for a bundle: table rows, logits an objective, and whether it can be adjusted at all."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

from edge_sdk.config import CANDIDATES_MAX, CONTEXTS_KEPT
from edge_sdk.errors import ErrorCode
from edge_sdk.memory_layout import MemoryLayout
from edge_sdk.policy import Policy, Standing, by_score, fused
from edge_sdk.types import F32, I64, BaseDecision
from edge_sdk.vocabulary import Vocabulary, item_id

_NAMED_MAX = 5  # unknown offers that an error message lists


@dataclass(frozen=True, slots=True, eq=False)
class PreparedBase:
    """What is computed once for each base decision. With `error` set, `order` is all there is to answer."""

    base: BaseDecision  # kept alive: the engine finds this object by the base's identity
    rows: I64  # (C,) offer rows; 0 = unknown
    slots: I64  # (C, 2) of their counters
    logits: F32  # (C, K); NaN where the given ones were unusable
    scores: F32  # (C,) base logits fused with the policy's own weights
    order: I64  # (C,) base order by these scores
    error: ErrorCode
    detail: str
    standing: dict[tuple[int, ...], Standing] = field(default_factory=dict)  # by context; `standing_at` fills it

    def standing_at(self, policy: Policy, chosen: tuple[int, ...], now_ms: int) -> I64 | None:
        """Reason bits of the offers that dates and eligibility take out; None = none. Dates change a few times a year,
        so the answer is kept (5 µs of a decision's 90)."""
        known = self.standing.get(chosen)
        if known is None or not known.from_ms <= now_ms < known.until_ms:
            if len(self.standing) >= CONTEXTS_KEPT:
                self.standing.clear()
            known = self.standing[chosen] = policy.standing(self.rows, chosen, now_ms)
        return known.bits


def prepare(base: BaseDecision, layout: MemoryLayout, weights: F32, row_of: dict[str, int]) -> PreparedBase:
    """Check a base decision against a bundle; never raises for its content.

    Args:
        base: the cloud's ranking.
        layout: of the bundle.
        weights: the policy's own, (K,).
        row_of: offer rows already looked up, by name; known ones are added.
    """
    count, objectives = len(base.offers), len(weights)
    rows, unknown = _rows(base.offers, layout.offers, row_of)
    logits, error, detail = _logits(base.logits, count, objectives)
    with np.errstate(over="ignore", invalid="ignore"):  # absurd logits become infinite, without a warning on stderr
        scores = fused(logits, weights)
    if count and not error and not np.isfinite(scores).all():
        error = ErrorCode.BAD_BASE_LOGITS
        detail = "base logits that overflow when weighted; mend the base decision where it is made"
    order = np.arange(count) if error else by_score(scores)
    if not count:
        error, detail = ErrorCode.NO_CANDIDATES, "the base decision is empty; pass the offers to choose from"
    elif count > CANDIDATES_MAX:
        error = ErrorCode.TOO_MANY_CANDIDATES
        detail = f"{count} candidates, {CANDIDATES_MAX} at most; let the cloud keep the best"
    elif unknown and not error:
        error = ErrorCode.UNKNOWN_OFFER
        more = f" and {len(unknown) - _NAMED_MAX} more" if len(unknown) > _NAMED_MAX else ""
        named = ", ".join(repr(name) for name in unknown[:_NAMED_MAX])
        detail = f"the bundle does not know {named}{more}; install the bundle that was exported with these offers"
    return PreparedBase(base, rows, layout.counter_slots(rows), logits, scores, order, error, detail)


def _rows(names: tuple[str, ...], offers: Vocabulary, row_of: dict[str, int]) -> tuple[I64, list[object]]:
    rows: list[int] = []
    unknown: list[object] = []
    for name in names:
        row = 0
        with suppress(AttributeError, TypeError, UnicodeEncodeError):  # no str, or half a surrogate pair
            row = row_of.get(name) or offers.row(item_id(name))
        if row:
            row_of[name] = row
        else:
            unknown.append(name)
        rows.append(row)
    return np.array(rows, np.int64), unknown


def _logits(given: F32, count: int, objectives: int) -> tuple[F32, ErrorCode, str]:
    """Logits of shape (C, K), and what is wrong with the given ones."""
    nothing = np.full((count, objectives), np.nan, np.float32)
    if given.shape == (count,):
        given = np.repeat(given[:, None], objectives, axis=1)
    if given.shape != (count, objectives):
        detail = f"base logits of shape {given.shape}; pass ({count},) or ({count}, {objectives})"
        return nothing, ErrorCode.BAD_BASE_LOGITS, detail
    if not np.isfinite(given).all():
        detail = "base logits that are NaN or infinite; mend the base decision where it is made"
        return nothing, ErrorCode.BAD_BASE_LOGITS, detail
    return np.ascontiguousarray(given), ErrorCode.NONE, ""
