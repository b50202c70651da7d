"""A policy compiled for one memory layout: everything that its steps need and no decision changes."""

from __future__ import annotations

import numpy as np

from edge_sdk.memory.layout import MemoryLayout
from edge_sdk.memory.spending import UNITS_PER_ONE
from edge_sdk.memory.targets import Scope
from edge_sdk.policy.frequency_caps import FrequencyCaps
from edge_sdk.policy.rules import Explore, Policy


class CompiledPolicy:
    """One policy in force: compiled once, read at every decision."""

    def __init__(self, policy: Policy, layout: MemoryLayout) -> None:
        """Compiles `policy` for a memory that counts the events the policy needs (`Policy.counted_in`)."""
        self.rules = policy
        self.caps = FrequencyCaps(policy.caps, layout)
        # By candidate row, its category row and counter slots; by category id, the row of its unknown offers.
        self.categories = layout.candidate_categories
        self.slots = layout.counter_slots(np.arange(len(self.categories)))
        stand_ins = range(len(layout.offers) + 1, len(self.categories))
        self.stand_ins = dict(zip(layout.categories.tolist(), stand_ins, strict=True))
        self.slate_caps = _slate_caps(policy)
        self.is_plain = _is_plain(policy) and not self.slate_caps
        self.target_machines = _target_machines(policy)
        budget = policy.budget
        self.reads_local_time = bool(policy.quiet_hours) or (budget is not None and budget.periods.is_local)
        self.units_per_one = budget.units_per_one if budget else UNITS_PER_ONE
        self.fits_slates = bool(self.slate_caps or policy.budget)  # a whole slate can exceed a cap or the budget


def _slate_caps(policy: Policy) -> tuple[int, ...]:
    """Returns the indices of the caps that one slate can exceed.

    These caps count shown offers, for more than one offer together.
    """
    shown = {channel.shown_kind for channel in policy.channels}
    return tuple(
        index
        for index, cap in enumerate(policy.caps)
        if cap.counted.per is not Scope.OFFER and shown & {*cap.counted.kinds}
    )


def _is_plain(policy: Policy) -> bool:
    """Returns whether a policy has only weights and rules that suppress offers.

    Boosts and pins depend on the context: `PolicyInputs.is_plain` checks them at each decision.
    """
    steps = (
        policy.quiet_hours,
        policy.budget,
        policy.cost_weight,
        policy.diversity,
        policy.full_events,
        policy.exploration.mode is not Explore.OFF,
    )
    bounds = (policy.max_score_change, policy.max_rank_change, policy.minimum_score, policy.category_limits)
    return not any(steps) and all(bound is None for bound in bounds)


def _target_machines(policy: Policy) -> tuple[int, ...]:
    """Returns the indices of the machines per offer or category that a rule reads."""
    conditions = [rule.when for rules in (policy.drops, policy.boosts, policy.pins) for rule in rules]
    return tuple(sorted({condition.machine for when in conditions for condition in when.of_target}))
