"""Writes a scene's policy as the table of bundles and policy files; edge_sdk/bundle/policy_reader.py reads it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TypeVar

import numpy as np

from cloud_export.scene.policy_sections import (
    UTC,
    Budget,
    Cap,
    Condition,
    Cooldown,
    Exploration,
    QuietHours,
    Selecting,
    WeightRule,
)
from cloud_export.scene.sections import Scene
from edge_sdk.bundle.format.generated import edge_generated as fb
from edge_sdk.memory.spending import WEEK_S
from edge_sdk.vocabulary import category_id, item_words, kind_id

Rule = TypeVar("Rule")
Table = TypeVar("Table")

_PER = {"offer": fb.Scope.Offer, "category": fb.Scope.Category, "user": fb.Scope.User, "channel": fb.Scope.User}
_DAY_S, _MONDAY_S = 86_400, 4 * 86_400  # 1970-01-05 was the first Monday
_PARTY = {"operator": fb.Party.Operator, "user": fb.Party.User}
_MODE = {"off": fb.Explore.Off, "epsilon_greedy": fb.Explore.EpsilonGreedy, "softmax": fb.Explore.Softmax}


def policy_table(scene: Scene) -> fb.PolicyT:
    """Returns [objectives] and [policy] with names and ids, so that the table fits any bundle of the scene."""
    policy = scene.policy
    warm_up, minimum = policy.warm_up, policy.minimum
    about = partial(_about, scene)
    return fb.PolicyT(
        objectives=[fb.ObjectiveT(name=name, weight=scene.objectives[name]) for name in scene.objective_order],
        caps=list(_caps(scene)) or None,
        version=policy.version,
        rules=_each("eligibility", policy.eligibility, lambda name, r: fb.EligibilityRuleT(**about(name, r))),
        blocks=_each("blocks", policy.blocks, lambda name, r: fb.BlockT(**about(name, r), by=_PARTY[r.by])),
        quietHours=_each("quiet_hours", policy.quiet_hours, _quiet_hours),
        weightRules=_each("weights", policy.weights, partial(_weight_rule, scene)),
        boosts=_each("boosts", policy.boosts, lambda name, r: fb.BoostT(**about(name, r), add=r.add)),
        minEvents=warm_up.min_events,
        fullEvents=warm_up.min_events if warm_up.full_events is None else warm_up.full_events,
        maxScoreChange=policy.model_bounds.max_score_change,
        maxRankChange=policy.model_bounds.max_rank_change,
        costWeight=policy.cost.weight,
        budget=policy.budget and _budget(policy.budget, is_utc=policy.time_base == UTC),
        timeZone=policy.time_zone,
        diversity=policy.diversity,
        minimumScore=minimum.score if minimum else None,
        retryAfterS=minimum.retry_after_s if minimum else 0,
        exploration=_exploration(policy.exploration),
        categoryLimits=_category_limits(policy.category_limits),
        pins=_each(
            "pins",
            policy.pins,
            lambda name, r: fb.PinT(**about(name, r), by=_PARTY[r.by], place=r.place, count=r.count),
        ),
    )


def shown_kind(scene: Scene, channel: str) -> str | None:
    """Returns the kind of impressions on a channel; "" is the app itself."""
    return scene.channels[channel].shown if channel else scene.events.shown


def _each(kind: str, rules: Sequence[Rule], table: Callable[[str, Rule], Table]) -> list[Table] | None:
    """Returns a table for each rule, with its list and place as the default name; None = no rules."""
    return [table(f"{kind}[{index}]", rule) for index, rule in enumerate(rules)] or None


def _about(scene: Scene, default_name: str, rule: Selecting) -> dict[str, object]:
    """Returns the name, the selector and the conditions of a rule."""
    offers, categories = sorted(map(item_words, rule.offers)), sorted(map(category_id, rule.category))
    selection = fb.OfferSelectorT(
        offers=np.array([low for low, _ in offers], np.uint32) if offers else None,
        offerHighs=np.array([high for _, high in offers], np.uint16) if offers else None,
        categories=np.array(categories, np.uint32) if categories else None,
        channels=list(rule.channel) or None,
    )
    return {"name": rule.name or default_name, "selection": selection, "when": _when(scene, rule.when)}


def _when(scene: Scene, conditions: Mapping[str, Condition]) -> list[fb.ConditionT]:
    return [
        fb.ConditionT(
            source=_source(scene, name),
            name=name,
            values=list(condition.one_of) or None,
            atLeast=condition.at_least,
            below=condition.below,
        )
        for name, condition in conditions.items()
    ]


def _source(scene: Scene, name: str) -> int:
    """Returns the source of a condition's value; the context goes first, as its field may have a machine too."""
    if name in scene.context:
        return int(fb.Source.Context)
    return int(fb.Source.Attribute if name in scene.attributes.names else fb.Source.Machine)


def _weight_rule(scene: Scene, default_name: str, rule: WeightRule) -> fb.WeightRuleT:
    return fb.WeightRuleT(
        name=rule.name or default_name,
        when=_when(scene, rule.when),
        weights=np.array([rule.weights[name] for name in scene.objective_order], np.float32),
    )


def _category_limits(limits: Mapping[str, int]) -> list[fb.CategoryLimitT] | None:
    return [
        fb.CategoryLimitT(category=0 if name == "*" else category_id(name), limit=limit)
        for name, limit in limits.items()
    ] or None


def _caps(scene: Scene) -> Iterator[fb.CapT]:
    for index, cap in enumerate(scene.policy.caps):
        yield from _cap(scene, cap, cap.name or f"caps[{index}]", cap.limit, cap.span_s)
    for index, rest in enumerate(scene.policy.cooldowns):
        yield from _cap(scene, rest, rest.name or f"cooldowns[{index}]", 1, rest.rest_s)


def _cap(scene: Scene, rule: Cap | Cooldown, name: str, limit: int, within_s: int) -> Iterator[fb.CapT]:
    if rule.per == "channel":  # one rule per channel, which counts the channel's own impressions
        channels = rule.channel or tuple(scene.channels)
        shown = [(channel, shown_kind(scene, channel)) for channel in channels]
        counted: list[tuple[tuple[str, ...], tuple[str, ...]]]
        counted = [((kind,), (channel,)) for channel, kind in shown if kind is not None]
    else:
        counted = [(rule.kind, rule.channel)]
    for kinds, channels in counted:
        first, *more = (kind_id(kind) for kind in kinds)
        yield fb.CapT(
            kind=first,
            per=_PER[rule.per],
            limit=limit,
            withinS=within_s,
            cooldown=isinstance(rule, Cooldown),
            name=name,
            moreKinds=np.array(more, np.uint16) if more else None,
            channels=list(channels) or None,
        )


def _quiet_hours(default_name: str, rule: QuietHours) -> fb.QuietHoursT:
    return fb.QuietHoursT(
        name=rule.name or default_name,
        channels=list(rule.channel) or None,
        fromMinute=minute_of_day(rule.from_),
        untilMinute=minute_of_day(rule.until),
    )


def minute_of_day(clock: str) -> int:
    """ "22:30" -> 1350."""
    hour, minute = clock.split(":")
    return 60 * int(hour) + int(minute)


def _budget(budget: Budget, *, is_utc: bool) -> fb.BudgetT:
    """Returns the table: days and weeks are of the time base, weeks begin on Monday, other periods are of UTC."""
    span_s = budget.span_s
    return fb.BudgetT(
        amount=budget.amount,
        periodS=span_s,
        pacingGain=budget.pacing_gain,
        unitsPerOne=budget.units_per_one,
        firstS=_MONDAY_S if span_s % WEEK_S == 0 else 0,
        isLocal=not is_utc and span_s % _DAY_S == 0 and span_s <= WEEK_S,
    )


def _exploration(exploration: Exploration) -> fb.ExplorationT | None:
    if exploration.mode == "off":
        return None
    return fb.ExplorationT(
        mode=_MODE[exploration.mode],
        epsilon=exploration.epsilon or 0.0,
        temperature=1.0 if exploration.temperature is None else exploration.temperature,
    )
