"""Rules, channels, machines and texts of a scene are accepted, or each wrong field is refused with its reason."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud_export.errors import SceneError
from cloud_export.scene.load import scene_from_table
from cloud_export.scene.policy_table import policy_table
from cloud_export.scene.text_checks import slots_of
from cloud_export.scene.texts import merged_texts, shipped_texts
from edge_sdk.reasons import Reason
from tests.support.policy_scene import POLICY_SCENE

GONE = object()


def changed(path: str, value: object) -> dict[str, Any]:
    """The scene with a rule of every sort, one field set (or taken away) by dotted path."""
    table: dict[str, Any] = copy.deepcopy(POLICY_SCENE)
    *parents, last = path.split(".")
    place: Any = table
    for parent in parents:
        place = place[int(parent)] if isinstance(place, list) else place.setdefault(parent, {})
    key: Any = int(last) if isinstance(place, list) else last
    if value is GONE:
        del place[key]
    else:
        place[key] = value
    return table


def problem(path: str, value: object) -> str:
    with pytest.raises(SceneError) as caught:
        scene_from_table(changed(path, value), file="a.toml")
    assert len(caught.value.problems) == 1, str(caught.value)
    return str(caught.value).removeprefix("a.toml: ")


def test_one_name_is_a_list_of_one() -> None:
    policy = scene_from_table(POLICY_SCENE).policy
    assert policy.blocks[1].offers == ("fund_b",)
    assert policy.eligibility[0].when["stage"].one_of == ("new",)
    assert policy.caps[2].channel == ("sms",)
    assert policy.weights[0].when["surface"].one_of == ("home",)
    assert (policy.caps[0].span_s, policy.caps[2].span_s, policy.pins[0].place) == (604_800, 7200, 2)
    assert scene_from_table(changed("policy.caps.0.within", "total")).policy.caps[0].span_s == 0
    assert scene_from_table(POLICY_SCENE).machines[0].steps[0].from_ == ("new",)


MESSAGES: list[tuple[str, object, str]] = [
    ("policy.eligibility.0.when", GONE, (
        "policy.eligibility[0].when: without conditions it suppresses no offer; "
        "add them; to suppress offers, use [[policy.blocks]]"
    )),
    ("policy.eligibility.0.when.stgae", "new", (
        'policy.eligibility[0].when.stgae: it is no context field, machine or attribute; did you mean "stage"? '
        'use one of "surface", "stage", "holding", "mood", "balance", or declare it'
    )),
    ("policy.eligibility.0.when.stage", "nwe", (
        'policy.eligibility[0].when.stage = "nwe": it is not in context.stage; did you mean "new"? '
        'use one of "new", "active", or add it to context.stage'
    )),
    ("policy.eligibility.0.when.stage", 5, (
        "policy.eligibility[0].when.stage = 5: this value is not accepted; "
        "write a value, a list of values, or { at_least = 1, below = 5 }"
    )),
    ("policy.eligibility.0.when.stage", {"at_least": 5}, (
        "policy.eligibility[0].when.stage: its values are texts (it is in [context]); "
        "write one of its values, or a list of them"
    )),
    ("policy.eligibility.1.when.balance", {"atleast": 5}, (
        'policy.eligibility[1].when.balance.atleast = 5: there is no such field; did you mean "at_least"? '
        'the fields here are "one_of", "at_least", "below"'
    )),
    ("policy.eligibility.1.when.balance", {"at_least": 5, "below": 5}, (
        "policy.eligibility[1].when.balance: no number is at least 5 and below 5; put the smaller one under at_least"
    )),
    ("policy.eligibility.1.when.balance", "much", (
        "policy.eligibility[1].when.balance = ['much']: it is a number (it is in [attributes]); "
        "write { at_least = 1000 }, { below = 5000 } or both"
    )),
    ("policy.eligibility.1.when.holding", ["before", "dring"], (
        'policy.eligibility[1].when.holding[1] = "dring": it is not in the machine\'s states; '
        'did you mean "during"? use one of "before", "during", or add it to the machine\'s states'
    )),
    ("policy.weights.0.when", {"holding": "before"}, (
        "policy.weights[0].when.holding: it is a machine per offer, and weights are the same for all offers; "
        "use a context field, an attribute or a machine per user"
    )),
    ("policy.weights.0.weights.click", GONE, (
        "policy.weights[0].weights.click: its weight is missing, though scene.objective_order names it; "
        "add `click = 1.0`"
    )),
    ("policy.blocks.0.channel", "psh", (
        'policy.blocks[0].channel = "psh": it is not in [channels]; did you mean "push"? '
        'use one of "push", "sms", or add it to [channels]'
    )),
    ("policy.blocks.1.name", "calm", (
        'policy.blocks[1].name = "calm": policy.eligibility[1].name is the same; give each rule a name of its own'
    )),
    ("policy.caps.0.within_s", 60, (
        'policy.caps[0].within_s = 60: `within` is there too; write within_s, or within = "day"'
    )),
    ("policy.caps.0.within", GONE, 'policy.caps[0].within_s: it is missing; write within_s, or within = "day"'),
    ("policy.caps.0.kind", GONE, "policy.caps[0].kind: it is missing; add it (docs/scene.md explains it)"),
    ("policy.caps.1.kind", "click", (
        "policy.caps[1].kind = ['click']: a channel counts its own impressions; "
        'remove it, or count per = "user"'
    )),
    ("channels.sms.shown", GONE, (
        "policy.caps[1].channel: no kind of event is an impression of sms; set channels.sms.shown"
    )),
    ("channels.sms.shown", "push_shown", (
        'channels.sms.shown = "push_shown": it is channels.push.shown too, so impressions of the two '
        "could not be told apart; give the channel a kind of its own"
    )),
    ("policy.quiet_hours.0.until", "22:00", (
        'policy.quiet_hours[0].until = "22:00": it is the same time as `from`; '
        "give them different times; for the whole day, block the channel"
    )),
    ("policy.warm_up.full_events", 1, (
        "policy.warm_up.full_events = 1: it is below min_events (2); raise it, or lower min_events"
    )),
    ("policy.warm_up.full_events", 9, (
        "policy.warm_up.full_events = 9: the window never has so many events (model.window is 8); lower it"
    )),
    ("policy.exploration", {"mode": "softmax", "epsilon": 0.5}, (
        'policy.exploration.epsilon = 0.5: it has no meaning when policy.exploration.mode is "softmax"; '
        'remove it, or set mode = "epsilon_greedy"'
    )),
    ("policy.budget.period_s", 60, (
        'policy.budget.period_s = 60: `period` is there too; write period_s, or period = "day"'
    )),
    ("policy.budget.amount", 1e10, (
        "policy.budget.amount = 10000000000.0: in units of 1/1000000 it is above 2^53 - 1, the largest sum; "
        "lower it, or units_per_one"
    )),
    ("policy.time_base", "Europe/Nowhere", (
        'policy.time_base = "Europe/Nowhere": no such zone in the IANA time zone database; write "local", "utc" '
        'or a name such as "Europe/Berlin"; without a database on this machine install tzdata'
    )),
    ("attributes.names", ["balance", "mood"], (
        'attributes.names[1] = "mood": [machines] has this name too, so a condition with it would be ambiguous; '
        "rename one of them"
    )),
    ("machines.0.per", "offer", (
        'machines[0].name = "stage": a context field has this name, and only a machine of the user can give it; '
        "rename one of them"
    )),
    ("machines.0.steps.0.to", "actve", (
        'machines[0].steps[0].to = "actve": it is not in the machine\'s states; did you mean "active"? '
        'use one of "new", "active", or add it to the machine\'s states'
    )),
    ("machines.0.steps.0.after_s", 5, (
        "machines[0].steps[0]: it has both `on` and `after_s`; "
        "a step is by a kind of event, or by time: write one of the two"
    )),
    ("machines.0.steps.1.after_s", GONE, (
        "machines[0].steps[1]: it has neither `on` nor `after_s`; "
        "a step is by a kind of event, or by time: write one of the two"
    )),
    ("machines.0.steps.1.count", 2, (
        "machines[0].steps[1].count = 2: it counts events, and there is no `on`; remove it"
    )),
    ("machines.0.steps.0", {"from": "new", "after_s": 60, "to": "active"}, (
        "machines[0].steps: its steps by time lead from a state back to it, so the machine would never stop; "
        "name in `from` the states that a step leaves"
    )),
    ("texts.zh", {"kind.veiw": "看"}, (
        'texts.zh.kind.veiw: nothing reads a text of this key; did you mean "kind.view"? use one of "kind.click", '
        '"kind.convert", "kind.dismiss", "kind.impression", "kind.note", "kind.push_shown", "kind.sms_shown", '
        '"kind.view"'
    )),
    ("texts.en", {"offer.fund_a": "Fund {name}"}, (
        'texts.en.offer.fund_a = "Fund {name}": nothing fills {name}; the slots of this text are none'
    )),
    ("texts.en", {"offer.fund_a": "Fund {"}, (
        'texts.en.offer.fund_a = "Fund {": it has a brace that belongs to no slot; '
        "write a slot as {name}, and no other braces"
    )),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "message"), MESSAGES)
def test_messages(path: str, value: object, message: str) -> None:
    assert problem(path, value) == message


FIELDS = [
    ("policy.version", -1, "policy.version"),
    ("policy.pins.0.place", 0, "policy.pins[0].place"),
    ("policy.pins.0.by", "me", "policy.pins[0].by"),
    ("policy.pins.0.category", ["fund", "fund"], "policy.pins[0].category[1]"),
    ("policy.boosts.0.add", float("inf"), "policy.boosts[0].add"),
    ("policy.boosts.0.channel", ["", "fax"], "policy.boosts[0].channel[1]"),
    ("policy.weights.0.when", {}, "policy.weights[0].when"),
    ("policy.weights.0.weights.buy", 1.0, "policy.weights[0].weights.buy"),
    ("policy.caps.0.kind", ["impression", "sold"], "policy.caps[0].kind[1]"),
    ("policy.caps.0.kind", ["impression", "impression"], "policy.caps[0].kind[1]"),
    ("policy.caps.1.channel", ["fax"], "policy.caps[1].channel"),
    ("policy.cooldowns.0.channel", "fax", "policy.cooldowns[0].channel"),
    ("policy.quiet_hours.0.from", "24:00", "policy.quiet_hours[0].from"),
    ("policy.quiet_hours.0.channel", "fax", "policy.quiet_hours[0].channel"),
    ("policy.warm_up.min_events", -1, "policy.warm_up.min_events"),
    ("policy.model_bounds.max_score_change", -0.5, "policy.model_bounds.max_score_change"),
    ("policy.cost.weight", -0.5, "policy.cost.weight"),
    ("policy.cost.wait", 0.5, "policy.cost.wait"),
    ("policy.budget.period", "month", "policy.budget.period"),
    ("policy.diversity", -1, "policy.diversity"),
    ("policy.category_limits.fund", 0, "policy.category_limits.fund"),
    ("policy.minimum.score", float("nan"), "policy.minimum.score"),
    ("policy.exploration.epsilon", 1.5, "policy.exploration.epsilon"),
    ("policy.exploration", {"mode": "softmax", "temperature": 0}, "policy.exploration.temperature"),
    ("policy.exploration", {"mode": "epsilon_greedy"}, "policy.exploration.epsilon"),
    ("channels.push.shown", "clik", "channels.push.shown"),
    ("channels.push.price", 1.0, "channels.push.price"),
    ("variants", ["short", "short"], "variants[1]"),
    ("attributes.names", ["balance", "balance"], "attributes.names[1]"),
    ("machines.1.steps.0.on", "sold", "machines[1].steps[0].on"),
    ("machines.1.steps.0.from", "nowhere", "machines[1].steps[0].from"),
    ("machines.1.states", ["before", "during", "before"], "machines[1].states[2]"),
    ("machines.1.per", "channel", "machines[1].per"),
    ("texts.english", {"offer.a": "A"}, "texts.english"),
    ("texts.zh", {"offer": {"a": 5}}, "texts.zh.offer.a"),
    ("texts.zh", {"reason.KEEPT": "a"}, "texts.zh.reason.KEEPT"),
    ("texts.zh", {"resaon.KEPT": "a"}, "texts.zh.resaon.KEPT"),
    ("texts.zh", {"state.mood.odd": "a"}, "texts.zh.state.mood.odd"),
    ("texts.zh", {"variant.odd": "a"}, "texts.zh.variant.odd"),
]


@pytest.mark.parametrize(("path", "value", "field"), FIELDS)
def test_each_wrong_field_is_named(path: str, value: object, field: str) -> None:
    found = problem(path, value)
    assert found.startswith((f"{field}:", f"{field} = ")), found


def test_an_own_cap_needs_no_item_per_user() -> None:
    """Events about nothing count for the user, not for an offer."""
    table = changed("events.session", {"gap_s": 60, "start": "visit"})
    table["policy"]["caps"][0]["kind"] = "visit"
    scene_from_table(table)
    table["policy"]["caps"][0]["per"] = "offer"
    with pytest.raises(SceneError, match="its events are about no item"):
        scene_from_table(table)
    table["policy"]["caps"][0]["per"] = "user"
    table["machines"][1]["steps"][0]["on"] = "visit"
    with pytest.raises(SceneError, match="so they never step a machine per offer"):
        scene_from_table(table)


@pytest.mark.parametrize(
    ("time_base", "period", "expected"),
    [
        ("local", "hour", (3600, 0, False, None)),
        ("local", "day", (86_400, 0, True, None)),
        ("local", "week", (604_800, 345_600, True, None)),
        ("utc", "day", (86_400, 0, False, None)),
        ("utc", "week", (604_800, 345_600, False, None)),
        ("Asia/Kathmandu", "day", (86_400, 0, True, "Asia/Kathmandu")),
    ],
)
def test_days_and_weeks_of_a_budget_are_of_the_time_base(
    time_base: str, period: str, expected: tuple[int, int, bool, str | None]
) -> None:
    """Weeks begin on Monday, hours of UTC."""
    policy = {"time_base": time_base, "budget": {"amount": 1, "period": period, "units_per_one": 100}}
    table = policy_table(scene_from_table(POLICY_SCENE | {"policy": policy}))
    budget = table.budget
    assert (budget.periodS, budget.firstS, budget.isLocal, table.timeZone) == expected
    assert budget.unitsPerOne == 100


def test_channels_that_nobody_declared_cannot_be_counted() -> None:
    table = copy.deepcopy(POLICY_SCENE) | {"channels": {}}
    table["policy"] = {"caps": [{"per": "channel", "limit": 2, "within": "day"}]}
    with pytest.raises(SceneError, match=r"policy.caps\[0\].per = \"channel\": the scene has no channels; declare one"):
        scene_from_table(table)
    table["policy"]["caps"][0]["channel"] = ""  # the app itself
    scene_from_table(table)


def test_texts_over_the_shipped_ones() -> None:
    merged = merged_texts(scene_from_table(POLICY_SCENE))
    assert list(merged) == ["en", "zh", "zh-Hant"]
    assert merged["en"]["offer.fund_a"] == "Fund A"
    assert merged["zh"]["state.mood.tired"] == "累了"
    assert merged["zh-Hant"] == {"kind.view": "瀏覽"}
    for texts in merged.values():
        assert list(texts) == sorted(texts)


def test_the_shipped_languages_have_the_same_keys() -> None:
    english, chinese = shipped_texts("en"), shipped_texts("zh")
    assert {f"reason.{reason.name}" for reason in Reason} <= set(english)
    assert {key for key in english if not key.startswith("place.")} == {
        key for key in chinese if not key.startswith("place.")
    }
    for key in set(english) & set(chinese):
        assert slots_of(english[key]) == slots_of(chinese[key]), key


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["", "stage"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["when", "stage", "at_least", "from", "on", "x.y"]), inner, max_size=3)
    ),
    max_leaves=6,
)


def _paths(table: object, path: str = "") -> list[str]:
    below = table.items() if isinstance(table, dict) else enumerate(table) if isinstance(table, list) else ()
    return [path, *(found for key, value in below if "." not in str(key) for found in _paths(value, f"{path}.{key}"))]


PATHS = [path[1:] for part in ("policy", "channels", "machines", "texts", "attributes", "variants")
         for path in _paths(POLICY_SCENE[part], f".{part}")]  # fmt: skip


@settings(max_examples=400)
@given(path=st.sampled_from(PATHS), value=_values)
def test_any_value_anywhere_is_a_scene_or_a_scene_error(path: str, value: object) -> None:
    try:
        scene = scene_from_table(changed(path, value))
    except SceneError as error:
        problems = error.problems
    else:
        problems = ()
        assert scene.name == "small"
    assert all(one.fix for one in problems)
