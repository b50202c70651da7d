"""Loads a scene file as a checked, frozen `Scene`; docs/scene.md explains every field."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from cloud_export.errors import SceneError, SceneProblem, quoted, suggestion
from cloud_export.scene.checks import cross_problems, shape_problem
from cloud_export.scene.former_keys import former_problems, is_within
from cloud_export.scene.sections import Dwell, Events, Scene, Session

__all__ = ["Scene", "load_scene", "scene_from_table"]

Rule = TypeVar("Rule", Session, Dwell)


def load_scene(path_or_name: str | Path) -> Scene:
    """Reads and checks a scene file.

    Args:
        path_or_name: A file, or the bare name of a scene shipped with the package: "loan" or "loan.toml".

    Raises:
        SceneError: There is no such file, it is not TOML, or fields are wrong; all wrong fields are named.
    """
    file, data = _read(Path(path_or_name))
    try:
        table = tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        problem = SceneProblem("", None, f"it is not UTF-8 (byte {error.start})", "save it as UTF-8")
        raise SceneError(file, [problem]) from error
    except tomllib.TOMLDecodeError as error:
        raise SceneError(file, [SceneProblem("", None, f"it is not TOML: {error}", "fix that line")]) from error
    return scene_from_table(table, file=file)


def scene_from_table(table: Mapping[str, object], *, file: str = "scene.toml") -> Scene:
    """Checks a scene that is already parsed.

    Args:
        table: The content of a scene file as `tomllib` gives it.
        file: The name that errors show.

    Raises:
        SceneError: Fields are wrong; all wrong fields are named.
    """
    renamed = list(former_problems(table))
    try:
        scene = Scene.model_validate(_with_tuples(table))
    except ValidationError as error:
        others = [shape_problem(Scene, one) for one in error.errors()]
        raise SceneError(file, [*renamed, *(one for one in others if not is_within(one.field, renamed))]) from error
    problems = renamed or list(cross_problems(scene))
    if problems:
        raise SceneError(file, problems)
    return _with_defaults(scene)


def _read(path: Path) -> tuple[str, bytes]:
    """Returns the name and the bytes of a scene file: the one at the path, else the shipped one of that name."""
    try:
        if path.is_file():
            return str(path), path.read_bytes()
    except OSError as error:
        raise SceneError(str(path), [SceneProblem("", None, f"it cannot be read: {error}", "fix that")]) from error
    shipped = {entry.name: entry for entry in (resources.files("cloud_export") / "scenes").iterdir() if entry.is_file()}
    name = path.name if path.suffix == ".toml" else f"{path.name}.toml"
    if len(path.parts) == 1 and name in shipped:
        return f"cloud_export/scenes/{name}", shipped[name].read_bytes()
    names = sorted(entry.removesuffix(".toml") for entry in shipped if entry.endswith(".toml"))
    fix = f"{suggestion(path.stem, names)}give the path of a scene file, or a shipped scene: {quoted(names)}"
    raise SceneError(str(path), [SceneProblem("", None, "there is no such file", fix)])


def _with_tuples(value: object) -> object:
    """Returns the value with tuples for lists, because the sections are frozen and pydantic is strict."""
    if isinstance(value, Mapping):
        return {key: _with_tuples(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return tuple(_with_tuples(entry) for entry in value)
    return value


def _with_defaults(scene: Scene) -> Scene:
    """Returns the scene with the defaults that depend on other sections."""
    events, model = scene.events, scene.model
    counted = tuple(kind for kind in events.all_kinds if kind not in events.kinds_about_nothing)
    chosen = {"window_kinds": model.window_kinds or events.all_kinds, "counter_kinds": model.counter_kinds or counted}
    return scene.model_copy(
        update={
            "events": _with_activity(events),
            "model": model.model_copy(update=chosen),
            "objectives": scene.objectives or dict.fromkeys(scene.objective_order, 1.0),
        }
    )


def _with_activity(events: Events) -> Events:
    """Returns the events with the default activity of each rule: every recorded kind."""

    def filled(rule: Rule) -> Rule:
        return rule.model_copy(update={"activity": rule.activity or events.kinds})

    session = filled(events.session) if events.session else None
    return events.model_copy(update={"session": session, "dwell": tuple(filled(stay) for stay in events.dwell)})
