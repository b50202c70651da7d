"""Merges the texts of a bundle: the shipped ones, overridden by those of the scene."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources

from cloud_export.scene.sections import Scene
from cloud_export.scene.types import flat

SHIPPED = ("en", "zh")  # every bundle has these


def merged_texts(scene: Scene) -> dict[str, dict[str, str]]:
    """Returns language -> key -> text, keys ascending; the shipped languages first, then the scene's others."""
    languages = [*SHIPPED, *sorted(set(scene.texts) - {*SHIPPED})]
    merged = {language: shipped_texts(language) | scene.texts.get(language, {}) for language in languages}
    return {language: dict(sorted(texts.items())) for language, texts in merged.items()}


def shipped_texts(language: str) -> dict[str, str]:
    """Returns the shipped texts of a language; empty where the package has none."""
    return dict(_shipped(language)) if language in SHIPPED else {}


@cache
def _shipped(language: str) -> Mapping[str, str]:
    file = resources.files("cloud_export") / "texts" / f"{language}.toml"
    return {key: str(text) for key, text in flat(tomllib.loads(file.read_text(encoding="utf-8"))).items()}
