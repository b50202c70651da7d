"""Simulates the decisions in the app: the eligible offers, the seen ones, and the users' actions."""

from __future__ import annotations

import numpy as np

from device_sim.population import constants as m
from device_sim.population.catalogue import CATEGORIES, VOUCHER, Catalogue, Flags, Floats, Ints
from device_sim.population.choice import click_probability, convert_probability
from device_sim.population.log_writer import DecisionBatch, outcome_lists
from device_sim.population.people import People, first_due_day
from device_sim.population.sessions import World, advance, begin_session, browse, tick, viewed_amount

STEPS = m.FURTHER_DECISIONS_LIMIT + 2  # bursts of browsing in a session: before, between and after its decisions
_CREDIT = np.array([category.group == "credit" for category in CATEGORIES])
_WEALTH = np.array([category.group == "wealth" for category in CATEGORIES])


def run_session(world: World, who: Ints, start_ms: Ints, alert: Ints) -> None:
    """Simulates one session of each user: bursts of browsing with decisions between them."""
    begin_session(world, who, start_ms, alert)
    decisions = decisions_of_session(world, who)
    for step in range(STEPS):
        run_step(world, who, decisions, step)


def decisions_of_session(world: World, who: Ints) -> Ints:
    """Draws how many decisions each user's session has, (N,), one to four."""
    return 1 + world.generator.binomial(m.FURTHER_DECISIONS_LIMIT, m.FURTHER_DECISION_CHANCE, len(who))


def run_step(world: World, who: Ints, decisions: Ints, step: int) -> None:
    """Simulates a burst of browsing and, if `decisions` (N,) of the session are not all made, the next decision."""
    generator = world.generator
    more = decisions > step
    mean = m.FIRST_BURST_MEAN if step == 0 else np.where(more, m.LATER_BURST_MEAN, m.LAST_BURST_MEAN)
    length = np.minimum(generator.poisson(mean, len(who)) + (more & (step > 0)), m.BURST_LIMIT)
    length[decisions < step] = 0
    for event in range(int(length.max())):
        browse(world, who[length > event])
    if more.any():
        decide(world, who[more], first=step == 0)


def decide(world: World, who: Ints, first: bool) -> None:
    """Simulates one decision of each user: logs it with its truth, then the user scrolls and acts."""
    generator, people, catalogue = world.generator, world.people, world.catalogue
    tick(people, who, generator.integers(200, 1500, size=len(who)))
    time_ms = people.now_ms[who]
    surface = _surface(generator, people, who, first)
    offer = world.rank(world, who, time_ms, surface)
    count = m.SHOWN_AT_LEAST + generator.binomial(m.CANDIDATES - m.SHOWN_AT_LEAST, people.patience[who])
    shown = np.arange(offer.shape[1]) < count[:, None]
    click = click_probability(catalogue, people, who, time_ms, surface, offer)
    after = convert_probability(catalogue, people, who, offer)
    clicked = shown & (generator.random(click.shape) < click)
    converted = clicked & (generator.random(click.shape) < after)
    world.decisions.add(
        DecisionBatch(
            user=who,
            time_ms=time_ms,
            surface=surface,
            stage=people.stage[who],
            candidates=offer,
            shown=count,
            outcomes=outcome_lists(shown, clicked, converted),
            click=click,
            convert=click * after,
        )
    )
    dismissed = shown & ~clicked & (generator.random(click.shape) < _dismiss_chance(people, who, offer))
    _scroll(world, who, offer, shown)
    _act(world, who, offer, clicked, converted)
    _dismiss(world, who, offer, dismissed)


def random_order(world: World, who: Ints, time_ms: Ints, surface: Ints) -> Ints:
    """The page of the data-collection campaign, a `Ranker`: eligible offers in random order."""
    order = world.generator.random((len(who), world.catalogue.offers))
    order[~eligible(world.catalogue, world.people.stage[who], time_ms)] = np.inf
    return np.argsort(order, axis=1)[:, : m.CANDIDATES]


def eligible(catalogue: Catalogue, stage: Ints, time_ms: Ints) -> Flags:
    """Which offers may be candidates, (N, O): valid_from ≤ time < valid_until, and the scene's rule for vouchers."""
    time = time_ms[:, None]
    valid = (catalogue.valid_from_ms <= time) & (time < catalogue.valid_until_ms)
    may_have = np.isin(np.array(m.STAGES)[stage], m.VOUCHER_STAGES)
    return np.asarray(valid & (may_have[:, None] | (catalogue.category[: catalogue.offers] != VOUCHER)))


def _surface(generator: np.random.Generator, people: People, who: Ints, first: bool) -> Ints:
    """Home, or the page that the intent leads to: the surface is a hint of the intent that every ranker may use."""
    home = generator.random(len(who)) < (m.SURFACE_FIRST_HOME if first else m.SURFACE_LATER_HOME)
    led_to = np.where(_CREDIT, 2, np.where(_WEALTH, 1, 0))[people.intent[who]]
    return np.where(home, 0, led_to)


def _dismiss_chance(people: People, who: Ints, offer: Ints) -> Floats:
    return np.asarray(m.DISMISS * np.exp(m.DISMISS_SEEN * np.minimum(people.seen_session[who[:, None], offer], 3.0)))


def _scroll(world: World, who: Ints, offer: Ints, shown: Flags) -> None:
    """One impression for each offer that came into view; the clock stops at the last."""
    people = world.people
    if not offer.shape[1]:
        return  # an empty page
    gap = world.generator.integers(20, 600, size=offer.shape)
    time = people.now_ms[who, None] + np.cumsum(gap, axis=1)
    time += time % 1000 == 0
    row, place = np.nonzero(shown)
    world.events.add("impression", who[row], time[row, place], offer[row, place])
    people.seen_session[who[row], offer[row, place]] += 1.0
    people.seen_recent[who[row], offer[row, place]] += 1.0
    people.now_ms[who] = time[np.arange(len(who)), shown.sum(axis=1) - 1]


def _act(world: World, who: Ints, offer: Ints, clicked: Flags, converted: Flags) -> None:
    """Clicks in the order of the page; each may lead to a look at the product and to a purchase."""
    generator, people, events = world.generator, world.people, world.events
    for row, place in _one_by_one(clicked):
        user, item = who[row], offer[row, place]
        tick(people, user, generator.integers(400, 3000, size=len(user)))
        events.add("click", user, people.now_ms[user], item)
        caught = generator.random(len(user)) < m.CLICK_CATCHES_INTENT
        people.intent[user[caught]] = world.catalogue.category[item[caught]]
        people.focus[user[caught]] = item[caught]
        buys = converted[row, place]
        look = buys | (generator.random(len(user)) < m.DETAIL_AFTER_CLICK)
        tick(people, user[look], generator.integers(500, 4000, size=int(look.sum())))
        events.add("item_view", user[look], people.now_ms[user[look]], item[look], viewed_amount(world, item[look]))
        advance(world, user[look], generator.uniform(5, 60, int(look.sum())))
        _buy(world, user[buys], item[buys])


def _buy(world: World, user: Ints, item: Ints) -> None:
    generator, people, catalogue = world.generator, world.people, world.catalogue
    tick(people, user, generator.integers(5000, 60000, size=len(user)))
    least = catalogue.price_log10[item]
    wish = people.money_log10[user] - 1.0 + generator.normal(0, 0.4, len(user))
    world.events.add("convert", user, people.now_ms[user], item, 10 ** np.maximum(least, wish))
    people.held[user, item] = True
    people.bought_ms[user, item] = people.now_ms[user]
    people.due_day[user, item] = first_due_day(generator, catalogue, item, people.now_ms[user] // m.DAY_MS)


def _dismiss(world: World, who: Ints, offer: Ints, dismissed: Flags) -> None:
    for row, place in _one_by_one(dismissed):
        user, item = who[row], offer[row, place]
        tick(world.people, user, world.generator.integers(400, 4000, size=len(user)))
        world.events.add("dismiss", user, world.people.now_ms[user], item)
        world.people.dismissed_ms[user, item] = world.people.now_ms[user]


def _one_by_one(chosen: Flags) -> list[tuple[Ints, Ints]]:
    """The first chosen place of each row that has one, then the second …: no row twice in one pair of arrays."""
    rank = np.cumsum(chosen, axis=1)
    pairs = []
    for number in range(1, int(rank.max(initial=0)) + 1):
        row, place = np.nonzero(chosen & (rank == number))
        pairs.append((row, place))
    return pairs
