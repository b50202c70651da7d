"""A text of a scene with an unread key or an unfilled slot is refused with its fix."""

from __future__ import annotations

from typing import Any

import pytest

from cloud_export.errors import SceneError
from cloud_export.scene.load import Scene, scene_from_table
from cloud_export.scene.texts import merged_texts
from tests.support.scene import SCENE


def scene_with(texts: dict[str, str]) -> Scene:
    table: dict[str, Any] = {**SCENE, "variants": ["warm"], "texts": {"fr": texts}}
    return scene_from_table(table)


@pytest.mark.parametrize(
    "texts",
    [
        {"variant.warm": "{offer}: {event}, {count:click}, {last:view}, {attribute:balance}"},
        {"variant.warm": "{item}", "variant.warm.plain": "{offer} ({category}), {state:stage}"},
        {"event.view": "vous avez vu {item}", "event.view.plain": "vous avez regardé"},
        {"place.1": "1er", "place.any": "{number}e", "item.page_home": "l'accueil", "rule.x": "y"},
    ],
)
def test_texts_with_known_keys_and_slots_are_accepted_as_written(texts: dict[str, str]) -> None:
    scene = scene_with(texts)
    assert scene.texts == {"fr": texts}
    merged = merged_texts(scene)
    assert list(merged) == ["en", "zh", "fr"]
    assert merged["fr"] == texts  # nothing of the shipped languages is mixed in


@pytest.mark.parametrize(
    ("key", "text", "named"),
    [
        ("variant.warm", "{mood}", "nothing fills {mood}"),
        ("variant.warm", "{count}", "nothing fills {count}"),
        ("variant.warm.plain", "{item}", "nothing fills {item}"),
        ("variant.warm.plain", "{since:click}", "nothing fills {since:click}"),
        ("variant.cold", "{offer}", "nothing reads a text of this key"),
        ("event.view.plain", "{item}", "nothing fills {item}"),
        ("age.s", "{offer}", "nothing fills {offer}"),
        ("kind.view", "{item}", "nothing fills {item}"),
        ("variant.warm", "{offer", "a brace that belongs to no slot"),
    ],
)
def test_a_text_with_an_unknown_key_or_slot_is_refused(key: str, text: str, named: str) -> None:
    with pytest.raises(SceneError, match=named.replace("{", r"\{").replace("}", r"\}")):
        scene_with({key: text})
