"""Simulates price changes and due dates of holdings; both become events on the holder's phone."""

from __future__ import annotations

import numpy as np

from device_sim.population import constants as m
from device_sim.population.catalogue import NAMES, Catalogue, Floats, Ints
from device_sim.population.log_writer import EventSink
from device_sim.population.people import NO_DUE_DAY, People

_FIRST_PRICE_MINUTE, _LAST_PRICE_MINUTE = 9 * 60 + 30, 15 * 60
_FIRST_DUE_MINUTE, _LAST_DUE_MINUTE = 8 * 60, 11 * 60


def open_day(generator: np.random.Generator, catalogue: Catalogue, people: People, events: EventSink, day: int) -> None:
    """Records the day's alerts for all holders of the morning, and stores them for clicks and visits."""
    price_ms, price_pct, price_strength = _price_alerts(generator, catalogue, day)
    due_ms, due_left, due_strength = _due_alerts(generator, catalogue, people, day)
    price = people.held & (price_strength > 0)
    due = people.held & (due_strength > 0)
    for kind, where, time_ms, value in (
        ("price_change", price, np.broadcast_to(price_ms, price.shape), np.broadcast_to(price_pct, price.shape)),
        ("due_date", due, due_ms, due_left),
    ):
        user, offer = np.nonzero(where)
        events.add(kind, user, time_ms[where], offer, value[where])
    either = price | due
    people.alert_ms[1] = np.where(either, people.alert_ms[0], people.alert_ms[1])
    people.alert_strength[1] = np.where(either, people.alert_strength[0], people.alert_strength[1])
    people.alert_ms[0] = np.where(price, price_ms, np.where(due, due_ms, people.alert_ms[0]))
    people.alert_strength[0] = np.where(price, price_strength, np.where(due, due_strength, people.alert_strength[0]))


def close_day(catalogue: Catalogue, people: People, day: int) -> None:
    """Ends the day: due deposits are paid out; loans and insurance policies get their next due date."""
    days = catalogue.per_category("due_days")[catalogue.category[: catalogue.offers]].astype(np.int64)
    deposit = catalogue.category[: catalogue.offers] == NAMES.index("deposit")
    over = people.due_day == day
    people.held[over & deposit] = False
    people.due_day[:] = np.where(over, np.where(deposit, NO_DUE_DAY, day + days), people.due_day)


def alert_level(people: People, who: Ints, time_ms: Ints) -> Floats:
    """Returns the alert level of each holding, (N, O) in [0, 1]; alerts later in the day do not count yet."""
    age_ms = time_ms[:, None] - people.alert_ms[:, who]
    level = people.alert_strength[:, who] * np.exp2(-np.maximum(age_ms, 0) / (m.ALERT_HALF_LIFE_H * m.HOUR_MS))
    return np.asarray(np.where(age_ms >= 0, level, 0.0).max(axis=0))


def _price_alerts(generator: np.random.Generator, catalogue: Catalogue, day: int) -> tuple[Ints, Floats, Floats]:
    """Returns time, change in % and strength (0: no alert) for each offer, (O,).

    A category moves as one, each fund adds its own part; Student's t because real returns have heavy tails.
    """
    own = catalogue.category[: catalogue.offers]
    sd = catalogue.per_category("move_sd_pct")[own]
    freedom = m.SHOCK_DEGREES_OF_FREEDOM
    unit = np.sqrt((freedom - 2) / freedom)
    shared = generator.standard_t(freedom, len(NAMES))[own] * unit
    single = generator.standard_t(freedom, catalogue.offers) * unit
    move = sd * (np.sqrt(1 - m.OWN_MOVE_SHARE**2) * shared + m.OWN_MOVE_SHARE * single)
    minute = generator.integers(_FIRST_PRICE_MINUTE, _LAST_PRICE_MINUTE, size=catalogue.offers)
    strength = np.tanh(np.abs(move) / np.where(sd > 0, 2 * sd, 1.0))
    return _time_ms(day, minute), move, np.where(np.abs(move) > m.BIG_MOVE_SD * sd, strength, 0.0) * (sd > 0)


def _due_alerts(
    generator: np.random.Generator, catalogue: Catalogue, people: People, day: int
) -> tuple[Ints, Floats, Floats]:
    """Returns time, days left and strength (0: no alert) for each user and offer, (U, O)."""
    left = people.due_day - day
    minute = generator.integers(_FIRST_DUE_MINUTE, _LAST_DUE_MINUTE, size=(len(people.stage), 1))
    time_ms = _time_ms(day, np.broadcast_to(minute, left.shape))
    strength = np.where(left == 0, 1.0, np.where(left == m.DUE_NOTICE_DAYS, 0.8, 0.0))
    return time_ms, left.astype(np.float64), strength


def _time_ms(day: int, minute: Ints) -> Ints:
    """Returns times whose second within the minute is the offer's number and whose millisecond is zero.

    Events of a session never fall on a full second, so a user's alerts meet neither each other nor a session's events:
    times are distinct by construction. It needs at most 60 offers, and no offer with both a price and a due date.
    """
    return np.asarray(day * m.DAY_MS + minute * m.MINUTE_MS + np.arange(minute.shape[-1]) * 1000, dtype=np.int64)
