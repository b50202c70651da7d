"""Checks the policy of a scene: names in conditions and selectors, and numbers that contradict each other. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cloud_export.errors import SceneProblem, quoted, suggestion
from cloud_export.scene.kind_checks import named, repetitions, unless_known
from cloud_export.scene.policy_sections import Cap, Condition, Cooldown, Selecting
from cloud_export.scene.policy_table import shown_kind
from cloud_export.scene.sections import Scene
from edge_sdk.engine.local_time import utc_offset_of
from edge_sdk.errors import InvalidValueError
from edge_sdk.memory.spending import UNITS_MAX


def policy_problems(scene: Scene) -> Iterator[SceneProblem]:
    """Yields a problem for each contradiction between the policy and another field."""
    yield from _name_problems(scene)
    yield from _channel_problems(scene)
    for field, conditions in scene.policy.conditions.items():
        user_only = field.startswith("policy.weights")
        for name, condition in conditions.items():
            yield from _condition_problems(f"{field}.{name}", name, condition, scene, user_only=user_only)
    yield from _selection_problems(scene)
    yield from _weight_problems(scene)
    for field, rule in scene.policy.counted.items():
        yield from _counted_problems(field, rule, scene)
    yield from _quiet_problems(scene)
    yield from _warm_up_problems(scene)
    yield from _budget_problems(scene)
    yield from _time_base_problems(scene)
    yield from _exploration_problems(scene)


def _name_problems(scene: Scene) -> Iterator[SceneProblem]:
    """Yields names of attributes that are also context fields or machines, and names of two rules."""
    others = {**dict.fromkeys(scene.context, "context"), **{machine.name: "machines" for machine in scene.machines}}
    for index, name in enumerate(scene.attributes.names):
        if name in others:
            reason = f"[{others[name]}] has this name too, so a condition with it would be ambiguous"
            yield SceneProblem(f"attributes.names[{index}]", name, reason, "rename one of them")
    first: dict[str, str] = {}
    policy = scene.policy
    lists: dict[str, Sequence[object]] = {
        "eligibility": policy.eligibility,
        "blocks": policy.blocks,
        "pins": policy.pins,
        "weights": policy.weights,
        "boosts": policy.boosts,
        "caps": policy.caps,
        "cooldowns": policy.cooldowns,
        "quiet_hours": policy.quiet_hours,
    }
    for kind, rules in lists.items():
        for index, rule in enumerate(rules):
            given, field = getattr(rule, "name", None), f"policy.{kind}[{index}].name"
            if isinstance(given, str) and first.setdefault(given, field) != field:
                yield SceneProblem(field, given, f"{first[given]} is the same", "give each rule a name of its own")


def _channel_problems(scene: Scene) -> Iterator[SceneProblem]:
    """Yields a problem for each kind of impressions that two channels share: it counts one channel's impressions."""
    owner = {scene.events.shown: "events.shown"} if scene.events.shown else {}
    for name, channel in scene.channels.items():
        field = f"channels.{name}.shown"
        if channel.shown is not None and owner.setdefault(channel.shown, field) != field:
            reason = f"it is {owner[channel.shown]} too, so impressions of the two could not be told apart"
            yield SceneProblem(field, channel.shown, reason, "give the channel a kind of its own")


def _unless_channel(field: str, names: Sequence[str], scene: Scene) -> Iterator[SceneProblem]:
    for place, name in named(field, names):
        if name:  # "" = the app itself
            yield from unless_known(place, name, scene.channels, "[channels]")
    yield from repetitions(field, names)


def _condition_problems(
    field: str, name: str, condition: Condition, scene: Scene, *, user_only: bool
) -> Iterator[SceneProblem]:
    machines = {machine.name: machine for machine in scene.machines}
    bounds = [bound for bound in ("at_least", "below") if getattr(condition, bound) is not None]
    if name not in scene.context and name not in machines:
        if name in scene.attributes.names:
            yield from _number_problems(field, condition)
            return
        known = list(dict.fromkeys((*scene.context, *machines, *scene.attributes.names)))
        fix = f"{suggestion(name, known)}use one of {quoted(known)}, or declare it"
        yield SceneProblem(field, None, "it is no context field, machine or attribute", fix)
        return
    if bounds or not condition.one_of:
        where = "context" if name in scene.context else "machines"
        reason = f"its values are texts (it is in [{where}])"
        yield SceneProblem(field, None, reason, "write one of its values, or a list of them")
    known_values = scene.context.get(name) or machines[name].states
    where = f"context.{name}" if name in scene.context else "the machine's states"
    for place, value in named(field, condition.one_of):
        yield from unless_known(place, value, known_values, where)
    if user_only and name not in scene.context and machines[name].per != "user":
        reason = f"it is a machine per {machines[name].per}, and weights are the same for all offers"
        yield SceneProblem(field, None, reason, "use a context field, an attribute or a machine per user")


def _number_problems(field: str, condition: Condition) -> Iterator[SceneProblem]:
    fix = "write { at_least = 1000 }, { below = 5000 } or both"
    if condition.one_of:
        yield SceneProblem(field, condition.one_of, "it is a number (it is in [attributes])", fix)
    elif condition.at_least is None and condition.below is None:
        yield SceneProblem(field, None, "it has no bound", fix)
    elif None not in (condition.at_least, condition.below) and not (condition.at_least or 0) < (condition.below or 0):
        reason = f"no number is at least {condition.at_least:g} and below {condition.below:g}"
        yield SceneProblem(field, None, reason, "put the smaller one under at_least")


def _selection_problems(scene: Scene) -> Iterator[SceneProblem]:
    policy = scene.policy
    lists: dict[str, Sequence[Selecting]] = {
        "eligibility": policy.eligibility,
        "blocks": policy.blocks,
        "pins": policy.pins,
        "boosts": policy.boosts,
    }
    for name, rules in lists.items():
        for index, rule in enumerate(rules):
            field = f"policy.{name}[{index}]"
            yield from _unless_channel(f"{field}.channel", rule.channel, scene)
            yield from repetitions(f"{field}.category", rule.category)
            yield from repetitions(f"{field}.offers", rule.offers)
            if name == "eligibility" and not rule.when:
                reason = "without conditions it suppresses no offer"
                yield SceneProblem(f"{field}.when", None, reason, "add them; to suppress offers, use [[policy.blocks]]")


def _weight_problems(scene: Scene) -> Iterator[SceneProblem]:
    for index, rule in enumerate(scene.policy.weights):
        field = f"policy.weights[{index}]"
        if not rule.when:
            fix = "add them; weights without conditions are those of [objectives]"
            yield SceneProblem(f"{field}.when", None, "it has no conditions", fix)
        for name in rule.weights:
            yield from unless_known(f"{field}.weights.{name}", name, scene.objective_order, "scene.objective_order")
        for name in scene.objective_order:
            if name not in rule.weights:
                reason = "its weight is missing, though scene.objective_order names it"
                yield SceneProblem(f"{field}.weights.{name}", None, reason, f"add `{name} = 1.0`")


def _counted_problems(field: str, rule: Cap | Cooldown, scene: Scene) -> Iterator[SceneProblem]:
    yield from repetitions(f"{field}.kind", rule.kind)
    yield from _unless_channel(f"{field}.channel", rule.channel, scene)
    if isinstance(rule, Cap) and (rule.within is None) == (rule.within_s is None):
        reason = "it is missing" if rule.within is None else "`within` is there too"
        yield SceneProblem(f"{field}.within_s", rule.within_s, reason, 'write within_s, or within = "day"')
    if rule.per != "channel":
        if not rule.kind:
            fix = "add it (docs/scene.md explains it)"
            yield SceneProblem(f"{field}.kind", None, "it is missing", fix)
        return
    if rule.kind:
        reason = "a channel counts its own impressions"
        yield SceneProblem(f"{field}.kind", rule.kind, reason, 'remove it, or count per = "user"')
    if not rule.channel and not scene.channels:
        yield SceneProblem(f"{field}.per", rule.per, "the scene has no channels", "declare one: [channels.push]")
    for name in rule.channel or scene.channels:
        if (not name or name in scene.channels) and shown_kind(scene, name) is None:
            where = f"channels.{name}.shown" if name else "events.shown"
            reason = f"no kind of event is an impression of {name or 'the app'}"
            yield SceneProblem(f"{field}.channel", None, reason, f"set {where}")


def _quiet_problems(scene: Scene) -> Iterator[SceneProblem]:
    for index, rule in enumerate(scene.policy.quiet_hours):
        field = f"policy.quiet_hours[{index}]"
        yield from _unless_channel(f"{field}.channel", rule.channel, scene)
        if rule.from_ == rule.until:
            fix = "give them different times; for the whole day, block the channel"
            yield SceneProblem(f"{field}.until", rule.until, "it is the same time as `from`", fix)


def _warm_up_problems(scene: Scene) -> Iterator[SceneProblem]:
    warm_up, window = scene.policy.warm_up, scene.model.window
    if warm_up.full_events is not None and warm_up.full_events < warm_up.min_events:
        reason = f"it is below min_events ({warm_up.min_events})"
        yield SceneProblem("policy.warm_up.full_events", warm_up.full_events, reason, "raise it, or lower min_events")
    for name in ("min_events", "full_events"):
        number = getattr(warm_up, name)
        if number is not None and number > window:
            reason = f"the window never has so many events (model.window is {window})"
            yield SceneProblem(f"policy.warm_up.{name}", number, reason, "lower it")


def _time_base_problems(scene: Scene) -> Iterator[SceneProblem]:
    zone = scene.policy.time_zone
    if zone is None:
        return
    try:
        utc_offset_of(zone)
    except InvalidValueError:
        reason = "no such zone in the IANA time zone database"
        fix = (
            'write "local", "utc" or a name such as "Europe/Berlin"; without a database on this machine install tzdata'
        )
        yield SceneProblem("policy.time_base", zone, reason, fix)


def _budget_problems(scene: Scene) -> Iterator[SceneProblem]:
    budget = scene.policy.budget
    if budget is None:
        return
    if (budget.period is None) == (budget.period_s is None):
        reason = "it is missing" if budget.period is None else "`period` is there too"
        yield SceneProblem("policy.budget.period_s", budget.period_s, reason, 'write period_s, or period = "day"')
    if budget.amount * budget.units_per_one > UNITS_MAX:
        reason = f"in units of 1/{budget.units_per_one} it is above 2^53 - 1, the largest sum"
        yield SceneProblem("policy.budget.amount", budget.amount, reason, "lower it, or units_per_one")
    if all(shown_kind(scene, name) is None for name in ("", *scene.channels)):
        reason = "no kind of event is an impression, so nothing would be spent"
        yield SceneProblem("policy.budget", None, reason, "set events.shown, or `shown` of a channel")


def _exploration_problems(scene: Scene) -> Iterator[SceneProblem]:
    exploration, field = scene.policy.exploration, "policy.exploration"
    if exploration.mode == "epsilon_greedy" and exploration.epsilon is None:
        yield SceneProblem(f"{field}.epsilon", None, "it is missing", "add `epsilon = 0.05`")
    for name, mode in (("epsilon", "epsilon_greedy"), ("temperature", "softmax")):
        number = getattr(exploration, name)
        if number is not None and exploration.mode != mode:
            reason = f'it has no meaning when {field}.mode is "{exploration.mode}"'
            yield SceneProblem(f"{field}.{name}", number, reason, f'remove it, or set mode = "{mode}"')
