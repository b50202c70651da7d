"""Checks the texts of a scene: every key has a use, and every slot is filled. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cloud_export.errors import SceneProblem, quoted, suggestion
from cloud_export.scene.sections import Scene
from cloud_export.scene.texts import shipped_texts
from edge_sdk.explain.messages import refused_slots
from edge_sdk.explain.wording import SLOT
from edge_sdk.reasons import Reason

# Families whose keys contain names from the log, or names of rules of a later policy.
_OPEN = ("offer", "item", "category", "rule")


def text_problems(scene: Scene) -> Iterator[SceneProblem]:
    """Yields a problem for each key without a use and for each slot that is not filled."""
    known = _known_keys(scene)
    families = sorted({key.split(".")[0] for key in known} | {*_OPEN})
    for language, texts in scene.texts.items():
        for key, text in texts.items():
            field = f"texts.{language}.{key}"
            yield from _key_problems(field, key, known, families)
            yield from _slot_problems(field, key, text)


def _known_keys(scene: Scene) -> set[str]:
    return {
        *shipped_texts("en"),
        *(f"reason.{reason.name}" for reason in Reason),
        *(f"{key}.{kind}" for kind in scene.events.all_kinds for key in ("kind", "event")),
        *(f"event.{kind}.plain" for kind in scene.events.all_kinds),
        *(f"channel.{name}" for name in scene.channels),
        *(f"state.{machine.name}.{state}" for machine in scene.machines for state in machine.states),
        *(f"variant.{name}{plain}" for name in scene.variants for plain in ("", ".plain")),
        *(f"place.{ending}{digit}" for ending in ("", "x") for digit in range(10)),
    }


def _key_problems(field: str, key: str, known: set[str], families: list[str]) -> Iterator[SceneProblem]:
    family, dot, name = key.partition(".")
    if family not in families or not dot or not name:
        fix = f"{suggestion(family, families)}begin it with one of {quoted(f'{one}.' for one in families)}"
        yield SceneProblem(field, None, "nothing reads a text of this key", fix)
    elif family not in _OPEN and key not in known:
        near = sorted(one for one in known if one.startswith(f"{family}."))
        fix = f"{suggestion(key, near)}use one of {quoted(near)}"
        yield SceneProblem(field, None, "nothing reads a text of this key", fix)


def _slot_problems(field: str, key: str, text: str) -> Iterator[SceneProblem]:
    if re.search(r"[{}]", SLOT.sub("", text)):
        reason = "it has a brace that belongs to no slot"
        yield SceneProblem(field, text, reason, "write a slot as {name}, and no other braces")
    for slot, fix in _refused(key, text):
        yield SceneProblem(field, text, f"nothing fills {slot}", fix)


def _refused(key: str, text: str) -> Iterator[tuple[str, str]]:
    """Yields the slots of a text that are not filled, with the fix."""
    if key.startswith("variant."):
        for slot in refused_slots(text, is_plain=key.endswith(".plain")):
            yield slot, "docs/texts.md lists the slots of a variant's text, and of its plain one"
        return
    allowed = _slots_filled(key)
    for slot in sorted(slots_of(text) - allowed):
        yield slot, f"{suggestion(slot, allowed)}the slots of this text are {quoted(sorted(allowed))}"


def _slots_filled(key: str) -> set[str]:
    """Returns the slots of the shipped English text; a text of one kind of event, or place, has those of `any`."""
    shipped = shipped_texts("en")
    if key.startswith(("event.", "place.")):
        key = f"{key.partition('.')[0]}.any{'.plain' if key.endswith('.plain') else ''}"
    return slots_of(shipped.get(key, ""))


def slots_of(text: str) -> set[str]:
    """Returns the slots of a text, with their braces."""
    return {slot[0] for slot in SLOT.finditer(text)}
