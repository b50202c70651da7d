"""Simulates visits and browsing: the n-th sessions of a day of all users advance together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from device_sim.population import constants as m
from device_sim.population.catalogue import (
    ARTICLE,
    CATEGORIES,
    OFFER,
    PAGE,
    SEARCH,
    UNLISTED,
    Catalogue,
    Flags,
    Floats,
    Ints,
)
from device_sim.population.log_writer import DecisionBatch, EventSink
from device_sim.population.people import People

NO_OFFER = -1
_LATEST_MS = 23 * m.HOUR_MS + 30 * m.MINUTE_MS  # so that a session does not run far into the next day
_NOT_PLANNED = 1000 * m.DAY_MS
_PAGE_VIEW, _ITEM_VIEW, _SEARCH = (m.KINDS.index(kind) for kind in ("page_view", "item_view", "search"))


class DecisionSink(Protocol):
    """The destination of decisions once their users have seen them, such as a log."""

    def add(self, batch: DecisionBatch) -> None:
        """Adds decisions, each with its truth and outcomes; the users' next actions are events."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The whole state of one simulation."""

    generator: np.random.Generator
    catalogue: Catalogue
    people: People
    events: EventSink
    decisions: DecisionSink
    rank: Ranker


class Ranker(Protocol):
    """The ranker of the app."""

    def __call__(self, world: World, who: Ints, time_ms: Ints, surface: Ints) -> Ints:
        """Returns the offers of each page in order, (N, K); the users see the first of them.

        Args:
            world: The current state.
            who: The users of the decisions, (N,).
            time_ms: The moments, (N,).
            surface: Index in SURFACES, (N,).
        """


def plan_day(world: World, who: Ints, day: int, weekend: bool) -> tuple[Ints, Ints]:
    """Returns the start of each session in ms, (N, 5) sorted (`planned` tells the real ones), and alert or NO_OFFER."""
    generator, people = world.generator, world.people
    users, slots, stage = len(who), m.SESSIONS_PER_DAY_LIMIT, people.stage[who]
    rate = np.array(m.STAGE_SESSIONS_PER_DAY)[stage] * people.visit_rate[who] * (m.WEEKEND_FACTOR if weekend else 1)
    count = np.minimum(generator.poisson(rate), slots)
    weights = np.array(m.HOUR_WEIGHTS, dtype=np.float64)
    hour = generator.choice(24, size=(users, slots), p=weights / weights.sum())
    own = day * m.DAY_MS + np.minimum((hour + generator.random((users, slots))) * m.HOUR_MS, _LATEST_MS)
    own = np.where(np.arange(slots) < count[:, None], own, _NOT_PLANNED + day * m.DAY_MS)
    called, offer = _alert_visits(world, who, day)
    starts = np.column_stack([own, called]).astype(np.int64)
    reasons = np.column_stack([np.full((users, slots), NO_OFFER), offer])
    order = np.argsort(starts, axis=1, kind="stable")
    return np.take_along_axis(starts, order, axis=1), np.take_along_axis(reasons, order, axis=1)


def planned(starts: Ints, day: int) -> Flags:
    """Returns which of the planned starts are real."""
    return np.asarray(starts < _NOT_PLANNED + day * m.DAY_MS)


def begin_session(world: World, who: Ints, start_ms: Ints, alert: Ints) -> None:
    """Begins a session: draws a new mood and a new intent."""
    generator, people, catalogue = world.generator, world.people, world.catalogue
    before = people.now_ms[who]
    now = np.maximum(start_ms, before + m.SESSION_GAP_MS)
    away_h = (now - before) / m.HOUR_MS
    people.seen_recent[who] *= np.exp2(-away_h / m.FATIGUE_HALF_LIFE_H)[:, None]
    people.seen_session[who] = 0.0
    people.mood[who] = generator.normal(0, m.MOOD_SD, len(who))
    people.whim[who] = generator.normal(0, m.WHIM_SD, (len(who), len(CATEGORIES)))
    people.now_ms[who] = now + (now % 1000 == 0)
    # The app opens on the tab it was left at.
    world.events.add("session_start", who, people.now_ms[who], catalogue.pick_items[PAGE, people.intent[who], 0])
    carries = (away_h < m.INTENT_CARRY_HOURS) & (generator.random(len(who)) < m.INTENT_CARRY_CHANCE)
    _choose_intent(world, who[~carries])
    called = (alert != NO_OFFER) & (generator.random(len(who)) < m.ALERT_INTENT_CHANCE)
    people.focus[who[called]] = alert[called]
    people.intent[who[called]] = catalogue.category[alert[called]]


def browse(world: World, who: Ints) -> None:
    """Records one page view, item view or search for each user, mostly within the user's intent."""
    generator, people, catalogue = world.generator, world.people, world.catalogue
    advance(world, who, np.clip(generator.lognormal(np.log(m.GAP_MEDIAN_S), m.GAP_LOG_SD, len(who)), 1, m.GAP_LIMIT_S))
    wander = generator.random(len(who)) < m.WANDER_SHARE
    category = np.where(wander, _draw(generator, np.tile(_demand(catalogue), (len(who), 1))), people.intent[who])
    kind = np.searchsorted(np.cumsum(m.KIND_SHARE)[:2], generator.random(len(who)), side="right")
    detail = generator.random(len(who))
    unlisted = (detail >= m.FOCUS_SHARE) & (detail < m.FOCUS_SHARE + m.UNLISTED_SHARE)
    role = np.select(
        [kind == 2, kind == 1],
        [np.full(len(who), SEARCH), np.where(unlisted, UNLISTED, OFFER)],
        np.where(detail < m.ARTICLE_SHARE, ARTICLE, PAGE),
    )
    item = catalogue.pick(role, category, people.theme[who], generator.random(len(who)))
    focused = (kind == 1) & ~wander & (detail < m.FOCUS_SHARE)
    item = np.where(focused, people.focus[who], item)
    codes = np.array([_PAGE_VIEW, _ITEM_VIEW, _SEARCH])[kind]
    world.events.add(codes, who, people.now_ms[who], item, viewed_amount(world, item))


def viewed_amount(world: World, item: Ints) -> Floats:
    """Returns the amount with which an offer's page was opened; NaN for other items."""
    offers = world.catalogue.offers
    least_log10 = world.catalogue.price_log10[np.minimum(item, offers - 1)]
    return np.where(item < offers, 10 ** (least_log10 + world.generator.normal(0.5, 0.4, len(item))), np.nan)


def advance(world: World, who: Ints, seconds: Floats) -> None:
    """Advances each user's time, (N,) seconds; intent and focus may change."""
    generator, people = world.generator, world.people
    tick(people, who, (seconds * 1000).astype(np.int64))
    switch = generator.random(len(who)) < -np.expm1(-seconds / m.INTENT_STAY_S)
    follow = generator.random(len(who)) < m.RELATED_SWITCH_SHARE
    refocus = generator.random(len(who)) < -np.expm1(-seconds / m.FOCUS_STAY_S)
    related = who[switch & follow]
    people.intent[related] = _draw(generator, world.catalogue.related[people.intent[related]])
    _choose_intent(world, who[switch & ~follow])
    _choose_focus(world, who[refocus | switch])


def tick(people: People, who: Ints, milliseconds: Ints) -> None:
    """Advances the users' clocks by at least 2 ms, never to a full second: those are for alerts (market.py)."""
    now = people.now_ms[who] + np.maximum(milliseconds, 2)
    people.now_ms[who] = now + (now % 1000 == 0)


def _alert_visits(world: World, who: Ints, day: int) -> tuple[Floats, Ints]:
    """Returns the visits of users who were alerted today; the strongest alert of the day counts."""
    generator, people = world.generator, world.people
    alerted_ms = people.alert_ms[0, who]
    today = np.where(alerted_ms >= day * m.DAY_MS, people.alert_strength[0, who], 0.0)
    offer = today.argmax(axis=1)
    row = np.arange(len(offer))
    eagerness = np.array(m.STAGE_SESSIONS_PER_DAY)[people.stage[who]] / max(m.STAGE_SESSIONS_PER_DAY)
    comes = generator.random(len(row)) < m.ALERT_SESSION_CHANCE * today[row, offer] * eagerness
    delay = (1 + generator.exponential(m.ALERT_SESSION_DELAY_MEAN_MIN, len(row))) * m.MINUTE_MS
    start = np.minimum(alerted_ms[row, offer] + delay, day * m.DAY_MS + _LATEST_MS)
    return np.where(comes, start, _NOT_PLANNED + day * m.DAY_MS), np.where(comes, offer, NO_OFFER)


def _choose_intent(world: World, who: Ints) -> None:
    """Draws a new intent from the long-lived taste and the general demand."""
    people = world.people
    weight = np.exp(m.INTENT_TASTE_WEIGHT * people.taste[who]) * _demand(world.catalogue)
    people.intent[who] = _draw(world.generator, weight)
    uniform = world.generator.random(len(who))
    people.theme[who] = np.minimum((uniform[:, None] >= people.theme_cumulative[who]).sum(axis=1), 3)
    _choose_focus(world, who)


def _choose_focus(world: World, who: Ints) -> None:
    people = world.people
    role = np.full(len(who), OFFER)
    uniform = world.generator.random(len(who))
    people.focus[who] = world.catalogue.pick(role, people.intent[who], people.theme[who], uniform)


def _demand(catalogue: Catalogue) -> Floats:
    return np.asarray(np.exp(catalogue.per_category("demand")))


def _draw(generator: np.random.Generator, weight: Floats) -> Ints:
    """Draws one index for each row of weights (N, C)."""
    cumulative = np.cumsum(weight, axis=1)
    uniform = generator.random(len(weight)) * cumulative[:, -1]
    return np.asarray(np.minimum((uniform[:, None] >= cumulative).sum(axis=1), weight.shape[1] - 1))
