"""Policy rules as data, resolved to a bundle's rows: goals, limits and rules. No behaviour except look-ups.

The steps that apply the rules, in their order: `eligibility.py` and `frequency_caps.py` (which candidates are
suppressed), `scoring.py` (scores), `rank_bound.py` (how far the model may move an offer), `exploration.py` (the draw),
`slate.py` (the list). docs/policy.md explains the rules; `bundle/policy_reader.py` reads them from a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np

from edge_sdk.memory.layout import MemoryLayout
from edge_sdk.memory.spending import UNITS_PER_ONE, Periods, SpendingRule, units
from edge_sdk.policy.conditions import Conditions, ContextField, OfferSelector
from edge_sdk.policy.frequency_caps import FrequencyCap
from edge_sdk.reasons import Reason
from edge_sdk.types import F32, I64

NO_LIMIT: Final = 1 << 30  # of the offers of one category on a slate


class Channel(NamedTuple):
    """A way to reach the user. Index 0 of a policy's channels is the app itself, named ""."""

    name: str
    shown_kind: int  # kind id that `Engine.shown` records for it; 0 = none
    cost: float  # of showing one offer, added to the offer's cost


class DropRule(NamedTuple):
    """Suppresses the selected candidates while the conditions match (a block), or unless they do (eligibility)."""

    name: str
    selection: OfferSelector
    when: Conditions
    drops_when: bool  # True: while the conditions match; False: unless they do
    reason: Reason


class QuietHours(NamedTuple):
    """Suppresses candidates of some channels in some minutes of the local day."""

    name: str
    channels: frozenset[int] | None  # None = all
    from_minute: int  # 0…1439
    until_minute: int  # 0…1439, exclusive; below `from_minute`: over midnight


class WeightRule(NamedTuple):
    """Sets the objective weights while the conditions match; the first rule that matches applies."""

    name: str
    when: Conditions  # of the user only
    weights: F32  # (K,)


class Boost(NamedTuple):
    """Adds to the score of the selected candidates while the conditions match. A boost without conditions is a bias."""

    name: str
    selection: OfferSelector
    when: Conditions
    add: np.float32


class Pin(NamedTuple):
    """Pins the best `count` eligible candidates of the selected to the places from `place` on.

    Applies while the conditions match.
    """

    name: str
    selection: OfferSelector
    when: Conditions
    place: int  # 0 = first
    count: int  # type: ignore[assignment]  # hides `tuple.count`, which is not used
    by_user: bool


class Budget(NamedTuple):
    """The amount that the device may spend in a period, and how the cost weight follows the spending."""

    amount: float  # of costs, in one period
    periods: Periods
    pacing_gain: float  # 0 = the cost weight is constant
    kinds: frozenset[int] = frozenset()  # kind ids of shown events; the sum of their values is the spending
    units_per_one: int = UNITS_PER_ONE  # costs are summed and compared in whole units

    @property
    def amount_units(self) -> int:
        """Returns the amount in units."""
        return units(self.amount, self.units_per_one)

    @property
    def spending(self) -> SpendingRule:
        """Returns what memory counts for it."""
        return SpendingRule(self.kinds, self.periods, self.units_per_one)


class Explore(IntEnum):
    """The modes of exploration."""

    OFF = 0
    EPSILON_GREEDY = 1
    SOFTMAX = 2  # Plackett–Luce


class Exploration(NamedTuple):
    """The mode of exploration and its parameter."""

    mode: Explore = Explore.OFF
    epsilon: float = 0.0  # EPSILON_GREEDY: probability that the first place is drawn uniformly
    temperature: float = 1.0  # SOFTMAX: scores are divided by this


class Policy(NamedTuple):
    """Everything that the operator sets for a scene: goals, limits and rules."""

    objectives: tuple[str, ...]
    weights: F32  # (K,)
    context: tuple[ContextField, ...]
    valid_from_ms: I64  # (offers + 1,) 0 = always
    valid_until_ms: I64  # (offers + 1,) 0 = for ever
    offer_costs: F32  # (offers + 1,)
    version: int = 0
    channels: tuple[Channel, ...] = (Channel("", 0, 0.0),)
    variants: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    drops: tuple[DropRule, ...] = ()  # eligibility, then blocks
    caps: tuple[FrequencyCap, ...] = ()  # and cooldowns
    quiet_hours: tuple[QuietHours, ...] = ()
    weight_rules: tuple[WeightRule, ...] = ()
    boosts: tuple[Boost, ...] = ()
    min_events: int = 0
    full_events: int = 0  # at least min_events
    max_score_change: float | None = None  # logit
    max_rank_change: int | None = None  # places
    cost_weight: float = 0.0  # λ
    budget: Budget | None = None
    diversity: float = 0.0  # logit, for each better offer of the same category
    minimum_score: float | None = None
    retry_after_s: int = 0
    exploration: Exploration = Exploration()
    category_limits: I64 | None = None  # (categories + 1,) by category row, row 0 = none: NO_LIMIT
    pins: tuple[Pin, ...] = ()
    time_zone: str = ""  # whose time quiet hours and local periods are in, an IANA name; "" = the device's

    @property
    def context_features(self) -> int:
        """Returns X, the number of values of all context fields; at least 1, because a graph input may not be empty."""
        return max(1, sum(len(field.values) for field in self.context))

    def counted_in(self, layout: MemoryLayout) -> MemoryLayout:
        """Returns the layout of a memory that counts the events this policy's caps and budget need."""
        spending = None if self.budget is None else self.budget.spending
        return layout._replace(caps=tuple([cap.counted for cap in self.caps]), spending=spending)

    def chosen(self, context: Mapping[str, str]) -> tuple[int, ...]:
        """Returns the value index of each context field; -1 = not given.

        Raises:
            KeyError: a field that the scene does not declare.
            ValueError: a value that the field does not list.
        """
        unknown = set(context).difference(field.name for field in self.context)
        if unknown:
            raise KeyError(sorted(unknown)[0])
        given = [(field, context.get(field.name)) for field in self.context]
        return tuple(-1 if value is None else field.values.index(value) for field, value in given)

    def one_hot(self, chosen: tuple[int, ...]) -> F32:
        """Returns the one-hot vector (X,) that the model reads."""
        vector = np.zeros(self.context_features, np.float32)
        at = 0
        for field, index in zip(self.context, chosen, strict=True):
            if index >= 0:
                vector[at + index] = 1.0
            at += len(field.values)
        return vector
