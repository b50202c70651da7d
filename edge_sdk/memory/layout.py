"""The layout of memory: rows, kinds, half-lives and the rules that count events. Data without behaviour."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edge_sdk.memory.caps import CapRule
from edge_sdk.memory.decay import DecayTables
from edge_sdk.memory.derived_rules import NOTHING_DERIVED, DerivedRules
from edge_sdk.memory.spending import SpendingRule
from edge_sdk.memory.state_machines import MachineRule
from edge_sdk.memory.targets import Scope, target_rows
from edge_sdk.types import I32, I64, U32
from edge_sdk.vocabulary import Vocabulary, name_id


class KindRule(NamedTuple):
    """What one kind of event feeds."""

    row: int  # of the model's kind table, from 1
    in_window: bool
    counter: int  # index of its decayed counters; -1 = not counted
    keep_s: int = 0  # the log and the window hold it no longer than this; 0 = as long as there is room


class MemoryLayout(NamedTuple):
    """What a bundle and the policy in force make memory count."""

    window: int  # N
    kinds: dict[int, KindRule]  # by kind id
    items: Vocabulary
    offers: Vocabulary
    category_rows: int  # categories + 1
    counter_kinds: int  # KC
    decays: tuple[DecayTables, ...]  # H half-lives
    caps: tuple[CapRule, ...]
    derived: DerivedRules = NOTHING_DERIVED
    category_ids: tuple[int, ...] = ()  # crc32 of names, row 1 first; () = the rows stand for themselves
    machines: tuple[MachineRule, ...] = ()
    spending: SpendingRule | None = None
    # crc32 of each machine's name and then of its states' names; () = the names are there to take them from
    machine_ids: tuple[tuple[int, ...], ...] = ()

    def counts_differently(self, other: MemoryLayout) -> bool:
        """Returns whether the caps or the budget of another policy of the same bundle count other events."""
        return self.caps != other.caps or self.spending != other.spending

    @property
    def counter_features(self) -> int:
        """F = 2·KC·H: of the offer itself (kind-major), then of its category."""
        return 2 * self.counter_kinds * len(self.decays)

    def counter_slots(self, offer_rows: I64 | I32) -> I64:
        """Where the counters of each offer and of its category lie, (C, 2): offer rows come first, then categories."""
        categories = self.offers.row_category[offer_rows] + len(self.offers) + 1
        return np.stack([offer_rows, categories], axis=1).astype(np.int64)

    @property
    def categories(self) -> U32:
        """The id of each category, row 1 first; it outlives bundles, a row does not."""
        return np.array(self.category_ids or range(1, self.category_rows), np.uint32)

    @property
    def machine_names(self) -> tuple[tuple[int, ...], ...]:
        """Of each machine the ids of its name and of its states' names, in order: they outlive bundles."""
        return self.machine_ids or tuple(tuple(map(name_id, (rule.name, *rule.states))) for rule in self.machines)

    def target_rows(self, per: Scope) -> int:
        """How many rows the targets of a rule have, row 0 among them."""
        return target_rows(per, len(self.offers) + 1, self.category_rows)

    def has_categories_of(self, other: MemoryLayout) -> bool:
        """Whether every item and every offer is of the same category in both."""
        tables = ((self.items, other.items), (self.offers, other.offers))
        return np.array_equal(self.categories, other.categories) and all(
            mine.has_ids_of(theirs) and np.array_equal(mine.row_category, theirs.row_category)
            for mine, theirs in tables
        )
