"""The device's tables for a scene and its log: table rows, decay tables and rules.

They are built once and used by the replay, by training and by the bundle writer, so that the three always agree.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from cloud_export.data.log import Log
from cloud_export.errors import LogError, SceneError, SceneProblem
from cloud_export.features.device_ids import item_ids, refuse_shared_categories, refuse_shared_items
from cloud_export.scene.load import Scene
from cloud_export.scene.machines import machine_rule
from cloud_export.scene.policy_table import policy_table, shown_kind
from cloud_export.scene.sections import Events
from edge_sdk.bundle.bounds import check_counts
from edge_sdk.bundle.policy_reader import read_policy
from edge_sdk.bundle.policy_symbols import PolicySymbols
from edge_sdk.memory.decay import DecayTables
from edge_sdk.memory.derived_rules import DerivedRules, DwellRule, IgnoredRule, SessionRule
from edge_sdk.memory.layout import KindRule, MemoryLayout
from edge_sdk.policy.conditions import ContextField
from edge_sdk.policy.rules import Channel, Policy
from edge_sdk.types import I64
from edge_sdk.vocabulary import Vocabulary, category_id, kind_id, sort_keys, words_of

I32 = npt.NDArray[np.int32]

ROWS_MAX = 65_535  # offers, categories: row numbers are u16 in the format, and row 0 is reserved


class TooManyRowsError(LogError):
    """A table has more rows than 16-bit row numbers allow."""

    def __init__(self, table: str, rows: int) -> None:
        super().__init__(f"{rows} {table}, {ROWS_MAX} at most; split the scene, or merge the rarest")


@dataclass(frozen=True, slots=True, eq=False)
class DeviceLayout:
    """The device's tables for a log."""

    memory: MemoryLayout
    policy: Policy
    item_ids: I64  # (I,) device id of every item of the log
    kind_ids: npt.NDArray[np.uint16]  # (recorded kinds,) device id of every kind of the log, by its code there
    offer_row: I32  # (I,) offer row of every item of the log; 0 = no offer
    kinds: tuple[str, ...]  # names in row order, row 1 first: the recorded ones, then the derived ones
    categories: tuple[str, ...]  # names in row order, row 1 first

    @property
    def offers(self) -> int:
        """O, the number of offers."""
        return len(self.memory.offers)


def build_layout(scene: Scene, log: Log, *, training_events: npt.NDArray[np.bool_]) -> DeviceLayout:
    """Builds the device's tables.

    Args:
        scene: the scene.
        log: the log.
        training_events: (E,) the events of the training side; an item needs `model.min_item_count` of them for a row of
            its own.

    Raises:
        SharedIdError: two items, or two categories, have the same id.
        ItemNameError: a name has a line break.
        TooManyRowsError: more offers or categories than the format can number.
        SceneError: the counts, the machines or the policy ask for more than a device gives.
    """
    _refuse_too_many(log)
    catalogue = log.catalogue
    ids = item_ids(log)
    counts = np.bincount(log.events.item[training_events], minlength=len(log.items))
    known_items = np.flatnonzero(counts >= scene.model.min_item_count)
    refuse_shared_items(scene, log, ids, {*known_items.tolist(), *catalogue.offer_item.tolist()})
    refuse_shared_categories(scene, log)
    memory = _memory_layout(scene, log, ids, known_items)
    check_counts(memory, _refuse)
    offer_row = np.zeros(len(log.items), np.int32)
    offer_row[catalogue.offer_item] = memory.offers.rows(ids[catalogue.offer_item])
    # Packed, then read, as on a device, so that the cloud's rules cannot differ from the device's.
    policy = read_policy(policy_table(scene), _symbols(scene, log, memory, offer_row[catalogue.offer_item]), _refuse)
    return DeviceLayout(
        memory=policy.counted_in(memory),
        policy=policy,
        item_ids=ids,
        kind_ids=np.array([kind_id(kind) for kind in scene.events.kinds], np.uint16),
        offer_row=offer_row,
        kinds=scene.events.all_kinds,
        categories=catalogue.categories,
    )


def context_vectors(policy: Policy, context: npt.NDArray[np.int16]) -> npt.NDArray[np.float32]:
    """Returns one-hot vectors (D, X) of logged context indices (D, fields), equal to those of `Policy.one_hot`."""
    vectors = np.zeros((len(context), policy.context_features), np.float32)
    at = 0
    for field, column in zip(policy.context, context.T, strict=True):
        given = np.flatnonzero(column >= 0)
        vectors[given, at + column[given]] = 1.0
        at += len(field.values)
    return vectors


def _refuse_too_many(log: Log) -> None:
    for table, names in (("offers", log.catalogue.offers), ("categories", log.catalogue.categories)):
        if len(names) > ROWS_MAX:
            raise TooManyRowsError(table, len(names))


def _memory_layout(scene: Scene, log: Log, ids: I64, known_items: I64) -> MemoryLayout:
    """Returns the layout of the device's memory, without what the policy counts."""
    catalogue = log.catalogue
    return MemoryLayout(
        window=scene.model.window,
        kinds=_kind_rules(scene),
        items=_vocabulary(known_items, ids, log.items, catalogue.item_category),
        offers=_vocabulary(catalogue.offer_item, ids, log.items, catalogue.item_category),
        category_rows=len(catalogue.categories) + 1,
        counter_kinds=len(scene.model.counter_kinds),
        decays=tuple(DecayTables.of(half_life_s) for half_life_s in scene.model.half_lives_s),
        caps=(),
        derived=_derived_rules(scene.events),
        category_ids=tuple(category_id(name) for name in catalogue.categories),
        machines=tuple(machine_rule(machine) for machine in scene.machines),
    )


def _vocabulary(chosen: npt.NDArray[np.integer], ids: I64, names: tuple[str, ...], category: I32) -> Vocabulary:
    """Returns a row for each chosen item, in the order of a vocabulary; no two of them have the same id."""
    rows = np.asarray(chosen)[np.argsort(sort_keys(ids[chosen]))]
    joined = "\n".join(names[row] for row in rows.tolist())
    lows, highs = words_of(ids[rows])
    return Vocabulary(lows, joined.encode(), (category[rows] + 1).astype(np.uint16), highs)


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
            IgnoredRule(kind_id(rule.kind), _ids(rule.seen), _ids(rule.reset_by), rule.count) for rule in events.ignored
        ),
    )


def _ids(kinds: tuple[str, ...]) -> frozenset[int]:
    return frozenset(kind_id(kind) for kind in kinds)


def _symbols(scene: Scene, log: Log, memory: MemoryLayout, rows: I32) -> PolicySymbols:
    """Returns the names that a policy of the scene may refer to; `rows` is the offer row of each catalogue offer."""
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
    """Returns the app itself, then the declared channels."""
    kinds = {name: shown_kind(scene, name) for name in ("", *scene.channels)}
    ids = {name: kind_id(kind) if kind else 0 for name, kind in kinds.items()}
    costs = {name: float(np.float32(channel.cost)) for name, channel in scene.channels.items()}
    return tuple(Channel(name, ids[name], costs.get(name, 0.0)) for name in ids)


def _refuse(field: str, found: str) -> NoReturn:
    """Refuses a policy that the reader does not accept: a checked scene should never produce one."""
    raise SceneError("the scene", [SceneProblem(field, None, found, "fix it in scene.toml, and report it")])
