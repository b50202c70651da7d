"""Each former scene key is refused with one message that names the current key."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import pytest

from cloud_export.errors import SceneError
from cloud_export.scene.former_keys import FORMER_KEYS, FormerKey
from cloud_export.scene.load import scene_from_table

MINIMAL = {
    "scene": {"name": "shop", "objective_order": ["click"]},
    "events": {"kinds": ["view", "click"], "shown": "view"},
}


def scene_with(former: FormerKey, *, language: str = "en") -> dict[str, Any]:
    """A scene that has the former key, or the former value."""
    table: dict[str, Any] = copy.deepcopy(MINIMAL)
    path = former.path.replace("texts.*", f"texts.{language}")
    *parents, last = path.split(".")
    place = table
    for parent in parents:
        place = place.setdefault(parent, {})
    place[last] = f"{former.value} 1" if former.value.startswith("{") else former.value or 1.0
    if path.startswith("texts."):
        place[last] = str(place[last])
    return table


def refused(table: Mapping[str, object]) -> list[str]:
    with pytest.raises(SceneError) as caught:
        scene_from_table(table, file="shop.toml")
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize("former", FORMER_KEYS, ids=lambda former: " ".join(filter(None, (former.path, former.value))))
def test_a_former_key_is_refused_with_the_current_one(former: FormerKey) -> None:
    field = former.path.replace("texts.*", "texts.en")
    messages = [message for message in refused(scene_with(former)) if message.startswith((f"{field}:", f"{field} ="))]
    shown = f' = "{former.value}"' if former.value else ""
    change = "removed" if former.current in ("", '"off", "epsilon_greedy" or "softmax"') else "renamed"
    expected = f"{field}{shown}: {change}; {f'write {former.current}' if former.current else 'delete it'}"
    assert [message for message in messages if bool(former.value) == (" = " in message)] == [expected]


@pytest.mark.parametrize(
    ("table", "messages"),
    [
        ({"policy": {"gate": {"min_events": 2}}}, ["policy.gate: renamed; write [policy.warm_up]"]),
        (
            {"policy": {"influence": {"largest_move": 3, "largest_shift": 0.5}}},
            [
                "policy.influence: renamed; write [policy.model_bounds]",
                "policy.influence.largest_move: renamed; write max_rank_change",
                "policy.influence.largest_shift: renamed; write max_score_change",
            ],
        ),
        (
            {"policy": {"model_bounds": {"largest_move": 3}}},
            ["policy.model_bounds.largest_move: renamed; write max_rank_change"],
        ),
        ({"policy": {"cost": {"price": 1.0}}}, ["policy.cost.price: renamed; write weight"]),
        (
            {"policy": {"budget": {"amount": 1.0, "period": "day", "gain": 0.5}}},
            ["policy.budget.gain: renamed; write pacing_gain"],
        ),
        (
            {"policy": {"null": {"score": 0.0, "again_after_s": 60}}},
            [
                "policy.null: renamed; write [policy.minimum]",
                "policy.null.again_after_s: renamed; write retry_after_s",
            ],
        ),
        (
            {"events": {**MINIMAL["events"], "passed_over": [{"kind": "tired", "seen": ["view"], "count": 3}]}},
            ["events.passed_over: renamed; write [[events.ignored]]"],
        ),
        (
            {"policy": {"exploration": {"mode": "thompson"}}},
            ['policy.exploration.mode = "thompson": removed; write "off", "epsilon_greedy" or "softmax"'],
        ),
        (
            {"texts": {"en": {"term": {"event": "{value}"}}, "zh-Hant": {"reason.NOT_WORTH": "…"}}},
            [
                "texts.zh-Hant.reason.NOT_WORTH: renamed; write reason.BELOW_MINIMUM",
                "texts.en.term.event: renamed; write contribution.event",
            ],
        ),
        (
            {"texts": {"en": {"obstacle.until": "{obstacle}, {age}"}}},
            [
                "texts.en.obstacle.until: renamed; write suppression.until",
                'texts.en.obstacle.until = "{obstacle}": renamed; write {suppression}',
            ],
        ),
        ({"texts": {"fr": {"term.learner": "…"}}}, ["texts.fr.term.learner: removed; delete it"]),
    ],
)
def test_messages(table: dict[str, object], messages: list[str]) -> None:
    assert refused({**MINIMAL, **table}) == messages


def test_other_wrong_fields_are_named_beside_the_renamed_ones() -> None:
    table = {**MINIMAL, "policy": {"gate": {}, "diversity": -1.0}, "model": {"windows": 3}}
    fields = [message.partition(":")[0].partition(" =")[0] for message in refused(table)]
    assert sorted(fields) == ["model.windows", "policy.diversity", "policy.gate"]


def test_current_keys_are_accepted() -> None:
    table = {
        **MINIMAL,
        "policy": {
            "warm_up": {"min_events": 2},
            "model_bounds": {"max_rank_change": 3, "max_score_change": 0.5},
            "cost": {"weight": 1.0},
            "budget": {"amount": 1.0, "period": "day", "pacing_gain": 0.5},
            "minimum": {"score": 0.0, "retry_after_s": 60},
            "exploration": {"mode": "softmax"},
        },
        "texts": {"en": {"suppression.until": "{suppression}, {age}", "contribution.event": "{value} {event} {age}"}},
    }
    assert scene_from_table(table).policy.minimum is not None
