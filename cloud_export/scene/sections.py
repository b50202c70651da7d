"""The sections of a scene file as frozen models, field by field; docs/scene.md explains them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from cloud_export.scene.policy_sections import ChannelFields, Machine, Policy
from cloud_export.scene.types import Finite, Language, Seconds, Section, Text, Texts, Translations, Word


class Identity(Section):
    """[scene]"""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
    objective_order: Annotated[tuple[Word, ...], Field(min_length=1)]


class EventColumns(Section):
    """[columns.events]: field -> its column."""

    user: Text = "user"
    time: Text = "time"
    kind: Text = "kind"
    item: Text = "item"
    value: Text | None = None
    utc_offset_s: Text | None = None


class DecisionColumns(Section):
    """[columns.decisions]; `context` maps a field of [context] to its column."""

    decision: Text = "decision"
    user: Text = "user"
    time: Text = "time"
    candidates: Text = "candidates"
    outcomes: Text = "outcomes"
    shown: Text | None = None
    propensities: Text | None = None
    context: dict[str, Text] = Field(default={})


class OfferColumns(Section):
    """[columns.offers]"""

    offer: Text = "offer"
    category: Text | None = None
    rankable: Text | None = None
    valid_from: Text | None = None
    valid_until: Text | None = None
    cost: Text | None = None


class UserColumns(Section):
    """[columns.users]; the attributes stay in the cloud."""

    user: Text = "user"
    attributes: tuple[Text, ...] = ()


class Columns(Section):
    """[columns]"""

    events: EventColumns = EventColumns()
    decisions: DecisionColumns = DecisionColumns()
    offers: OfferColumns = OfferColumns()
    users: UserColumns = UserColumns()


class Session(Section):
    """[events.session]: a pause longer than `gap_s` ends a session. `activity` defaults to all recorded kinds."""

    gap_s: Seconds
    start: Text | None = None
    end: Text | None = None
    activity: Texts = ()


class Dwell(Section):
    """[[events.dwell]]: the time that the user stayed with an item. `activity` defaults to all recorded kinds."""

    kind: Text
    of: Texts
    longest_s: Seconds = 600
    activity: Texts = ()


class Ignored(Section):
    """[[events.ignored]]: `count` events of `seen` without one of `reset_by` in between."""

    kind: Text
    seen: Texts
    reset_by: Texts
    count: Annotated[int, Field(ge=1, le=65_535)]


class Events(Section):
    """[events]; `feedback` maps an outcome to the kind that records it."""

    kinds: Texts  # the recorded kinds; a log has no others
    shown: Text | None = None
    feedback: dict[str, Text] = Field(default={})
    session: Session | None = None
    dwell: tuple[Dwell, ...] = ()
    ignored: tuple[Ignored, ...] = ()

    @property
    def derived_kinds(self) -> dict[str, str]:
        """The path of each derived kind -> the kind, in the order of their table rows."""
        named: dict[str, str | None] = {}
        if self.session:
            named = {"events.session.start": self.session.start, "events.session.end": self.session.end}
        named |= {f"events.dwell[{index}].kind": rule.kind for index, rule in enumerate(self.dwell)}
        named |= {f"events.ignored[{index}].kind": rule.kind for index, rule in enumerate(self.ignored)}
        return {field: kind for field, kind in named.items() if kind is not None}

    @property
    def all_kinds(self) -> tuple[str, ...]:
        """The recorded kinds, then the derived ones, in the order of their table rows."""
        return (*self.kinds, *self.derived_kinds.values())

    @property
    def kinds_about_nothing(self) -> frozenset[str]:
        """The derived kinds whose events are about no item."""
        return frozenset(self.derived_kinds.values()) - {rule.kind for rule in self.dwell}


class Derivation(Section):
    """[decisions]: the rules that derive decisions from events where there is no decision log."""

    positive_kinds: Texts
    objective: Text
    at: Literal["previous_event"] = "previous_event"
    candidates: Literal["all"] = "all"


class CatalogueRules(Section):
    """[catalog]"""

    category_pattern: Text | None = None


class Refresh(Section):
    """[refresh]: when the cloud makes its base decisions."""

    every_hours: Annotated[int, Field(ge=1, le=8760)] = 24
    at_hour_utc: Annotated[int, Field(ge=0, le=23)] = 0


class Split(Section):
    """[split]: the users and times that are kept for the test."""

    by: Literal["user_and_time", "user_start"] = "user_and_time"
    test_users: Annotated[float, Field(gt=0, lt=1)] = 0.2
    test_time: Annotated[float, Field(gt=0, lt=1)] = 0.25


class Model(Section):
    """[model]: the device model and its training. `window_kinds` and `counter_kinds` default to all kinds, the derived
    ones included (counters: those that are about an item).
    """

    window: Annotated[int, Field(ge=1, le=1024)] = 32
    window_kinds: Texts = ()
    counter_kinds: Texts = ()
    half_lives_s: Annotated[tuple[Seconds, ...], Field(min_length=1, max_length=16)] = (300, 21_600, 604_800)
    dimension: Annotated[int, Field(ge=1, le=256)] = 16
    loss: Literal["binary", "softmax"] = "binary"
    epochs: Annotated[int, Field(ge=1, le=1000)] = 14
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 6e-3
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 1e-4
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    batch_size: Annotated[int, Field(ge=1, le=1_048_576)] = 1024
    min_item_count: Annotated[int, Field(ge=1, le=1_000_000_000)] = 5


class Retention(Section):
    """[retention]: the maximum age of events on the device; `kinds` maps a kind to its own `max_age_s`."""

    max_age_s: Seconds | None = None
    kinds: dict[str, Seconds] = Field(default={})


class Attributes(Section):
    """[attributes]: numbers that the app passes to `rank`, for conditions of the policy."""

    names: tuple[Word, ...] = ()


class Scene(Section):
    """A checked scene: the sections of the file, with defaults."""

    scene: Identity
    columns: Columns = Columns()
    events: Events
    retention: Retention = Retention()
    context: dict[Word, Texts] = Field(default={})
    decisions: Derivation | None = None
    catalog: CatalogueRules = CatalogueRules()
    refresh: Refresh = Refresh()
    split: Split = Split()
    model: Model = Model()
    objectives: dict[str, Finite] = Field(default={})
    policy: Policy = Policy()
    channels: dict[Word, ChannelFields] = Field(default={})
    variants: tuple[Text, ...] = ()
    attributes: Attributes = Attributes()
    machines: tuple[Machine, ...] = ()
    texts: dict[Language, Translations] = Field(default={})

    @property
    def name(self) -> str:
        """`scene.name` of the file."""
        return self.scene.name

    @property
    def objective_order(self) -> tuple[str, ...]:
        """The objectives in the order of `outcomes` in the decision log and of the model's outputs."""
        return self.scene.objective_order
