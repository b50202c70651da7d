"""Names that a device could not tell apart are refused by name, wherever one of them would count for the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cloud_export.data.log import Log
from cloud_export.errors import SceneError
from cloud_export.export.policy_file import check_policy_file, sign_policy_file
from cloud_export.features.device_ids import ItemNameError, SharedIdError
from cloud_export.features.layout import DeviceLayout, build_layout
from cloud_export.scene.load import scene_from_table
from edge_sdk.vocabulary import category_id, item_id, item_words, name_id
from tests.golden.vector_scene import KEY
from tests.support.scene import SCENE, Small, renamed, small_log

ITEM, TWIN = "fund_iibvsuhv", "fund_starqerq"  # the same crc32, and the same first bytes of SHA-256
NEAR, FAR = "page_mijjnqdk", "fund_odunmrmz"  # the same crc32 alone
NAME, OTHER = "nzbmcysp", "rymnhbkv"  # the same crc32


def laid_out(names: dict[str, str], table: dict[str, Any] = SCENE, log: Log | None = None) -> DeviceLayout:
    """The layout of a small log in which items are renamed; no training event is about the last item."""
    log = renamed(log or small_log(), names)
    return build_layout(scene_from_table(table), log, training_events=np.ones(len(log.events.item), np.bool_))


def small_order(names: dict[str, str]) -> Callable[[str], int]:
    """Sorts new names by the places of their items in the log."""
    items = renamed(small_log(), names).items
    return items.index


def with_policy(**rules: Any) -> dict[str, Any]:
    return {**SCENE, "policy": {**SCENE["policy"], **rules}}


def test_the_names_of_these_tests_share_their_ids() -> None:
    assert item_id(ITEM) == item_id(TWIN)
    assert item_words(NEAR)[0] == item_words(FAR)[0]
    assert item_id(NEAR) != item_id(FAR)
    assert category_id(NAME) == category_id(OTHER) == name_id(NAME) == name_id(OTHER)


@pytest.mark.parametrize(
    "names",
    [
        {"fund_a": ITEM, "fund_b": TWIN},  # two offers
        {"page_home": ITEM, "page_coupons": TWIN},  # two items that are no offers
        {"page_home": ITEM, "fund_c": TWIN},  # a page and an offer
        {"page_home": ITEM, "rare_fund_page": TWIN},  # of the second the bundle does not know
    ],
)
def test_two_names_of_one_id_are_refused(names: dict[str, str]) -> None:
    with pytest.raises(SharedIdError) as caught:
        laid_out(names)
    first, second = sorted(names.values(), key=small_order(names))
    fault = f"item {first!r} and item {second!r} have the same 48-bit id on the device"
    assert str(caught.value) == f"{fault}; rename one of them"


def test_an_offer_that_only_the_policy_names_is_refused_like_an_item() -> None:
    with pytest.raises(SharedIdError, match=TWIN):
        laid_out({"page_home": ITEM}, with_policy(blocks=[{"offers": [TWIN]}]))


def test_names_that_share_their_low_word_have_a_row_each_by_their_high_words() -> None:
    layout = laid_out({"page_home": NEAR, "fund_a": FAR})
    items = layout.memory.items.names()
    first, second = sorted((NEAR, FAR), key=lambda name: item_words(name)[1])
    assert items.index(second) == items.index(first) + 1
    for name in (NEAR, FAR):
        assert layout.memory.items.row(item_id(name)) == items.index(name) + 1
    assert layout.memory.offers.row(item_id(NEAR)) == 0
    assert layout.memory.offers.names()[layout.memory.offers.row(item_id(FAR)) - 1] == FAR


def test_two_items_without_a_row_may_share_an_id() -> None:
    """No row of the bundle is about either, so nothing mixes."""
    rare = {**SCENE, "model": {**SCENE["model"], "min_item_count": 1_000}}
    assert len(laid_out({"page_home": ITEM, "page_coupons": TWIN}, rare).memory.items) == 0


def test_a_line_break_in_a_name_is_refused() -> None:
    with pytest.raises(ItemNameError, match=r"item 'a\\nb' has a line break"):
        laid_out({"page_home": "a\nb"})


def test_two_categories_of_one_id_are_refused() -> None:
    log = small_log()
    log = replace(log, catalogue=replace(log.catalogue, categories=(NAME, OTHER)))
    table = {**SCENE, "policy": {}}
    with pytest.raises(SharedIdError, match=f"category '{NAME}' and category '{OTHER}' have the same 32-bit id"):
        laid_out({}, table, log)


@pytest.mark.parametrize("rules", [{"category_limits": {OTHER: 2}}, {"boosts": [{"category": OTHER, "add": 1.0}]}])
def test_a_category_that_the_policy_names_is_refused_like_one_of_the_log(rules: dict[str, Any]) -> None:
    log = small_log()
    log = replace(log, catalogue=replace(log.catalogue, categories=(NAME, "fund")))
    with pytest.raises(SharedIdError, match=f"category '{NAME}' and category '{OTHER}' have the same 32-bit id"):
        laid_out({}, {**SCENE, "policy": rules}, log)


def test_a_policy_file_that_names_a_category_of_another_one_s_id_is_refused(small: Small, tmp_path: Path) -> None:
    scene = scene_from_table(with_policy(version=9, category_limits={NAME: 1, OTHER: 2}))
    with pytest.raises(SharedIdError, match=f"category '{NAME}' and category '{OTHER}'"):
        check_policy_file(scene, "new.policy", sign_policy_file(scene, KEY), small.bundle)


@pytest.mark.parametrize(
    ("machines", "field", "owner"),
    [
        ([{"name": NAME, "states": ["a"]}, {"name": OTHER, "states": ["a"]}], "machines[1].name", NAME),
        ([{"name": "m", "states": ["a", NAME, OTHER]}], "machines[0].states[2]", NAME),
    ],
)
def test_two_machines_or_states_of_one_id_are_refused(machines: list[dict[str, Any]], field: str, owner: str) -> None:
    steps = [{"on": "click", "to": "a"}]
    table = {**SCENE, "machines": [{**machine, "steps": steps} for machine in machines]}
    with pytest.raises(SceneError) as caught:
        scene_from_table(table)
    problems = [(problem.field, problem.value, problem.reason) for problem in caught.value.problems]
    assert problems == [(field, OTHER, f'it has the same 32-bit id on the device as "{owner}"')]
