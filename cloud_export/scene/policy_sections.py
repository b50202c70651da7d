"""The sections of a scene file for the policy, channels and machines; docs/scene.md explains them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from cloud_export.scene.types import ChannelNames, Count, Finite, Names, NotNegative, Seconds, Section, Text, Word
from edge_sdk.memory.spending import UNITS_PER_ONE

SPANS_S = {"hour": 3600, "day": 86_400, "week": 604_800, "total": 0}  # 0 = for ever
U32_MAX = 4_294_967_295
LOCAL, UTC = "local", "utc"  # time bases that name no zone

Clock = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]


class Condition(Section):
    """An entry of a rule's `when`: one of these values, or a number within bounds."""

    one_of: Names = ()
    at_least: Finite | None = None
    below: Finite | None = None


def _condition(value: object) -> object:
    if isinstance(value, str):
        return {"one_of": (value,)}
    if isinstance(value, tuple):
        return {"one_of": value}
    if isinstance(value, dict | Condition):
        return value
    raise PydanticCustomError("condition", "write a value, a list of values, or { at_least = 1, below = 5 }")


Conditions = dict[Word, Annotated[Condition, BeforeValidator(_condition)]]


class Selecting(Section):
    """The targets and conditions of a rule: offers or categories (none = every offer), channels, and `when`."""

    name: Text | None = None
    category: Names = ()
    offers: Names = ()
    channel: ChannelNames = ()
    when: Conditions = Field(default={})


class Eligibility(Selecting):
    """[[policy.eligibility]]: the rule's offers are eligible only while all conditions are true."""


class Block(Selecting):
    """[[policy.blocks]]: the rule's offers are not eligible while all conditions are true."""

    by: Literal["operator", "user"] = "operator"


class Pin(Selecting):
    """[[policy.pins]]: the best `count` eligible offers of the rule take the places from `place` on."""

    by: Literal["operator", "user"] = "operator"
    place: Count
    count: Count = 1


class WeightRule(Section):
    """[[policy.weights]]: other weights while all conditions, which concern the user only, are true."""

    name: Text | None = None
    when: Conditions = Field(default={})
    weights: dict[str, Finite]


class Boost(Selecting):
    """[[policy.boosts]]: adds `add`, a logit, to the scores of the rule's offers."""

    add: Finite


class Counted(Section):
    """The events that a cap or a cooldown counts; with per = "channel", the impressions of the channel."""

    name: Text | None = None
    kind: Names = ()
    per: Literal["offer", "category", "channel", "user"] = "offer"
    channel: ChannelNames = ()


class Cap(Counted):
    """[[policy.caps]]: at most `limit` events of `kind` within a time."""

    limit: Count
    within_s: Seconds | None = None
    within: Literal["hour", "day", "week", "total"] | None = None

    @property
    def span_s(self) -> int:
        """The time in seconds; 0 = for ever."""
        return self.within_s or SPANS_S[self.within or "total"]


class Cooldown(Counted):
    """[[policy.cooldowns]]: suppresses for `rest_s` seconds after an event of `kind`."""

    rest_s: Seconds


class QuietHours(Section):
    """[[policy.quiet_hours]]: suppresses candidates of these channels between two times of the local day."""

    name: Text | None = None
    channel: ChannelNames = ()
    from_: Annotated[Clock, Field(alias="from")]
    until: Clock


class WarmUp(Section):
    """[policy.warm_up]: the numbers of window events at which the model starts to count, and counts in full.

    `full_events` defaults to `min_events`.
    """

    min_events: Annotated[int, Field(ge=0, le=1024)] = 0
    full_events: Annotated[int, Field(ge=0, le=1024)] | None = None


class ModelBounds(Section):
    """[policy.model_bounds]: how far the model may move an offer from the base order."""

    max_rank_change: Annotated[int, Field(ge=0, le=65_535)] | None = None
    max_score_change: NotNegative | None = None


class Cost(Section):
    """[policy.cost]: the amount, a logit, that a unit of cost takes off the score."""

    weight: NotNegative = 0.0


class Budget(Section):
    """[policy.budget]: the highest spending of the device in a period."""

    amount: NotNegative
    period_s: Seconds | None = None
    period: Literal["hour", "day", "week"] | None = None
    pacing_gain: NotNegative = 0.0
    units_per_one: Annotated[int, Field(ge=1, le=U32_MAX)] = UNITS_PER_ONE

    @property
    def span_s(self) -> int:
        """The period in seconds."""
        return self.period_s or SPANS_S[self.period or "day"]


class Minimum(Section):
    """[policy.minimum]: suppresses offers with a lower score."""

    score: Finite
    retry_after_s: Annotated[int, Field(ge=0, le=315_360_000)] = 0


class Exploration(Section):
    """[policy.exploration]: draws the order at random, so that other offers are shown too."""

    mode: Literal["off", "epsilon_greedy", "softmax"] = "off"
    epsilon: Annotated[float, Field(ge=0, le=1)] | None = None
    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None


class Policy(Section):
    """[policy]; nothing by default."""

    version: Annotated[int, Field(ge=0, le=U32_MAX)] = 0
    time_base: Text = LOCAL
    eligibility: tuple[Eligibility, ...] = ()
    blocks: tuple[Block, ...] = ()
    pins: tuple[Pin, ...] = ()
    weights: tuple[WeightRule, ...] = ()
    boosts: tuple[Boost, ...] = ()
    caps: tuple[Cap, ...] = ()
    cooldowns: tuple[Cooldown, ...] = ()
    quiet_hours: tuple[QuietHours, ...] = ()
    warm_up: WarmUp = WarmUp()
    model_bounds: ModelBounds = ModelBounds()
    cost: Cost = Cost()
    budget: Budget | None = None
    diversity: NotNegative = 0.0
    category_limits: dict[Text, Count] = Field(default={})
    minimum: Minimum | None = None
    exploration: Exploration = Exploration()

    @property
    def time_zone(self) -> str | None:
        """The zone that the time base names; None = it names none."""
        return None if self.time_base in (LOCAL, UTC) else self.time_base

    @property
    def conditions(self) -> dict[str, Conditions]:
        """The path of every rule that has conditions -> its conditions."""
        lists: dict[str, Sequence[Selecting | WeightRule]] = {
            "eligibility": self.eligibility,
            "blocks": self.blocks,
            "pins": self.pins,
            "weights": self.weights,
            "boosts": self.boosts,
        }
        return {
            f"policy.{name}[{index}].when": rule.when
            for name, rules in lists.items()
            for index, rule in enumerate(rules)
        }

    @property
    def counted(self) -> dict[str, Cap | Cooldown]:
        """The path of every cap and cooldown -> the rule."""
        caps: dict[str, Cap | Cooldown] = {f"policy.caps[{index}]": cap for index, cap in enumerate(self.caps)}
        return caps | {f"policy.cooldowns[{index}]": rest for index, rest in enumerate(self.cooldowns)}


class ChannelFields(Section):
    """[channels.<name>]: a way to reach the user other than the app itself."""

    shown: Text | None = None
    cost: NotNegative = 0.0


class Step(Section):
    """A step of a machine: at the `count`-th event of `on`, or after `after_s` seconds in a state."""

    from_: Annotated[Names, Field(alias="from")] = ()
    on: Text | None = None
    count: Count = 1
    after_s: Seconds | None = None
    to: Text


class Machine(Section):
    """[[machines]]: states that change by events and time; the first is the initial state."""

    name: Word
    per: Literal["user", "offer", "category"] = "user"
    states: Annotated[tuple[Text, ...], Field(min_length=1, max_length=255)]
    steps: tuple[Step, ...] = ()
