"""The policy, step by step: who stands, final scores, the draw, the list. Pure over a memory and arrays.

    who may stand (`eligibility.py`, `memory/caps.py`) → gate, largest shift, boosts, cost (`scoring.py`)
    → one touch an offer, as many as caps and budget have room for (`slate_caps.py`) → largest move (`rank_bound.py`)
    → diversity → the null option → the draw (`exploration.py`) → category limits and pins (`slate.py`)

ADR 17 says why in this order. A step that the policy does not ask for costs a comparison.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from edge_sdk.memory.memory import Memory
from edge_sdk.policy.candidates import CandidateSet
from edge_sdk.policy.eligibility import EvaluatedRules
from edge_sdk.policy.exploration import Draw, drawn_order
from edge_sdk.policy.rules import Exploration, Explore, Policy
from edge_sdk.policy.scoring import adjusted, bounded, diversified
from edge_sdk.policy.slate import Slate, earlier_of_same, pin_places
from edge_sdk.policy.slate_caps import over_budget, over_caps
from edge_sdk.policy.stages import Stages
from edge_sdk.policy.targeting import budget_bits, quiet_bits
from edge_sdk.reasons import Reason
from edge_sdk.types import F32, I64, Mask, by_score

_NO_DRAW: Final = Exploration()


class Setting(NamedTuple):
    """All that the steps look at, besides scores."""

    policy: Policy
    rations: tuple[int, ...]  # `rationing.rations`
    is_plain: bool  # nothing is asked for but weights and who may stand: `arrange` takes a short way
    prepared: CandidateSet
    memory: Memory
    evaluated: EvaluatedRules
    now_ms: int
    utc_offset_s: int
    cost_weight: float  # λ in force
    budget_left: float  # infinity = no budget
    limit: int | None
    seed: int
    number: int  # the decision's

    @property
    def size(self) -> int:
        """Places on the slate."""
        count = len(self.prepared.rows)
        return count if self.limit is None else min(count, max(0, self.limit))


class Arranged(NamedTuple):
    """What becomes of the candidates."""

    stages: Stages
    dropped_bits: I64 | None  # (C,) None = all stand
    standing: I64  # (S,) in their final order
    pinned: tuple[int, ...]  # candidate indices
    draw: Draw


def dropped(setting: Setting) -> tuple[I64 | None, Mask | None]:
    """Reason bits (C,) of the candidates that rules about who may stand take out, None = all may; and who may, (C,)."""
    policy, prepared, now_ms = setting.policy, setting.prepared, setting.now_ms
    held = setting.evaluated.held_now(setting.memory.caps, prepared.cap_cells, now_ms)
    bits = held.bits
    if policy.quiet_hours:
        bits = _both(bits, quiet_bits(policy, prepared.candidates, now_ms, setting.utc_offset_s))
    if setting.budget_left < prepared.dearest:
        bits = _both(bits, budget_bits(prepared.costs, setting.budget_left))
    if bits is held.bits:
        return bits, held.stands
    return bits, None if bits is None else bits == 0


def arrange(setting: Setting, base: F32, model: F32, model_weight: float) -> Arranged:
    """The whole policy.

    Args:
        setting: what the steps look at.
        base: (C,) fused base logits.
        model: (C,) the model's fused logits.
        say: the device's, 0 to 1.
    """
    policy, prepared = setting.policy, setting.prepared
    if setting.is_plain and model_weight == 1.0:
        return _plainly_arranged(setting, base, model)
    shifted = adjusted(base, model, model_weight, policy.max_score_change)
    boosted, anchor = shifted, base
    boost = setting.evaluated.boost
    if boost is not None:
        boosted, anchor = shifted + boost, base + boost
    priced = boosted
    if setting.cost_weight and prepared.dearest:
        cost = np.float32(setting.cost_weight) * prepared.costs
        priced, anchor = boosted - cost, anchor - cost
    taken = _Taken(*dropped(setting), len(base))
    order, pins = _fitting(setting, by_score(priced), taken)
    held = priced
    if policy.max_rank_change is not None and len(order) > policy.max_rank_change + 1:
        held, order = bounded(priced, order, taken.standing(by_score(anchor)), policy.max_rank_change)
    final = held
    if policy.diversity and len(order):
        final = diversified(held, order, prepared.categories, policy.diversity)
        order = taken.standing(by_score(final))
    stages = Stages(base, model, shifted, boosted, priced, held, final)
    return _listed(setting, stages, order, pins, taken, policy.exploration)


def is_plain(policy: Policy, rations: tuple[int, ...]) -> bool:
    """Whether a policy asks for nothing but weights and who may stand; boosts and pins are of a situation."""
    asks = (
        policy.quiet_hours,
        policy.budget,
        policy.cost_weight,
        policy.diversity,
        policy.full_events,
        rations,
        policy.exploration.mode is not Explore.OFF,
    )
    bounds = (policy.max_score_change, policy.max_rank_change, policy.minimum_score, policy.category_limits)
    return not any(asks) and all(bound is None for bound in bounds)


def base_arranged(setting: Setting) -> Arranged:
    """The base order under the rules that take offers out and the slate's rules: nothing that needs scores."""
    prepared = setting.prepared
    taken = _Taken(*dropped(setting), len(prepared.rows))
    order, pins = _fitting(setting, prepared.order, taken)
    return _listed(setting, Stages.of_base(prepared.scores), order, pins, taken, _NO_DRAW)


def still_allowed(setting: Setting, standing: I64) -> bool:
    """Whether no rule takes out any of these candidates (S,), or leaves too little room for them together."""
    _, stands = dropped(setting)
    if stands is not None and not stands[standing].all():
        return False
    return not _beyond(setting, standing, ())


def _plainly_arranged(setting: Setting, base: F32, model: F32) -> Arranged:
    """The same where nothing is asked for: 4% of a decision less than asking each step."""
    bits, stands = dropped(setting)
    order = by_score(model)
    if stands is not None:
        order = order[stands[order]]
    draw = Draw(_NO_DRAW, model, Slate(order, (), (), None, None), order)
    return Arranged(Stages(base, model, model, model, model, model, model), bits, order, (), draw)


class _Taken:
    """Reason bits that grow from step to step; the array that came in is not changed."""

    def __init__(self, bits: I64 | None, stands: Mask | None, count: int) -> None:
        self.bits, self._stands, self._count, self._is_own = bits, stands, count, False

    def out(self, candidates: I64, reason: Reason) -> None:
        """Take these out, for this reason."""
        if not len(candidates):
            return
        if self.bits is None or not self._is_own:
            self.bits = np.zeros(self._count, np.int64) if self.bits is None else self.bits.copy()
            self._is_own = True
        self.bits[candidates] |= int(reason)
        self._stands = self.bits == 0

    def standing(self, order: I64) -> I64:
        """Those of an order that stand, (S,)."""
        return order if self._stands is None else order[self._stands[order]]


def _both(one: I64 | None, other: I64 | None) -> I64 | None:
    if one is None or other is None:
        return other if one is None else one
    both: I64 = one | other
    return both


class _Pins(NamedTuple):
    """Who has a place of its own, by place."""

    candidates: tuple[int, ...]
    places: tuple[int, ...]


_NO_PINS: Final = _Pins((), ())


def _fitting(setting: Setting, best_first: I64, taken: _Taken) -> tuple[I64, _Pins]:
    """One touch of each offer, so that all of them fit into one slate under what caps and budget have left.

    Where an offer's best touch does not fit, its next one has its turn.

    Args:
        setting: what the steps look at.
        best_first: (C,) candidate indices.
        taken: who does not stand.

    Returns:
        (S,) candidate indices that stand, best first, and who of them is pinned.
    """
    prepared = setting.prepared
    while True:
        order, others = taken.standing(best_first), None
        if prepared.has_repeats:
            of = prepared.rows[order]
            is_other = (earlier_of_same(of) > 0) & (of > 0)  # of unknown offers nobody can say
            order, others = order[~is_other], order[is_other]
        pins = _pins(setting, order) if setting.evaluated.pins else _NO_PINS
        beyond = _beyond(setting, order, pins.candidates) if setting.rations or setting.policy.budget else ()
        for candidates, reason in beyond:
            taken.out(candidates, reason)
        if not beyond:
            if others is not None:
                taken.out(others, Reason.OTHER_TREATMENT)
            return order, pins


def _listed(
    setting: Setting, stages: Stages, order: I64, pins: _Pins, taken: _Taken, exploration: Exploration
) -> Arranged:
    """The null option, the draw, category limits and pins.

    Args:
        setting: what the steps look at.
        stages: scores.
        order: (S,) candidate indices that stand, best first.
        pins: who of them has a place.
        taken: who does not stand.
        exploration: how the order is drawn.
    """
    policy, prepared = setting.policy, setting.prepared
    if policy.minimum_score is not None and len(order) and stages.final[order[-1]] < np.float32(policy.minimum_score):
        is_below = stages.final < np.float32(policy.minimum_score)
        is_below[list(pins.candidates)] = False  # whoever is pinned stays
        taken.out(order[is_below[order]], Reason.BELOW_MINIMUM)
        order = taken.standing(order)
    limits = policy.category_limits
    slate = Slate(order, pins.candidates, pins.places, None if limits is None else prepared.categories, limits)
    drawn = order
    if exploration.mode is not Explore.OFF:
        drawn = drawn_order(exploration, stages.final, slate, setting.seed, setting.number)
    standing = slate.listed(drawn)
    if len(standing) < len(drawn):
        is_out = np.ones(len(prepared.rows), np.bool_)
        is_out[standing] = False
        taken.out(drawn[is_out[drawn]], Reason.CATEGORY_FULL)
    draw = Draw(exploration, stages.final, slate, drawn)
    return Arranged(stages, taken.bits, standing, pins.candidates, draw)


def _pins(setting: Setting, order: I64) -> _Pins:
    """Who is pinned, of those that stand (best first)."""
    wanted: list[tuple[int, int]] = []
    for rule, mask in setting.evaluated.pins:
        best = order[mask[order]][: rule.count].tolist()
        wanted += [(candidate, rule.place + number) for number, candidate in enumerate(best)]
    return _Pins(*pin_places(wanted))


def _beyond(setting: Setting, order: I64, pinned: tuple[int, ...]) -> list[tuple[I64, Reason]]:
    """Those that one slate has no room for under caps and budget, and why; whoever is pinned comes first."""
    prepared, size, caps = setting.prepared, setting.size, setting.memory.caps
    if not size:
        return []  # nothing is shown, so nothing goes beyond
    rooms = [(caps.rules[index], caps.left(index, prepared.rows, size, setting.now_ms)) for index in setting.rations]
    is_dear = prepared.dearest_slate(size) > setting.budget_left
    if not is_dear and all(room is None for _, room in rooms):
        return []  # mostly
    is_out = np.zeros(len(prepared.rows), np.bool_)
    by_right = np.array([*pinned, *(index for index in order.tolist() if index not in pinned)], np.int64)
    found = []
    for rule, room in rooms:
        if room is not None:
            beyond = over_caps(by_right[~is_out[by_right]], rule, room, setting.policy, prepared)
            is_out[beyond] = True
            found.append((beyond, rule.reason))
    if is_dear:
        left = by_right[~is_out[by_right]]
        found.append((over_budget(left, size, prepared.costs, setting.budget_left), Reason.OVER_BUDGET))
    return [(candidates, reason) for candidates, reason in found if len(candidates)]
