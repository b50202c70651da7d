"""What the device must know of a scene and its log: table rows, decay tables, rules. Built once, used by the replay, by
training and by the packer, so that they cannot disagree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from cloud_export.data.log import Log
from cloud_export.errors import LogError, SceneError, SceneProblem
from cloud_export.scene.load import Scene
from cloud_export.scene.machines import machine_rule
from cloud_export.scene.policy_table import policy_table, shown_kind
from cloud_export.scene.sections import Events
from edge_sdk.bundle.policy_reader import read_policy
from edge_sdk.bundle.policy_symbols import PolicySymbols
from edge_sdk.memory.decay import DecayTables
from edge_sdk.memory.derived_rules import DerivedRules, DwellRule, IgnoredRule, SessionRule
from edge_sdk.memory.layout import KindRule, MemoryLayout
from edge_sdk.policy.conditions import ContextField
from edge_sdk.policy.rules import Channel, Policy
from edge_sdk.vocabulary import Vocabulary, category_id, item_id, kind_id

I32 = npt.NDArray[np.int32]
U32 = npt.NDArray[np.uint32]

ROWS_MAX = 65_535  # offers, categories: u16 in the format, row 0 taken


class OfferCollisionError(LogError):
    """Two offers share an id on the device."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"offers {first!r} and {second!r} have the same 32-bit id; rename one of them")


class TooManyRowsError(LogError):
    """A table is larger than its 16-bit row numbers."""

    def __init__(self, table: str, rows: int) -> None:
        super().__init__(f"{rows} {table}, {ROWS_MAX} at most; split the scene, or merge the rarest")


class ItemNameError(LogError):
    """A name that the bundle cannot hold."""

    def __init__(self, name: str) -> None:
        super().__init__(f"item {name!r} has a line break in its name, which separates names in a bundle; rename it")


@dataclass(frozen=True, slots=True, eq=False)
class DeviceLayout:
    """The device's view of a log."""

    memory: MemoryLayout
    policy: Policy
    words: PolicySymbols  # what a policy of the scene may refer to
    item_ids: U32  # (I,) device id of every item of the log
    kind_ids: npt.NDArray[np.uint16]  # (recorded kinds,) device id of every kind of the log, by its code there
    offer_row: I32  # (I,) offer row of every item of the log; 0 = no offer
    kinds: tuple[str, ...]  # names in row order, row 1 first: the recorded ones, then the derived ones
    categories: tuple[str, ...]  # names in row order, row 1 first

    @property
    def offers(self) -> int:
        """O, the offers."""
        return len(self.memory.offers)


def build_layout(scene: Scene, log: Log, *, training_events: npt.NDArray[np.bool_]) -> DeviceLayout:
    """Lay out the device's tables.

    Args:
        scene: the scene.
        log: the log.
        training_events: (E,) the events that may be learned from; an item needs `model.min_item_count` of them for a
            row of its own.

    Raises:
        OfferCollisionError: two offers share an id.
        ItemNameError: a name has a line break.
        TooManyRowsError: more offers or categories than the format can number.
    """
    for table, names in (("offers", log.catalogue.offers), ("categories", log.catalogue.categories)):
        if len(names) > ROWS_MAX:
            raise TooManyRowsError(table, len(names))
    for name in log.items:
        if "\n" in name:
            raise ItemNameError(name)
    ids = np.array([item_id(name) for name in log.items], np.uint32)
    catalogue = log.catalogue
    _refuse_collision(catalogue.offers, ids[catalogue.offer_item])
    counts = np.bincount(log.event_item[training_events], minlength=len(log.items))
    known_items = np.flatnonzero(counts >= scene.model.min_item_count)
    items = _vocabulary(known_items, ids, log.items, catalogue.item_category)
    offers = _vocabulary(catalogue.offer_item, ids, log.items, catalogue.item_category)
    memory = MemoryLayout(
        window=scene.model.window,
        kinds=_kind_rules(scene),
        items=items,
        offers=offers,
        category_rows=len(catalogue.categories) + 1,
        counter_kinds=len(scene.model.counter_kinds),
        decays=tuple(DecayTables.of(half_life_s) for half_life_s in scene.model.half_lives_s),
        caps=(),
        derived=_derived_rules(scene.events),
        category_ids=tuple(category_id(name) for name in catalogue.categories),
        machines=tuple(machine_rule(machine) for machine in scene.machines),
    )
    offer_row = np.zeros(len(log.items), np.int32)
    offer_row[catalogue.offer_item] = [offers.row(int(ids[item])) for item in catalogue.offer_item]
    words = _words(scene, log, memory, offer_row[catalogue.offer_item])
    # The same way that a device takes: packed, then read. So the cloud's rules cannot differ from the device's.
    policy = read_policy(policy_table(scene), words, _refuse)
    return DeviceLayout(
        memory=policy.counted_in(memory),
        policy=policy,
        words=words,
        item_ids=ids,
        kind_ids=np.array([kind_id(kind) for kind in scene.events.kinds], np.uint16),
        offer_row=offer_row,
        kinds=scene.events.all_kinds,
        categories=catalogue.categories,
    )


def context_vectors(policy: Policy, context: npt.NDArray[np.int16]) -> npt.NDArray[np.float32]:
    """One-hot vectors (D, X) of logged context indices (D, fields), as `Policy.one_hot` makes them."""
    vectors = np.zeros((len(context), policy.context_features), np.float32)
    at = 0
    for field, column in zip(policy.context, context.T, strict=True):
        given = np.flatnonzero(column >= 0)
        vectors[given, at + column[given]] = 1.0
        at += len(field.values)
    return vectors


def _refuse_collision(offers: tuple[str, ...], ids: U32) -> None:
    owner: dict[int, str] = {}
    for name, identifier in zip(offers, ids.tolist(), strict=True):
        if identifier in owner:
            raise OfferCollisionError(owner[identifier], name)
        owner[identifier] = name


def _vocabulary(chosen: npt.NDArray[np.integer], ids: U32, names: tuple[str, ...], category: I32) -> Vocabulary:
    """Rows by ascending id. Of two items with one id (one pair in 4 billion) the first stands for both."""
    unique, first = np.unique(ids[chosen], return_index=True)
    rows = np.asarray(chosen)[first]
    joined = "\n".join(names[row] for row in rows.tolist())
    return Vocabulary(unique.astype(np.uint32), joined.encode(), (category[rows] + 1).astype(np.uint16))


def _kind_rules(scene: Scene) -> dict[int, KindRule]:
    counted = {kind: index for index, kind in enumerate(scene.model.counter_kinds)}
    kept, default_s = scene.retention.kinds, scene.retention.max_age_s or 0
    return {
        kind_id(kind): KindRule(
            row, kind in scene.model.window_kinds, counted.get(kind, -1), keep_s=kept.get(kind, default_s)
        )
        for row, kind in enumerate(scene.events.all_kinds, 1)
    }


def _derived_rules(events: Events) -> DerivedRules:
    session = None
    if events.session:
        start, end = (kind_id(name) if name else 0 for name in (events.session.start, events.session.end))
        session = SessionRule(start, end, _ids(events.session.activity), events.session.gap_s)
    return DerivedRules(
        session=session,
        dwell=tuple(
            DwellRule(kind_id(rule.kind), _ids(rule.of), _ids(rule.activity), rule.longest_s) for rule in events.dwell
        ),
        ignored=tuple(
            IgnoredRule(kind_id(rule.kind), _ids(rule.seen), _ids(rule.touched), rule.count) for rule in events.ignored
        ),
    )


def _ids(kinds: tuple[str, ...]) -> frozenset[int]:
    return frozenset(kind_id(kind) for kind in kinds)


def _words(scene: Scene, log: Log, memory: MemoryLayout, rows: I32) -> PolicySymbols:
    """`rows`: the offer row of each offer of the catalogue."""
    catalogue, size = log.catalogue, len(rows) + 1
    bounds = np.zeros((2, size), np.int64)
    bounds[0, rows] = catalogue.valid_from_ms // 1000 * 1000
    bounds[1, rows] = catalogue.valid_until_ms // 1000 * 1000
    costs = np.zeros(size, np.float32)
    if catalogue.cost is not None:
        costs[rows] = catalogue.cost
    return PolicySymbols(
        objectives=log.objectives,
        window=memory.window,
        kinds=frozenset(memory.kinds),
        offers=memory.offers,
        category_ids=memory.category_ids,
        valid_from_ms=bounds[0],
        valid_until_ms=bounds[1],
        offer_costs=costs,
        context=tuple(ContextField(name, values) for name, values in scene.context.items()),
        machines=memory.machines,
        attributes=scene.attributes.names,
        channels=_channels(scene),
        variants=scene.variants,
    )


def _channels(scene: Scene) -> tuple[Channel, ...]:
    """The app itself, then the declared ones."""
    kinds = {name: shown_kind(scene, name) for name in ("", *scene.channels)}
    ids = {name: kind_id(kind) if kind else 0 for name, kind in kinds.items()}
    costs = {name: float(np.float32(channel.cost)) for name, channel in scene.channels.items()}
    return tuple(Channel(name, ids[name], costs.get(name, 0.0)) for name in ids)


def _refuse(field: str, found: str) -> NoReturn:
    """A checked scene gives no such policy; where one does, it must not be packed."""
    raise SceneError("the scene", [SceneProblem(field, None, found, "fix it in scene.toml, and report it")])
