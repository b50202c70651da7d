"""Scene files are accepted and filled in, or each wrong field is refused with its reason."""

from __future__ import annotations

import copy
import re
import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from cloud_export.errors import SceneError
from cloud_export.scene.load import Scene, load_scene, scene_from_table
from cloud_export.scene.policy_sections import Policy
from edge_sdk.vocabulary import kind_id
from tests.support.colliding_kinds import colliding_kinds
from tests.support.paths import DOCS, ROOT

MINIMAL = {
    "scene": {"name": "shop", "objective_order": ["click"]},
    "events": {"kinds": ["view", "click"]},
}


def _changed(path: str, value: object) -> dict[str, Any]:
    """A full scene with one field set, by dotted path."""
    table: dict[str, Any] = {
        **copy.deepcopy(MINIMAL),
        "context": {"stage": ["new", "old"]},
        "policy": {
            "caps": [{"kind": "view", "limit": 3, "within_s": 60}],
            "cooldowns": [{"kind": "click", "rest_s": 60}],
            "eligibility": [{"category": "a", "when": {"stage": "new"}}],
        },
    }
    *parents, last = path.split(".")
    place: Any = table
    for parent in parents:
        place = place[int(parent)] if isinstance(place, list) else place.setdefault(parent, {})
    place[last] = value
    return table


def _problem(path: str, value: object) -> str:
    with pytest.raises(SceneError) as caught:
        scene_from_table(_changed(path, value), file="shop.toml")
    assert len(caught.value.problems) == 1, str(caught.value)
    return str(caught.value)


def test_defaults_of_a_minimal_scene() -> None:
    scene = scene_from_table(MINIMAL)
    assert scene.model.window == 32
    assert scene.model.dimension == 16
    assert scene.model.window_kinds == ("view", "click")
    assert scene.model.counter_kinds == ("view", "click")
    assert scene.model.half_lives_s == (300, 21600, 604800)
    assert (scene.refresh.every_hours, scene.refresh.at_hour_utc) == (24, 0)
    assert (scene.split.by, scene.split.test_users, scene.split.test_time) == ("user_and_time", 0.2, 0.25)
    assert scene.policy == Policy()
    assert scene.objectives == {"click": 1.0}
    assert (scene.columns.events.user, scene.columns.events.value) == ("user", None)


def test_shipped_scenes_by_name() -> None:
    loan = load_scene("loan")
    assert loan == load_scene("loan.toml")
    assert loan.columns.events.user == "case"
    assert loan.decisions is not None
    assert loan.decisions.positive_kinds == ("SCHEDULE", "START", "COMPLETE")
    assert loan.model.counter_kinds == ("COMPLETE",)
    assert loan.model.window_kinds == ("SCHEDULE", "START", "COMPLETE")
    wealth = load_scene("wealth")
    assert wealth.objective_order == ("click", "convert")
    assert wealth.columns.decisions.context == {"surface": "surface", "stage": "stage"}
    assert wealth.policy.caps[0].limit == 12
    assert wealth.events.feedback["dismiss"] == "dismiss"


def test_a_file_goes_before_a_shipped_scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = '[scene]\nname = "mine"\nobjective_order = ["click"]\n[events]\nkinds = ["click"]\n'
    (tmp_path / "loan.toml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert load_scene("loan.toml").name == "mine"
    assert load_scene("loan").name == "loan"


def test_an_unknown_name_lists_the_shipped_scenes() -> None:
    with pytest.raises(SceneError) as caught:
        load_scene("lone")
    assert str(caught.value) == (
        'lone: the file: there is no such file; did you mean "loan"? give the path of a scene file, '
        'or a shipped scene: "loan", "wealth"'
    )


def test_a_file_that_is_not_toml(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("[scene\n", encoding="utf-8")
    with pytest.raises(SceneError, match=r"a\.toml: the file: it is not TOML: .*line 1.*; fix that line$"):
        load_scene(tmp_path / "a.toml")
    (tmp_path / "b.toml").write_bytes(b"# \xff\n")
    with pytest.raises(SceneError, match=r"it is not UTF-8 \(byte 2\); save it as UTF-8$"):
        load_scene(tmp_path / "b.toml")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            "policy.caps.0.prr",
            "offer",
            'shop.toml: policy.caps[0].prr = "offer": there is no such field; did you mean "per"? '
            'the fields here are "name", "kind", "per", "channel", "limit", "within_s", "within"',
        ),
        (
            "model.loss",
            "binry",
            'shop.toml: model.loss = "binry": this value is not accepted; did you mean "binary"? '
            'the values allowed are "binary", "softmax"',
        ),
        (
            "model.window",
            4096,
            "shop.toml: model.window = 4096: this value is not accepted; it should be less than or equal to 1024",
        ),
        (
            "model.window",
            True,
            "shop.toml: model.window = True: this value is not accepted; it should be a valid integer",
        ),
        (
            "events.shown",
            "veiw",
            'shop.toml: events.shown = "veiw": it is not in events.kinds; did you mean "view"? '
            'use one of "view", "click", or add it to events.kinds',
        ),
        (
            "model.half_lives_s",
            [300, 300],
            "shop.toml: model.half_lives_s[1] = 300: it is not above the one before it (300); "
            "list the half-lives from short to long, each once",
        ),
        (
            "catalog.category_pattern",
            "^a(b)(c)",
            'shop.toml: catalog.category_pattern = "^a(b)(c)": it has 2 groups; '
            "put exactly one (…) around the category, and write other groups as (?:…)",
        ),
        (
            "scene",
            {"objective_order": ["click"]},
            "shop.toml: scene.name: it is missing; add it (docs/scene.md explains it)",
        ),
        (
            "split",
            {"by": "user_start", "test_time": 0.3},
            'shop.toml: split.test_time = 0.3: it has no meaning when split.by is "user_start"; remove it',
        ),
    ],
)
def test_messages(path: str, value: object, message: str) -> None:
    assert _problem(path, value) == message


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("model.window_kinds", ["buy"], "model.window_kinds[0]"),
        ("model.counter_kinds", ["view", "buy"], "model.counter_kinds[1]"),
        ("model.counter_kinds", [], "model.counter_kinds"),
        ("policy.caps.0.kind", "buy", "policy.caps[0].kind"),
        ("policy.cooldowns.0.kind", "buy", "policy.cooldowns[0].kind"),
        ("policy.cooldowns.0.rest_s", 0, "policy.cooldowns[0].rest_s"),
        ("policy.eligibility.0.when", {"phase": "new"}, "policy.eligibility[0].when.phase"),
        ("policy.eligibility.0.when.stage", ["new", "odd"], "policy.eligibility[0].when.stage[1]"),
        ("events.feedback", {"click": "clck"}, "events.feedback.click"),
        ("events.kinds", ["view", "click", "view"], "events.kinds[2]"),
        ("decisions", {"positive_kinds": ["buy"], "objective": "click"}, "decisions.positive_kinds[0]"),
        ("decisions", {"positive_kinds": ["click"], "objective": "buy"}, "decisions.objective"),
        ("objectives", {"click": float("inf")}, "objectives.click"),
        ("objectives", {"click": float("nan")}, "objectives.click"),
        ("objectives", {"click": 1.0, "buy": 1.0}, "objectives.buy"),
        ("scene.objective_order", ["click", "click"], "scene.objective_order[1]"),
        ("model.half_lives_s", [0, 5], "model.half_lives_s[0]"),
        ("model.half_lives_s", [5, 315_360_001], "model.half_lives_s[1]"),
        ("catalog.category_pattern", "(", "catalog.category_pattern"),
        ("columns.decisions.context", {"phase": "p"}, "columns.decisions.context.phase"),
        ("split.by", "time", "split.by"),
        ("refresh.at_hour_utc", 24, "refresh.at_hour_utc"),
        ("model.dropout", 1.0, "model.dropout"),
        ("polcy", {}, "polcy"),
    ],
)
def test_each_wrong_field_is_named(path: str, value: object, field: str) -> None:
    assert _problem(path, value).startswith(f"shop.toml: {field}")


def test_all_wrong_fields_are_named_at_once() -> None:
    table = _changed("model.window", 0)
    table["model"]["epoch"] = 3
    with pytest.raises(SceneError) as caught:
        scene_from_table(table)
    assert sorted(problem.field for problem in caught.value.problems) == ["model.epoch", "model.window"]


def test_kinds_that_share_the_device_id() -> None:
    # Found by trying kind_0, kind_1, …: the first pair under crc32 & 0xFFFF.
    first, second = colliding_kinds()
    assert kind_id(first) == kind_id(second)
    with pytest.raises(SceneError) as caught:
        scene_from_table({**MINIMAL, "events": {"kinds": [first, second]}})
    assert str(caught.value).endswith(
        f'it has the same 16-bit id on the device as "{first}" ({kind_id(first)}); rename one of them'
    )


def test_a_kind_whose_device_id_is_zero() -> None:
    kind = next(f"kind_{n}" for n in range(1_000_000) if kind_id(f"kind_{n}") == 0)
    with pytest.raises(SceneError, match=r"its 16-bit id on the device is 0, which means no event; rename it$"):
        scene_from_table({**MINIMAL, "events": {"kinds": ["view", kind]}})


def test_a_scene_is_frozen() -> None:
    scene = scene_from_table(MINIMAL)
    with pytest.raises(ValueError, match="frozen"):
        scene.model.window = 5


def _field_names(section: type[BaseModel]) -> set[str]:
    names = {field.alias or name for name, field in section.model_fields.items()}
    for field in section.model_fields.values():
        for part in _parts(field.annotation):
            if isinstance(part, type) and issubclass(part, BaseModel):
                names |= _field_names(part)
    return names


def _parts(annotation: object) -> list[object]:
    return [annotation, *(part for one in get_args(annotation) for part in _parts(one))]


def test_the_page_explains_every_field() -> None:
    page = (DOCS / "scene.md").read_text(encoding="utf-8")
    pattern = r"`NAME`|\[(columns\.|policy\.)?NAME\]"
    missing = [name for name in _field_names(Scene) if not re.search(pattern.replace("NAME", name), page)]
    assert missing == []


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
_fields = [
    (section, field)
    for section, table in tomllib.loads(
        (ROOT / "cloud_export" / "scenes" / "wealth.toml").read_text(encoding="utf-8")
    ).items()
    for field in [*(table if isinstance(table, dict) else ()), *(["odd"] if isinstance(table, dict) else ()), None]
]


@given(place=st.sampled_from(_fields), value=_values)
def test_any_value_anywhere_is_a_scene_or_a_scene_error(place: tuple[str, str | None], value: object) -> None:
    section, field = place
    path = ROOT / "cloud_export" / "scenes" / "wealth.toml"
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    if field is None:
        table[section] = value
    else:
        table[section][field] = value
    try:
        scene = scene_from_table(table)
    except SceneError as error:
        problems = error.problems
    else:
        problems = ()
        assert scene.model.window_kinds
    assert all(problem.fix for problem in problems)
