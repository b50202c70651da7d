"""Checks the kinds of events of a scene: recorded and derived kinds, and the fields that may name them. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from cloud_export.errors import SceneProblem, quoted, suggestion
from cloud_export.scene.sections import Dwell, Ignored, Scene
from edge_sdk.vocabulary import kind_id


def kind_problems(scene: Scene) -> Iterator[SceneProblem]:
    """Yields a problem for each wrong kind that a scene names."""
    yield from _id_problems(scene)
    for field, kind in _recorded_kinds_used(scene):
        yield from _unless_recorded(field, kind, scene)
    for field, kind in _any_kinds_used(scene):
        yield from unless_known(field, kind, scene.events.all_kinds, "events.kinds")
    for field, kind in _kinds_with_item(scene):
        if kind in scene.events.kinds_about_nothing:
            reason = "its events are about no item, so they never count for an offer or a category"
            yield SceneProblem(field, kind, reason, "remove it")
    yield from _session_problems(scene)
    for index, dwell in enumerate(scene.events.dwell):
        yield from _dwell_problems(f"events.dwell[{index}]", dwell)
    for index, ignored in enumerate(scene.events.ignored):
        yield from _ignored_problems(f"events.ignored[{index}]", ignored)


def kind_lists(scene: Scene) -> dict[str, Sequence[str]]:
    """Returns every field that lists kinds without repetition."""
    lists: dict[str, Sequence[str]] = {
        "events.kinds": scene.events.kinds,
        "model.window_kinds": scene.model.window_kinds,
        "model.counter_kinds": scene.model.counter_kinds,
    }
    if scene.decisions:
        lists["decisions.positive_kinds"] = scene.decisions.positive_kinds
    return lists | _rule_lists(scene)


def unless_known(field: str, name: str, known: Iterable[str], where: str) -> Iterator[SceneProblem]:
    """Yields a problem if a field has a name that is not declared.

    Args:
        field: dotted path of the field.
        name: the name in the field.
        known: the declared names.
        where: the field that declares them.
    """
    listed = list(known)
    if name not in listed:
        fix = f"{suggestion(name, listed)}use one of {quoted(listed)}, or add it to {where}"
        yield SceneProblem(field, name, f"it is not in {where}", fix)


def named(field: str, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yields the field of each name of a list that may be written as a single name without brackets."""
    if len(names) == 1:
        yield field, names[0]
    else:
        yield from ((f"{field}[{index}]", name) for index, name in enumerate(names))


def repetitions(field: str, values: Sequence[object]) -> Iterator[SceneProblem]:
    """Yields a problem for each value that occurs in a list a second time."""
    for index, value in enumerate(values):
        if value in values[:index]:
            yield SceneProblem(f"{field}[{index}]", value, "it occurs in the list twice", "remove one of them")


def _rule_lists(scene: Scene) -> dict[str, Sequence[str]]:
    """Returns the kinds in the rules of derived events."""
    events = scene.events
    lists: dict[str, Sequence[str]] = {}
    if events.session:
        lists["events.session.activity"] = events.session.activity
    for index, dwell in enumerate(events.dwell):
        lists |= {f"events.dwell[{index}].of": dwell.of, f"events.dwell[{index}].activity": dwell.activity}
    for index, ignored in enumerate(events.ignored):
        field = f"events.ignored[{index}]"
        lists |= {f"{field}.seen": ignored.seen, f"{field}.reset_by": ignored.reset_by}
    return lists


def _id_problems(scene: Scene) -> Iterator[SceneProblem]:
    recorded = [(f"events.kinds[{index}]", kind) for index, kind in enumerate(scene.events.kinds)]
    first: dict[int, tuple[str, str]] = {}
    for field, kind in (*recorded, *scene.events.derived_kinds.items()):
        number = kind_id(kind)
        owner_field, owner = first.setdefault(number, (field, kind))
        if number == 0:
            yield SceneProblem(field, kind, "its 16-bit id on the device is 0, which means no event", "rename it")
        elif owner != kind:
            reason = f'it has the same 16-bit id on the device as "{owner}" ({number})'
            yield SceneProblem(field, kind, reason, "rename one of them")
        elif owner_field != field and field in scene.events.derived_kinds:
            reason = f"it is the kind of {owner_field} too"
            yield SceneProblem(field, kind, reason, "give the derived event a name of its own")


def _recorded_kinds_used(scene: Scene) -> Iterator[tuple[str, str]]:
    """Yields every field that names a recorded kind, with the kind."""
    lists = _rule_lists(scene)
    if scene.decisions:
        lists["decisions.positive_kinds"] = scene.decisions.positive_kinds
    for field, kinds in lists.items():
        yield from ((f"{field}[{index}]", kind) for index, kind in enumerate(kinds))
    if scene.events.shown is not None:
        yield "events.shown", scene.events.shown
    for name, channel in scene.channels.items():
        if channel.shown is not None:
            yield f"channels.{name}.shown", channel.shown
    yield from ((f"events.feedback.{outcome}", kind) for outcome, kind in scene.events.feedback.items())


def _any_kinds_used(scene: Scene) -> Iterator[tuple[str, str]]:
    """Yields every field that names a recorded or a derived kind, with the kind."""
    yield from ((f"model.window_kinds[{index}]", kind) for index, kind in enumerate(scene.model.window_kinds))
    yield from ((f"retention.kinds.{kind}", kind) for kind in scene.retention.kinds)
    for field, rule in scene.policy.counted.items():
        if rule.per == "user":
            yield from named(f"{field}.kind", rule.kind)
    yield from _kinds_with_item(scene)


def _kinds_with_item(scene: Scene) -> Iterator[tuple[str, str]]:
    """Yields the fields that require a kind of events about an offer or another item, with the kind."""
    yield from ((f"model.counter_kinds[{index}]", kind) for index, kind in enumerate(scene.model.counter_kinds))
    for field, rule in scene.policy.counted.items():
        if rule.per in ("offer", "category"):
            yield from named(f"{field}.kind", rule.kind)


def _unless_recorded(field: str, kind: str, scene: Scene) -> Iterator[SceneProblem]:
    if kind in scene.events.derived_kinds.values() and kind not in scene.events.kinds:
        reason = "it is derived from other events and never recorded, and this field needs a recorded kind"
        yield SceneProblem(field, kind, reason, f"use one of {quoted(scene.events.kinds)}")
    else:
        yield from unless_known(field, kind, scene.events.kinds, "events.kinds")


def _session_problems(scene: Scene) -> Iterator[SceneProblem]:
    session = scene.events.session
    if session and session.start is None and session.end is None:
        fix = "add `start` or `end`: the name of the derived event"
        yield SceneProblem("events.session", None, "it derives neither the start nor the end of a session", fix)


def _dwell_problems(field: str, dwell: Dwell) -> Iterator[SceneProblem]:
    for index, kind in enumerate(dwell.of):
        if dwell.activity and kind not in dwell.activity:
            reason = f"it is not in {field}.activity, so it would begin a dwell without ending the one before"
            yield SceneProblem(f"{field}.of[{index}]", kind, reason, f"add it to {field}.activity")


def _ignored_problems(field: str, ignored: Ignored) -> Iterator[SceneProblem]:
    for index, kind in enumerate(ignored.reset_by):
        if kind in ignored.seen:
            yield SceneProblem(f"{field}.reset_by[{index}]", kind, f"it is in {field}.seen too", "remove it from one")
