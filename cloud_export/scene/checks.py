"""Checks the rules of a scene beyond the type of each field, and rewords pydantic's findings. No I/O."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from cloud_export.errors import SceneProblem, quoted, suggestion
from cloud_export.scene.kind_checks import kind_lists, kind_problems, repetitions, unless_known
from cloud_export.scene.machines import machine_problems
from cloud_export.scene.policy_checks import policy_problems
from cloud_export.scene.sections import Scene
from cloud_export.scene.text_checks import text_problems


def cross_problems(scene: Scene) -> Iterator[SceneProblem]:
    """Yields a problem for each contradiction between fields."""
    yield from kind_problems(scene)
    yield from _repetitions(scene)
    yield from _objective_problems(scene)
    yield from _half_life_problems(scene.model.half_lives_s)
    yield from _context_problems(scene)
    yield from _pattern_problems(scene.catalog.category_pattern)
    yield from machine_problems(scene)
    yield from policy_problems(scene)
    yield from text_problems(scene)
    if scene.split.by == "user_start" and "test_time" in scene.split.model_fields_set:
        reason = 'it has no meaning when split.by is "user_start"'
        yield SceneProblem("split.test_time", scene.split.test_time, reason, "remove it")


def shape_problem(root: type[BaseModel], found: ErrorDetails) -> SceneProblem:
    """Returns a finding of pydantic as a field path, a value, a reason and a fix."""
    location = found["loc"]
    field = _path(location)
    if found["type"] == "extra_forbidden":
        known = _keys_at(root, location[:-1])
        fix = f"{suggestion(str(location[-1]), known)}the fields here are {quoted(known)}"
        return SceneProblem(field, found["input"], "there is no such field", fix)
    if found["type"] == "missing":
        return SceneProblem(field, None, "it is missing", "add it (docs/scene.md explains it)")
    fix = found["msg"].replace("Input should", "it should").replace("String should", "the text should")
    if found["type"] == "literal_error":
        allowed = re.findall(r"'([^']*)'", str(found.get("ctx", {}).get("expected", "")))
        fix = f"{suggestion(str(found['input']), allowed)}the values allowed are {quoted(allowed)}"
    return SceneProblem(field, found["input"], "this value is not accepted", fix)


def _path(location: Sequence[int | str]) -> str:
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in location if part != "[key]"]
    return "".join(parts).removeprefix(".")


def _keys_at(root: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    """Returns the field names of the section at `location`; list indices and names in a table do not change it."""
    section, is_key = root, False
    for part in location:
        if isinstance(part, int):
            continue
        if is_key:
            is_key = False
            continue
        annotation = next((field.annotation for name, field in _fields(section) if name == part), None)
        nested = _section_in(annotation)
        if nested is None:
            return []
        section, is_key = nested, get_origin(annotation) is dict
    return [name for name, _ in _fields(section)]


def _fields(section: type[BaseModel]) -> list[tuple[str, FieldInfo]]:
    """Returns each field with its name in the file."""
    return [(field.alias or name, field) for name, field in section.model_fields.items()]


def _section_in(annotation: object) -> type[BaseModel] | None:
    """Returns the section class in an annotation such as `tuple[Cap, ...]`, `dict[Word, Step]` or `Cap | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for one in get_args(annotation) if (found := _section_in(one))), None)


def _repetitions(scene: Scene) -> Iterator[SceneProblem]:
    lists: dict[str, Sequence[object]] = {
        "scene.objective_order": scene.objective_order,
        "columns.users.attributes": scene.columns.users.attributes,
    }
    lists |= kind_lists(scene)
    lists |= {f"context.{name}": values for name, values in scene.context.items()}
    lists |= {"variants": scene.variants, "attributes.names": scene.attributes.names}
    for field, values in lists.items():
        yield from repetitions(field, values)


def _objective_problems(scene: Scene) -> Iterator[SceneProblem]:
    order = scene.objective_order
    for name in scene.objectives:
        yield from unless_known(f"objectives.{name}", name, order, "scene.objective_order")
    for name in order:
        if scene.objectives and name not in scene.objectives:
            reason = "its weight is missing, though scene.objective_order names it"
            yield SceneProblem(f"objectives.{name}", None, reason, f"add `{name} = 1.0` to [objectives]")
    if scene.decisions:
        yield from unless_known("decisions.objective", scene.decisions.objective, order, "scene.objective_order")


def _half_life_problems(half_lives_s: Sequence[int]) -> Iterator[SceneProblem]:
    for index in range(1, len(half_lives_s)):
        if half_lives_s[index] <= half_lives_s[index - 1]:
            reason = f"it is not above the one before it ({half_lives_s[index - 1]})"
            fix = "list the half-lives from short to long, each once"
            yield SceneProblem(f"model.half_lives_s[{index}]", half_lives_s[index], reason, fix)


def _context_problems(scene: Scene) -> Iterator[SceneProblem]:
    for name in scene.columns.decisions.context:
        yield from unless_known(f"columns.decisions.context.{name}", name, scene.context, "[context]")


def _pattern_problems(pattern: str | None) -> Iterator[SceneProblem]:
    if pattern is None:
        return
    field = "catalog.category_pattern"
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        yield SceneProblem(field, pattern, f"it is not a regular expression: {error}", "fix it at that position")
        return
    if groups != 1:
        fix = "put exactly one (…) around the category, and write other groups as (?:…)"
        yield SceneProblem(field, pattern, f"it has {groups} groups", fix)
