"""A scene with channels, attributes and machines of every sort, and random [policy] tables for it."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.support.scene import OFFERS, SCENE

Table = dict[str, Any]

HOUR_S, DAY_S = 3600, 86_400
CHANNELS = ("", "push", "sms")
CHANNEL_COSTS = {"": 0.0, "push": 0.25, "sms": 0.75}
SHOWN = {"": "impression", "push": "push_shown", "sms": "sms_shown"}
KINDS = (*SCENE["events"]["kinds"], "push_shown", "sms_shown")
CATEGORIES = {**{offer: offer.split("_")[0] for offer in OFFERS}, "page_coupons": "coupon"}
MACHINES: list[Table] = [
    {  # sets the context field of this name
        "name": "stage",
        "per": "user",
        "states": ["new", "active"],
        "steps": [
            {"from": ["new"], "on": "click", "count": 3, "to": "active"},
            {"from": ["active"], "after_s": 2 * DAY_S, "to": "new"},
        ],
    },
    {
        "name": "holding",
        "per": "offer",
        "states": ["before", "during", "after"],
        "steps": [
            {"from": ["before"], "on": "convert", "to": "during"},
            {"from": ["during"], "on": "convert", "to": "during"},
            {"from": ["during"], "after_s": 3 * DAY_S, "to": "after"},
            {"from": ["after"], "after_s": 2 * DAY_S, "to": "before"},
        ],
    },
    {
        "name": "warmth",
        "per": "category",
        "states": ["cold", "warm"],
        "steps": [{"on": "view", "count": 2, "to": "warm"}, {"after_s": 6 * HOUR_S, "to": "cold"}],
    },
    {
        "name": "mood",
        "per": "user",
        "states": ["fresh", "tired"],
        "steps": [{"on": "dismiss", "to": "tired"}, {"from": ["tired"], "after_s": DAY_S, "to": "fresh"}],
    },
]
RICH: Table = {
    **SCENE,
    "scene": {**SCENE["scene"], "name": "rich"},
    "events": {**SCENE["events"], "kinds": list(KINDS)},
    "channels": {name: {"shown": SHOWN[name], "cost": CHANNEL_COSTS[name]} for name in CHANNELS[1:]},
    "variants": ["short"],
    "attributes": {"names": ["balance"]},
    "machines": MACHINES,
    "policy": {},
}


def sixteenths(least: float, most: float) -> st.SearchStrategy[float]:
    """Numbers that float32 represents exactly."""
    return st.integers(round(least * 16), round(most * 16)).map(lambda n: n / 16)


logit = sixteenths(-1.5, 1.5)
_VALUES = {
    "surface": ("home", "wealth"),
    "stage": ("new", "active"),
    "mood": ("fresh", "tired"),
    "holding": ("before", "during", "after"),
    "warmth": ("cold", "warm"),
}
_OF_USER = ("surface", "stage", "mood")
_BOUNDS = [{"at_least": 100.0}, {"below": 100.0}, {"at_least": -50.0, "below": 200.0}]


def some(values: tuple[str, ...]) -> st.SearchStrategy[list[str]]:
    """One or more of the values."""
    return st.lists(st.sampled_from(values), min_size=1, unique=True)


@st.composite
def conditions(draw: st.DrawFn, *, user_only: bool = False, least: int = 0) -> Table:
    """The table `when` of a rule."""
    known = (*(_OF_USER if user_only else _VALUES), "balance")
    names = draw(st.lists(st.sampled_from(known), min_size=least, max_size=2, unique=True))
    return {name: draw(st.sampled_from(_BOUNDS) if name == "balance" else some(_VALUES[name])) for name in names}


@st.composite
def selections(draw: st.DrawFn) -> Table:
    """The offers, category and channel that a rule selects."""
    found: Table = {}
    if draw(st.booleans()):
        found["offers"] = draw(some(OFFERS))
    if draw(st.integers(0, 2)) == 0:
        found["category"] = draw(some(("coupon", "fund")))
    if draw(st.integers(0, 2)) == 0:
        found["channel"] = draw(some(CHANNELS))
    return found


@st.composite
def rules(draw: st.DrawFn, /, *, least: int = 0, **fields: st.SearchStrategy[Any]) -> Table:
    """A rule: a selection, conditions, and further fields."""
    own = {name: draw(strategy) for name, strategy in fields.items()}
    return {**draw(selections()), "when": draw(conditions(least=least)), **own}


@st.composite
def counted(draw: st.DrawFn, /, **fields: st.SearchStrategy[Any]) -> Table:
    """The part that caps and cooldowns share."""
    per = draw(st.sampled_from(["offer", "category", "user", "channel"]))
    found: Table = {"per": per, **{name: draw(strategy) for name, strategy in fields.items()}}
    if per != "channel":
        found["kind"] = draw(st.one_of(some(tuple(SHOWN.values())), some(("click", "dismiss", "convert"))))
    if draw(st.integers(0, 2)) == 0:
        found["channel"] = draw(some(CHANNELS))
    return found


@st.composite
def caps(draw: st.DrawFn) -> Table:
    """A cap within an hour, a day, a week, in total, or within a number of seconds."""
    found = draw(counted(limit=st.integers(1, 6)))
    if draw(st.booleans()):
        return {**found, "within_s": draw(st.integers(1, 3 * DAY_S))}
    within = draw(st.sampled_from(["hour", "day", "week", "total"]))
    return {**found, "within": within, "limit": found["limit"] * (10 if within == "total" else 1)}


clock_times = st.builds("{:02d}:{:02d}".format, st.integers(0, 23), st.integers(0, 59))
quiet_hours = st.fixed_dictionaries(
    {"from": clock_times, "until": clock_times}, optional={"channel": some(CHANNELS)}
).filter(lambda rule: rule["from"] != rule["until"])
weight_rules = st.fixed_dictionaries(
    {
        "when": conditions(user_only=True, least=1),
        "weights": st.fixed_dictionaries({"click": sixteenths(0, 2), "convert": sixteenths(0, 2)}),
    }
)
warm_ups = st.tuples(st.integers(0, 8), st.integers(0, 8)).map(
    lambda pair: {"min_events": min(pair), "full_events": max(pair)}
)
budgets = st.fixed_dictionaries(
    {"amount": sixteenths(0, 6), "period": st.sampled_from(["hour", "day", "week"])},
    optional={"pacing_gain": sixteenths(0, 4)},
)
explorations = st.one_of(
    st.builds(lambda epsilon: {"mode": "epsilon_greedy", "epsilon": epsilon}, sixteenths(0, 1)),
    st.builds(lambda temperature: {"mode": "softmax", "temperature": temperature}, sixteenths(0.125, 4)),
)

ELIGIBILITY_RULES: dict[str, st.SearchStrategy[Any]] = {
    "eligibility": st.lists(rules(least=1), min_size=1, max_size=2),
    "blocks": st.lists(rules(by=st.sampled_from(["operator", "user"])), min_size=1, max_size=2),
    "caps": st.lists(caps(), min_size=1, max_size=3),
    "cooldowns": st.lists(counted(rest_s=st.integers(1, 3 * DAY_S)), min_size=1, max_size=2),
    "quiet_hours": st.lists(quiet_hours, min_size=1, max_size=2),
    "budget": budgets,
}
SCORE_RULES: dict[str, st.SearchStrategy[Any]] = {
    "weights": st.lists(weight_rules, min_size=1, max_size=2),
    "boosts": st.lists(rules(add=logit), min_size=1, max_size=3),
    "warm_up": warm_ups,
    "model_bounds": st.fixed_dictionaries(
        {}, optional={"max_rank_change": st.integers(0, 4), "max_score_change": sixteenths(0, 2)}
    ),
    "cost": st.builds(lambda weight: {"weight": weight}, sixteenths(0, 2)),
    "diversity": sixteenths(0, 1),
}
LIST_RULES: dict[str, st.SearchStrategy[Any]] = {
    "minimum": st.builds(lambda score, s: {"score": score, "retry_after_s": s}, logit, st.sampled_from([0, 600])),
    "pins": st.lists(
        rules(place=st.integers(1, 4), count=st.integers(1, 3), by=st.sampled_from(["operator", "user"])),
        min_size=1,
        max_size=2,
    ),
    "category_limits": st.dictionaries(
        st.sampled_from(["coupon", "fund", "*"]), st.integers(1, 3), min_size=1, max_size=2
    ),
}
EXPLORING: dict[str, st.SearchStrategy[Any]] = {"exploration": explorations}
EVERY_RULE = {**ELIGIBILITY_RULES, **SCORE_RULES, **LIST_RULES, **EXPLORING}


def policies(parts: dict[str, st.SearchStrategy[Any]] | None = None) -> st.SearchStrategy[Table]:
    """[policy] tables with any of these parts."""
    return st.fixed_dictionaries({}, optional=EVERY_RULE if parts is None else parts)
