"""Derived kinds and retention of a scene file get their defaults, and each wrong field is refused with its reason."""

from __future__ import annotations

import copy
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from cloud_export.data.read_log import read_log
from cloud_export.errors import BadRow, SceneError
from cloud_export.scene.load import Scene, scene_from_table
from tests.support.colliding_kinds import colliding_kinds
from tests.support.paths import ROOT

TABLE: dict[str, Any] = {
    "scene": {"name": "shop", "objective_order": ["click"]},
    "events": {
        "kinds": ["view", "click", "seen"],
        "shown": "seen",
        "feedback": {"click": "click"},
        "session": {"gap_s": 1800, "start": "visit", "end": "visit_end"},
        "dwell": [{"kind": "stay", "of": ["view"]}],
        "ignored": [{"kind": "ignored", "seen": ["seen"], "reset_by": ["click"], "count": 3}],
    },
    "decisions": {"positive_kinds": ["click"], "objective": "click"},
    "policy": {
        "caps": [{"kind": "seen", "limit": 3, "within_s": 60}],
        "cooldowns": [{"kind": "click", "rest_s": 60}],
    },
}


def changed(path: str, value: object) -> dict[str, Any]:
    table = copy.deepcopy(TABLE)
    *parents, last = path.split(".")
    place: Any = table
    for parent in parents:
        place = place[int(parent)] if isinstance(place, list) else place.setdefault(parent, {})
    place[last] = value
    return table


def problem(path: str, value: object) -> str:
    with pytest.raises(SceneError) as caught:
        scene_from_table(changed(path, value), file="shop.toml")
    assert len(caught.value.problems) == 1, str(caught.value)
    return str(caught.value)


def accepted(path: str, value: object) -> Scene:
    return scene_from_table(changed(path, value))


def test_defaults() -> None:
    scene = scene_from_table(TABLE)

    assert scene.events.all_kinds == ("view", "click", "seen", "visit", "visit_end", "stay", "ignored")
    assert scene.events.session is not None
    assert scene.events.session.activity == ("view", "click", "seen")
    assert (scene.events.dwell[0].longest_s, scene.events.dwell[0].activity) == (600, ("view", "click", "seen"))
    assert scene.model.window_kinds == scene.events.all_kinds
    assert scene.model.counter_kinds == ("view", "click", "seen", "stay")  # the others are about no item
    assert scene.retention.model_dump() == {"max_age_s": None, "kinds": {}}


def test_the_page_shows_rules_that_the_wealth_scene_takes() -> None:
    root = ROOT
    page = (root / "docs" / "scene.md").read_text(encoding="utf-8")
    block = next(block for block in re.findall(r"```toml\n(.*?)```", page, re.DOTALL) if "[events.session]" in block)
    wealth = tomllib.loads((root / "cloud_export" / "scenes" / "wealth.toml").read_text(encoding="utf-8"))
    wealth["events"] |= tomllib.loads(block)["events"]

    assert list(scene_from_table(wealth).events.derived_kinds.values()) == ["session_end", "stay", "offers_ignored"]


def test_without_rules_nothing_is_derived() -> None:
    events = {"kinds": ["view", "click", "seen"]}
    scene = scene_from_table({**TABLE, "events": events})

    assert (scene.events.session, scene.events.dwell, scene.events.ignored) == (None, (), ())
    assert scene.events.all_kinds == ("view", "click", "seen")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("model.window_kinds", ["click", "visit", "visit_end", "stay", "ignored"]),
        ("model.counter_kinds", ["stay"]),
        ("policy.caps.0.kind", "stay"),
        ("policy.cooldowns.0.kind", "stay"),
        ("retention", {"max_age_s": 86400, "kinds": {"view": 60, "stay": 60, "visit_end": 1}}),
        ("events.session", {"gap_s": 1, "end": "visit_end", "activity": ["view"]}),
        ("events.dwell.0.activity", ["view", "click"]),
    ],
)
def test_derived_kinds_are_accepted_in_these_fields_alone(path: str, value: object) -> None:
    assert accepted(path, value).name == "shop"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            "events.shown",
            "stay",
            'shop.toml: events.shown = "stay": it is derived from other events and never recorded, and this field '
            'needs a recorded kind; use one of "view", "click", "seen"',
        ),
        (
            "events.dwell.0.kind",
            "view",
            'shop.toml: events.dwell[0].kind = "view": it is the kind of events.kinds[0] too; '
            "give the derived event a name of its own",
        ),
        (
            "events.ignored.0.kind",
            "visit",
            'shop.toml: events.ignored[0].kind = "visit": it is the kind of events.session.start too; '
            "give the derived event a name of its own",
        ),
        (
            "events.session",
            {"gap_s": 60},
            "shop.toml: events.session: it derives neither the start nor the end of a session; "
            "add `start` or `end`: the name of the derived event",
        ),
        (
            "events.dwell.0.activity",
            ["click"],
            'shop.toml: events.dwell[0].of[0] = "view": it is not in events.dwell[0].activity, so it would begin a '
            "dwell without ending the one before; add it to events.dwell[0].activity",
        ),
        (
            "events.ignored.0.reset_by",
            ["click", "seen"],
            'shop.toml: events.ignored[0].reset_by[1] = "seen": '
            "it is in events.ignored[0].seen too; remove it from one",
        ),
        (
            "policy.caps.0.kind",
            "ignored",
            'shop.toml: policy.caps[0].kind = "ignored": its events are about no item, so they never count for an '
            "offer or a category; remove it",
        ),
        (
            "retention.kinds",
            {"veiw": 60},
            'shop.toml: retention.kinds.veiw = "veiw": it is not in events.kinds; did you mean "view"? use one of '
            '"view", "click", "seen", "visit", "visit_end", "stay", "ignored", or add it to events.kinds',
        ),
        (
            "events.dwell.0.longest",
            60,
            'shop.toml: events.dwell[0].longest = 60: there is no such field; did you mean "longest_s"? '
            'the fields here are "kind", "of", "longest_s", "activity"',
        ),
    ],
)
def test_messages(path: str, value: object, message: str) -> None:
    assert problem(path, value) == message


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("events.feedback", {"click": "stay"}, "events.feedback.click"),
        ("decisions.positive_kinds", ["stay"], "decisions.positive_kinds[0]"),
        ("events.session.activity", ["view", "stay"], "events.session.activity[1]"),
        ("events.session.activity", ["view", "veiw"], "events.session.activity[1]"),
        ("events.session.activity", ["view", "view"], "events.session.activity[1]"),
        ("events.session.activity", [], "events.session.activity"),
        ("events.session.gap_s", 0, "events.session.gap_s"),
        ("events.session.end", "visit", "events.session.end"),
        ("events.session.start", "", "events.session.start"),
        ("events.dwell.0.of", ["view", "buy"], "events.dwell[0].of[1]"),
        ("events.dwell.0.of", ["view", "view"], "events.dwell[0].of[1]"),
        ("events.dwell.0.of", ["stay"], "events.dwell[0].of[0]"),
        ("events.dwell.0.longest_s", 0, "events.dwell[0].longest_s"),
        ("events.dwell", [{"kind": "a", "of": ["view"]}, {"kind": "a", "of": ["view"]}], "events.dwell[1].kind"),
        ("events.ignored.0.seen", ["visit"], "events.ignored[0].seen[0]"),
        ("events.ignored.0.reset_by", ["ignored"], "events.ignored[0].reset_by[0]"),
        ("events.ignored.0.count", 0, "events.ignored[0].count"),
        ("model.window_kinds", ["stai"], "model.window_kinds[0]"),
        ("model.counter_kinds", ["visit_end"], "model.counter_kinds[0]"),
        ("policy.cooldowns.0.kind", "visit", "policy.cooldowns[0].kind"),
        ("retention.max_age_s", 0, "retention.max_age_s"),
        ("retention.kinds", {"view": 0}, "retention.kinds.view"),
        ("retention.max_age", 60, "retention.max_age"),
    ],
)
def test_each_wrong_field_is_named(path: str, value: object, field: str) -> None:
    assert problem(path, value).startswith(f"shop.toml: {field}")


def test_a_derived_kind_that_shares_the_device_id_of_a_recorded_one() -> None:
    first, second = colliding_kinds()
    table = changed("events.dwell.0.kind", second)
    table["events"]["kinds"].append(first)

    with pytest.raises(SceneError) as caught:
        scene_from_table(table)

    assert str(caught.value).startswith(f'scene.toml: events.dwell[0].kind = "{second}": it has the same 16-bit id')


def test_a_log_with_a_derived_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text("user,time,kind,item\nu,1,view,a\nu,2,stay,a\nu,3,click,a\nu,4,click,b\n", encoding="utf-8")

    log, bad = read_log(scene_from_table(TABLE), events=path, bad_rows="skip")

    assert bad == (BadRow(str(path), 2, 'kind is not in events.kinds of the scene: "stay"'),)
    assert log.kinds == ("view", "click", "seen")
