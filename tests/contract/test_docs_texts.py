"""The keys and slots in texts.md are those that ship, that messages fill, and that former bundles had."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from cloud_export.scene.load import load_scene
from edge_sdk.bundle.texts import FORMER_KEYS, FORMER_SLOTS
from edge_sdk.explain.messages import EVENT_SLOTS, NAMED_EVENT_SLOTS, NAMED_SLOTS, OFFER_SLOTS
from tests.support.paths import DOCS, ROOT

PAGE = (DOCS / "texts.md").read_text(encoding="utf-8")
SHIPPED = tomllib.loads((ROOT / "cloud_export" / "texts" / "en.toml").read_text(encoding="utf-8"))


def rows(head: str) -> list[list[str]]:
    """The cells of the table with these heads, without their backticks."""
    table = PAGE.split(f"\n{head}\n")[1].split("\n\n")[0]
    return [[cell.strip().strip("`") for cell in line[1:-1].split(" | ")] for line in table.splitlines()[1:]]


def test_every_group_of_keys_is_on_the_page_and_exists() -> None:
    groups = {group for row in rows("| key | text |") for group in re.findall(r"(?:^|`)([a-z_]+)\.", row[0])}

    of_names = {"offer", "item", "category", "channel", "rule", "state", "kind", "variant"}
    assert groups == of_names | set(SHIPPED)


def test_every_slot_of_a_message_is_on_the_page_and_exists() -> None:
    slots = {slot for row in rows("| slot | filled with |") for slot in re.findall(r"{(\w+)", row[0])}

    assert slots == OFFER_SLOTS | EVENT_SLOTS | NAMED_SLOTS | NAMED_EVENT_SLOTS


def test_the_former_keys_and_slots_are_those_that_are_translated() -> None:
    keys = dict(rows("| formats 1 to 3 | since format 4 |"))
    slots = {key: (old, new) for key, old, new in rows("| key | slot in formats 1 to 3 | slot since format 4 |")}

    assert keys == dict(FORMER_KEYS)
    assert slots == dict(FORMER_SLOTS)


def test_the_example_is_part_of_a_scene_that_loads(tmp_path: Path) -> None:
    example = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[0]
    rest = '[scene]\nname = "shop"\nobjective_order = ["click"]\n[events]\nkinds = ["item_view", "click"]\n'
    (tmp_path / "shop.toml").write_text(example + rest, encoding="utf-8")

    scene = load_scene(tmp_path / "shop.toml")

    assert scene.variants == ("warm",)
    assert scene.texts["en"]["variant.warm.plain"] == "{offer} is still there."
