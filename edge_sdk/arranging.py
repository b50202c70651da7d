"""The policy, step by step: who stands, final scores, the draw, the list. Pure over a memory and arrays.

    who may stand (`standing.py`) → gate, largest shift, boosts, cost (`adjusting.py`) → one touch an offer
    → largest move (`influence.py`) → diversity → the null option → what caps and budget have left (`rationing.py`)
    → the draw (`exploration.py`) → category limits and pins (`slate.py`)

ADR 16 says why in this order. A step that the policy does not ask for costs a comparison.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from edge_sdk.adjusting import adjusted, bounded, diversified
from edge_sdk.candidates import PreparedBase
from edge_sdk.decision import Stages
from edge_sdk.exploration import Draw, drawn_order, uniforms
from edge_sdk.memory import Memory
from edge_sdk.policy import Exploration, Explore, Policy, Situation
from edge_sdk.rationing import beyond_budget, beyond_caps
from edge_sdk.reasons import Reason
from edge_sdk.slate import Slate, earlier_of_same, pin_places
from edge_sdk.standing import budget_bits, holds_for_targets, quiet_bits, state_bits
from edge_sdk.types import F32, I64, by_score

_NOBODY: Final = np.zeros(0, np.int64)
_NO_DRAW: Final = Exploration()


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """All that the steps look at, besides scores."""

    policy: Policy
    rations: tuple[int, ...]  # `rationing.rations`
    prepared: PreparedBase
    memory: Memory
    situation: Situation
    now_ms: int
    utc_offset_s: int
    cost_price: float  # λ in force
    budget_left: float  # infinity = no budget
    limit: int | None
    seed: int
    number: int  # the decision's

    @property
    def size(self) -> int:
        """Places on the slate."""
        count = len(self.prepared.rows)
        return count if self.limit is None else min(count, max(0, self.limit))


@dataclass(frozen=True, slots=True, eq=False)
class Arranged:
    """What becomes of the candidates."""

    stages: Stages
    dropped_bits: I64 | None  # (C,) None = all stand
    standing: I64  # (S,) in their final order
    pinned: I64 | None
    draw: Draw


def dropped(setting: Setting) -> I64 | None:
    """Reason bits (C,) of the candidates that rules about who may stand take out; None = all may."""
    policy, prepared, memory, now_ms = setting.policy, setting.prepared, setting.memory, setting.now_ms
    found = [
        prepared.standing_at(policy, setting.situation, now_ms),
        memory.caps.reasons(prepared.rows, prepared.candidates.channels, now_ms),
    ]
    if memory.layout.machines:
        found.append(state_bits(policy, prepared.rows, prepared.drop_masks, memory, setting.situation, now_ms))
    if policy.quiet_hours:
        found.append(quiet_bits(policy, prepared.candidates, now_ms, setting.utc_offset_s))
    if policy.budget is not None:
        found.append(budget_bits(prepared.costs, setting.budget_left))
    bits = [one for one in found if one is not None]
    if not bits:
        return None
    return bits[0] if len(bits) == 1 else np.bitwise_or.reduce(bits)


def arrange(setting: Setting, base: F32, model: F32, say: float) -> Arranged:
    """The whole policy.

    Args:
        setting: what the steps look at.
        base: (C,) fused base logits.
        model: (C,) the model's fused logits.
        say: the device's, 0 to 1.
    """
    policy, prepared = setting.policy, setting.prepared
    shifted = adjusted(base, model, say, policy.largest_shift)
    boost = boosts(setting)
    boosted = shifted if boost is None else shifted + boost
    cost = None
    if setting.cost_price and prepared.costs.any():
        cost = np.float32(setting.cost_price) * prepared.costs
    priced = boosted if cost is None else boosted - cost
    taken = _Taken(dropped(setting), len(base))
    if prepared.has_repeats:
        taken.out(_other_touches(priced, taken.standing(), prepared.rows), Reason.OTHER_TOUCH)
    standing = taken.standing()
    if policy.largest_move is None:
        held, order = priced, standing[by_score(priced[standing])]
    else:
        anchor = base if boost is None else base + boost
        anchor = anchor if cost is None else anchor - cost
        held, order = bounded(priced, anchor, standing, policy.largest_move)
    final = held
    if policy.diversity:
        final = diversified(held, order, prepared.categories, policy.diversity)
        order = order[by_score(final[order])]
    stages = Stages(base, model, shifted, boosted, priced, held, final)
    return _listed(setting, stages, order, taken, policy.exploration)


def base_arranged(setting: Setting) -> Arranged:
    """The base order under the rules that take offers out and the slate's rules: nothing that needs scores."""
    prepared = setting.prepared
    taken = _Taken(dropped(setting), len(prepared.rows))
    order = prepared.order if taken.bits is None else prepared.order[taken.bits[prepared.order] == 0]
    if prepared.has_repeats:
        seen: dict[str, int] = {}
        for index in order.tolist():
            seen.setdefault(prepared.base.offers[index], index)
        first = np.isin(order, list(seen.values()))
        taken.out(order[~first], Reason.OTHER_TOUCH)
        order = order[first]
    return _listed(setting, Stages.of_base(prepared.scores), order, taken, _NO_DRAW)


def still_allowed(setting: Setting, standing: I64) -> bool:
    """Whether no rule takes out any of these candidates (S,), or leaves too little room for them together."""
    bits = dropped(setting)
    if bits is not None and bits[standing].any():
        return False
    return len(_rationed(setting, standing, _NOBODY, _Taken(None, len(setting.prepared.rows)))) == len(standing)


def boosts(setting: Setting) -> F32 | None:
    """What the operator's boosts add to each candidate, (C,); None = nothing."""
    total: F32 | None = None
    for rule, mask in zip(setting.policy.boosts, setting.prepared.boost_masks, strict=True):
        if rule.when.holds_for_user(setting.situation):
            if rule.when.of_target:
                mask = mask & holds_for_targets(rule.when, setting.memory, setting.prepared.rows, setting.now_ms)
            added = np.where(mask, rule.add, np.float32(0))
            total = added if total is None else total + added
    return total


class _Taken:
    """Reason bits that grow from step to step; the array that came in is not changed."""

    def __init__(self, bits: I64 | None, count: int) -> None:
        self.bits, self._count, self._is_own = bits, count, False

    def out(self, candidates: I64, reason: Reason) -> None:
        """Take these out, for this reason."""
        if not len(candidates):
            return
        if self.bits is None or not self._is_own:
            self.bits = np.zeros(self._count, np.int64) if self.bits is None else self.bits.copy()
            self._is_own = True
        self.bits[candidates] |= int(reason)

    def standing(self) -> I64:
        """(S,) ascending."""
        return np.arange(self._count) if self.bits is None else np.flatnonzero(self.bits == 0)


def _listed(setting: Setting, stages: Stages, order: I64, taken: _Taken, exploration: Exploration) -> Arranged:
    """The null option, what caps and budget have left, the draw, category limits and pins.

    Args:
        setting: what the steps look at.
        stages: scores.
        order: (S,) candidate indices that stand, best first.
        taken: who does not, so far.
        exploration: how the order is drawn.
    """
    policy, prepared = setting.policy, setting.prepared
    pinned, at = _pins(setting, order) if policy.pins else (_NOBODY, _NOBODY)
    order = _worth(setting, stages.final, order, pinned, taken)
    if setting.rations or policy.budget is not None:
        order = _rationed(setting, order, pinned, taken)
        if len(pinned):
            stays = np.isin(pinned, order)
            pinned, at = pinned[stays], at[stays]
    limits = policy.category_limits
    slate = Slate(order, pinned, at, None if limits is None else prepared.categories, limits)
    drawn = order
    if exploration.mode is not Explore.OFF:
        noise = uniforms(setting.seed, setting.number, len(prepared.rows) + 2)
        drawn = drawn_order(exploration, stages.final, slate, noise)
    standing = slate.listed(drawn)
    if len(standing) < len(drawn):
        is_out = np.ones(len(prepared.rows), np.bool_)
        is_out[standing] = False
        taken.out(drawn[is_out[drawn]], Reason.CATEGORY_FULL)
    draw = Draw(exploration, stages.final, slate, drawn)
    return Arranged(stages, taken.bits, standing, pinned if len(pinned) else None, draw)


def _other_touches(scores: F32, standing: I64, rows: I64) -> I64:
    """Of each offer that stands more than once, all but the best."""
    order = standing[by_score(scores[standing])]
    return order[earlier_of_same(rows[order]) > 0]


def _pins(setting: Setting, order: I64) -> tuple[I64, I64]:
    """Who is pinned, and where: by place."""
    wanted: list[tuple[int, int]] = []
    for rule, mask in zip(setting.policy.pins, setting.prepared.pin_masks, strict=True):
        if rule.when.holds_for_user(setting.situation):
            if rule.when.of_target:
                mask = mask & holds_for_targets(rule.when, setting.memory, setting.prepared.rows, setting.now_ms)
            best = order[mask[order]][: rule.count].tolist()
            wanted += [(candidate, rule.place + number) for number, candidate in enumerate(best)]
    return pin_places(wanted)


def _worth(setting: Setting, scores: F32, order: I64, pinned: I64, taken: _Taken) -> I64:
    """The order without those below the null option; whoever is pinned stays."""
    if setting.policy.null_score is None:
        return order
    is_below = scores < np.float32(setting.policy.null_score)
    is_below[pinned] = False
    taken.out(order[is_below[order]], Reason.NOT_WORTH)
    return order[~is_below[order]]


def _rationed(setting: Setting, order: I64, pinned: I64, taken: _Taken) -> I64:
    """The order without those that one slate has no room for under caps and budget; whoever is pinned comes first."""
    prepared, size = setting.prepared, setting.size
    if not size:
        return order  # nothing is shown, so nothing goes beyond
    others = order if not len(pinned) else order[~np.isin(order, pinned)]
    by_right = others if not len(pinned) else np.concatenate([pinned, others])
    capped = beyond_caps(
        by_right, size, setting.policy, setting.memory, prepared.candidates, prepared.categories, setting.rations,
        setting.now_ms,
    )  # fmt: skip
    taken.out(capped, Reason.CAPPED)
    costly = _NOBODY
    if setting.policy.budget is not None:
        left = by_right[~np.isin(by_right, capped)] if len(capped) else by_right
        costly = beyond_budget(left, size, prepared.costs, setting.budget_left)
        taken.out(costly, Reason.OVER_BUDGET)
    if not len(capped) and not len(costly):
        return order
    return order[~np.isin(order, np.concatenate([capped, costly]))]
