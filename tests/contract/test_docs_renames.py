"""Every current name of docs/renames.md exists, and its former scene keys are those that are refused."""

from __future__ import annotations

import importlib.util
import re
from operator import attrgetter

import pytest

import edge_sdk
from cloud_export.scene.former_keys import FORMER_KEYS
from cloud_export.scene.texts import shipped_texts
from edge_sdk import BaseDecision, Engine
from edge_sdk.explain.rank_changes import STEPS
from tests.support.paths import DOCS, ROOT
from tests.support.scene import HOME

PAGE = (DOCS / "renames.md").read_text(encoding="utf-8")


def rows(heading: str, columns: str = "former | current") -> list[tuple[str, str]]:
    """The rows of a table: the text of both cells."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    table = section.split(f"| {columns} |\n")[1].split("\n\n")[0]
    found = re.findall(r"^\| (`.*?) \| (.*) \|$", table, re.MULTILINE)
    assert found, heading
    return found


def current(heading: str, columns: str = "former | current") -> list[str]:
    """The names in the second column."""
    return [name for _, cell in rows(heading, columns) for name in re.findall(r"`([^`]+)`", cell)]


@pytest.fixture
def objects(engine: Engine, base: BaseDecision) -> dict[str, object]:
    """The public classes, and an object of those whose members a class does not show."""
    decision = engine.rank(base, context=HOME)
    shown = {name: getattr(edge_sdk, name) for name in edge_sdk.__all__}
    return shown | {"Engine": engine, "Decision": decision, "Explanation": engine.explain(decision)[0]}


def has(objects: dict[str, object], name: str) -> bool:
    """Whether a dotted name leads to something."""
    owner, *members = name.split(".")
    if owner not in objects:
        return False
    found = objects[owner]
    for member in members:
        if not hasattr(found, member):
            return False
        found = getattr(found, member)
    return True


@pytest.mark.parametrize("name", current("Python: `edge_sdk`"))
def test_a_current_public_name_exists(objects: dict[str, object], name: str) -> None:
    assert has(objects, name)


@pytest.mark.parametrize("name", [former.strip("`") for former, _ in rows("Python: `edge_sdk`")])
def test_a_former_public_name_is_gone(objects: dict[str, object], name: str) -> None:
    assert not has(objects, name)


def test_current_steps_exist() -> None:
    steps = current("Python: `edge_sdk`", "former step | current step")
    assert len(steps) == 3
    assert set(steps) <= set(STEPS)


@pytest.mark.parametrize("name", current("Reason and error codes"))
def test_a_current_code_exists(name: str) -> None:
    assert attrgetter(name)(edge_sdk).name == name.partition(".")[2]


def test_scene_keys_are_those_that_are_refused() -> None:
    listed = {(former.strip("`"), cell.strip("`")) for former, cell in rows("Scene keys")}
    refused = {
        (f'{key.path} = "{key.value}"' if key.value else key.path, "removed" if key.value else key.current)
        for key in FORMER_KEYS
        if not key.path.startswith("texts.")
    }
    assert listed == refused


def test_text_keys_are_those_that_are_refused() -> None:
    listed = {(former, cell.strip("`")) for former, cell in rows("Text keys")}
    shipped = shipped_texts("en")
    refused: set[tuple[str, str]] = set()
    for former in FORMER_KEYS:
        key = former.path.removeprefix("texts.*.")
        if former.path == key:
            continue
        if not former.value:
            refused.add((f"`{key}`", former.current or "removed"))
            assert not former.current or former.current in shipped
        elif key in shipped:  # a slot under a former key is listed under the current one
            refused.add((f"`{former.value}` in `{key}`", former.current))
            assert former.current in shipped[key]
    assert listed == refused


@pytest.mark.parametrize("name", current("Schema: `edge.fbs`"))
def test_a_current_name_of_the_schema_exists(name: str) -> None:
    schema = (ROOT / "edge_sdk" / "bundle" / "format" / "edge.fbs").read_text(encoding="utf-8")
    assert re.search(rf"\b{name}\b", re.sub(r"//.*", "", schema))


@pytest.mark.parametrize("name", current("Modules"))
def test_a_current_module_exists(name: str) -> None:
    assert importlib.util.find_spec(name)


@pytest.mark.parametrize("name", current("Modules", "former name | current name"))
def test_a_current_name_of_the_exporter_exists(name: str) -> None:
    module, _, member = name.rpartition(".")
    assert hasattr(importlib.import_module(module), member)
