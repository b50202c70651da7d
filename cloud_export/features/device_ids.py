"""The ids of a log's items and categories on the device; two names that a device could not tell apart are refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

from cloud_export.data.log import Log
from cloud_export.errors import LogError
from cloud_export.scene.policy_sections import Selecting
from cloud_export.scene.sections import Scene
from edge_sdk.types import I64
from edge_sdk.vocabulary import category_id, item_id

ITEM_BITS = 48
CATEGORY_BITS = 32


class SharedIdError(LogError):
    """Two names have the same id on the device, which would take one for the other."""

    def __init__(self, first: str, second: str, bits: int) -> None:
        super().__init__(f"{first} and {second} have the same {bits}-bit id on the device; rename one of them")


class ItemNameError(LogError):
    """An item has a name that a bundle cannot contain."""

    def __init__(self, name: str) -> None:
        super().__init__(f"item {name!r} has a line break in its name, which separates names in a bundle; rename it")


def item_ids(log: Log) -> I64:
    """Returns the device id of every item of the log, (I,).

    Raises:
        ItemNameError: a name has a line break.
    """
    for name in log.items:
        if "\n" in name:
            raise ItemNameError(name)
    return np.array([item_id(name) for name in log.items], np.int64)


def refuse_shared_items(scene: Scene, log: Log, ids: I64, listed: Iterable[int]) -> None:
    """Refuses two names with one id if one of them has a row in the bundle: events about the other would count for it.

    Args:
        scene: the scene, whose policy may name offers that the log does not have.
        log: the log.
        ids: (I,) the device id of every item of the log.
        listed: indices of the items that have a row in the bundle, as items or as offers.

    Raises:
        SharedIdError: there are such names.
    """
    others = sorted(named_offers(scene).difference(log.items))
    names = (*log.items, *others)
    has_row = np.zeros(len(names), np.bool_)
    has_row[list(listed)] = True
    all_ids = np.concatenate([ids, np.array([item_id(name) for name in others], np.int64)])
    order = np.argsort(all_ids, kind="stable")
    for first in np.flatnonzero(all_ids[order][1:] == all_ids[order][:-1]).tolist():
        one, other = order[first], order[first + 1]
        if has_row[all_ids == all_ids[one]].any():
            raise SharedIdError(f"item {names[one]!r}", f"item {names[other]!r}", ITEM_BITS)


def refuse_shared_categories(scene: Scene, log: Log) -> None:
    """Refuses two categories, of the log or named by the scene's policy, that have one id.

    Raises:
        SharedIdError: there are such categories.
    """
    pair = shared_category({*log.catalogue.categories, *named_categories(scene)})
    if pair:
        first, second = pair
        raise SharedIdError(f"category {first!r}", f"category {second!r}", CATEGORY_BITS)


def shared_category(names: Iterable[str]) -> tuple[str, str] | None:
    """Returns the first two of these different categories that have one id; None = all ids differ."""
    ordered: Sequence[str] = sorted(names, key=lambda name: (category_id(name), name))
    return next((pair for pair in pairwise(ordered) if category_id(pair[0]) == category_id(pair[1])), None)


def named_offers(scene: Scene) -> frozenset[str]:
    """Returns the offers that rules of the policy name."""
    return frozenset(name for rule in _selecting(scene) for name in rule.offers)


def named_categories(scene: Scene) -> frozenset[str]:
    """Returns the categories that rules and limits of the policy name."""
    of_rules = (name for rule in _selecting(scene) for name in rule.category)
    return frozenset({*of_rules, *scene.policy.category_limits} - {"*"})


def _selecting(scene: Scene) -> tuple[Selecting, ...]:
    policy = scene.policy
    return (*policy.eligibility, *policy.blocks, *policy.pins, *policy.boosts)
