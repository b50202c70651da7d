"""Texts of a scene: a key that nothing reads and a slot that nothing fills are named with their fix."""

from __future__ import annotations

from typing import Any

import pytest

from cloud_export.errors import SceneError
from cloud_export.scene.load import scene_from_table
from tests.support.scene import SCENE


def scene_with(texts: dict[str, str]) -> None:
    table: dict[str, Any] = {**SCENE, "variants": ["warm"], "texts": {"fr": texts}}
    scene_from_table(table)


@pytest.mark.parametrize(
    "texts",
    [
        {"variant.warm": "{offer}: {event}, {count:click}, {last:view}, {attribute:balance}"},
        {"variant.warm": "{item}", "variant.warm.plain": "{offer} ({category}), {state:stage}"},
        {"event.view": "vous avez vu {item}", "event.view.plain": "vous avez regardé"},
        {"place.1": "1er", "place.any": "{number}e", "item.page_home": "l'accueil", "rule.x": "y"},
    ],
)
def test_texts_that_can_be_said(texts: dict[str, str]) -> None:
    scene_with(texts)


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
def test_texts_that_cannot(key: str, text: str, named: str) -> None:
    with pytest.raises(SceneError, match=named.replace("{", r"\{").replace("}", r"\}")):
        scene_with({key: text})
