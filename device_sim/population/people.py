"""The simulated users: traits (drawn once) and state (changed in place day by day)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

import numpy as np
import polars as pl

from device_sim.population import constants as m
from device_sim.population.catalogue import CATEGORIES, THEMES, Catalogue, Flags, Floats, Ints

AGE_BANDS: Final = ("18-24", "25-34", "35-44", "45-54", "55+")
AGE_SHARE: Final = (0.16, 0.30, 0.26, 0.17, 0.11)
CITY_TIERS: Final = ("tier_1", "tier_2", "tier_3")
CITY_SHARE: Final = (0.30, 0.40, 0.30)
RISK_LEVELS: Final = ("cautious", "balanced", "bold")
STAGE_HOLDING: Final = (-1.5, 0.0, 0.4, 0.2, -0.3)
NO_DUE_DAY: Final = -1_000_000

# From stage to stage overnight; the first for users who came that day, the second for those who did not.
_CAME: Final = (
    (0.80, 0.20, 0.00, 0.00, 0.00),
    (0.00, 0.88, 0.12, 0.00, 0.00),
    (0.00, 0.00, 0.995, 0.005, 0.00),
    (0.00, 0.10, 0.25, 0.65, 0.00),
    (0.00, 0.50, 0.00, 0.50, 0.00),
)
_STAYED_AWAY: Final = (
    (0.93, 0.00, 0.00, 0.06, 0.01),
    (0.00, 0.93, 0.01, 0.06, 0.00),
    (0.00, 0.00, 0.95, 0.05, 0.00),
    (0.00, 0.00, 0.02, 0.93, 0.05),
    (0.00, 0.00, 0.00, 0.00, 1.00),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Arrays over `U` users; the fields under "state" are written in place."""

    # traits
    age: Ints  # (U,) index in AGE_BANDS
    city: Ints
    risk_level: Ints
    home_taste: Floats  # (U, C) where the taste returns to
    offer_vector: Floats  # (U, 4)
    theme_cumulative: Floats  # (U, T)
    appetite: Floats  # (U,) the risk that suits, 1 to 5
    propensity: Floats  # (U,) logit
    patience: Floats  # (U,) chance to scroll past each further tile
    visit_rate: Floats  # (U,) mean 1
    money_log10: Floats  # (U,)
    # state: long-lived
    taste: Floats  # (U, C) logit
    stage: Ints  # (U,)
    held: Flags  # (U, O)
    bought_ms: Ints  # (U, O)
    dismissed_ms: Ints  # (U, O)
    due_day: Ints  # (U, O)
    seen_recent: Floats  # (U, O) impressions, decayed, as of the session's start
    alert_ms: Ints  # (2, U, O) the last two alerts: today's, the one before
    alert_strength: Floats  # (2, U, O)
    # state: of the session
    now_ms: Ints  # (U,) the user's last moment in the app
    seen_session: Floats  # (U, O)
    intent: Ints  # (U,) a category
    theme: Ints  # (U,)
    focus: Ints  # (U,) an offer
    mood: Floats  # (U,)
    whim: Floats  # (U, C)


def draw(generator: np.random.Generator, users: int, catalogue: Catalogue) -> People:
    """Draws `users` people in their state on the first midnight."""
    age = generator.choice(len(AGE_BANDS), size=users, p=AGE_SHARE)
    city = generator.choice(len(CITY_TIERS), size=users, p=CITY_SHARE)
    age_z, city_z = (age - 1.77) / 1.22, 1.0 - city
    boldness = generator.normal(-0.3 * age_z, 1.0)
    risk_level = (boldness > -0.4).astype(np.int64) + (boldness > 0.9)
    taste = _draw_taste(generator, catalogue, np.array([age_z, risk_level - 1.0, city_z]).T)
    stage = generator.choice(len(m.STAGES), size=users, p=m.STAGE_SHARE)
    theme_weight = generator.gamma(1.0, size=(users, len(THEMES)))
    held = _draw_holdings(generator, catalogue, taste, stage)
    offers, never = (users, catalogue.offers), m.NEVER_MS
    return People(
        age=age,
        city=city,
        risk_level=risk_level,
        home_taste=taste.copy(),
        offer_vector=generator.normal(size=(users, 4)),
        theme_cumulative=np.cumsum(theme_weight / theme_weight.sum(axis=1, keepdims=True), axis=1),
        appetite=np.clip(generator.normal(2.0 + risk_level, m.APPETITE_OWN_SD), 1.0, 5.0),
        propensity=generator.normal(0, m.USER_PROPENSITY_SD, users),
        patience=generator.beta(m.PATIENCE_ALPHA, m.PATIENCE_BETA, users),
        visit_rate=generator.gamma(m.VISIT_RATE_SHAPE, 1 / m.VISIT_RATE_SHAPE, users),
        money_log10=generator.normal(3.6 + 0.15 * age_z + 0.2 * city_z, 0.5),
        taste=taste,
        stage=stage,
        held=held,
        bought_ms=np.full(offers, never),
        dismissed_ms=np.full(offers, never),
        due_day=_draw_due_days(generator, catalogue, held),
        seen_recent=np.zeros(offers),
        alert_ms=np.full((2, *offers), never),
        alert_strength=np.zeros((2, *offers)),
        now_ms=np.full(users, never),
        seen_session=np.zeros(offers),
        intent=np.zeros(users, dtype=np.int64),
        theme=np.zeros(users, dtype=np.int64),
        focus=np.zeros(users, dtype=np.int64),
        mood=np.zeros(users),
        whim=np.zeros((users, len(CATEGORIES))),
    )


def part_of(people: People, who: Ints) -> People:
    """Returns copies of some of the people, (N,), as a population of their own."""
    arrays = {field.name: getattr(people, field.name) for field in fields(People)}
    by_alert = ("alert_ms", "alert_strength")  # the only ones whose first axis is not the users
    return People(**{name: array[:, who] if name in by_alert else array[who] for name, array in arrays.items()})


def pass_night(generator: np.random.Generator, people: People, came: Flags) -> None:
    """Advances stages and tastes by one day; `came` (U,) tells which users had a session."""
    table = np.cumsum(np.array([_STAYED_AWAY, _CAME]), axis=2)[came.astype(np.int64), people.stage]
    uniform = generator.random(len(came))
    people.stage[:] = np.minimum((uniform[:, None] >= table).sum(axis=1), len(m.STAGES) - 1)
    step = generator.normal(0, m.TASTE_DRIFT_SD_PER_DAY, people.taste.shape)
    people.taste[:] += step + m.TASTE_RETURN_PER_DAY * (people.home_taste - people.taste)


def users_frame(people: People) -> pl.DataFrame:
    """Returns the `users` table: the cloud's data on each user beside the log."""
    return pl.DataFrame(
        {
            "user": user_names(len(people.age)),
            "age_band": [AGE_BANDS[i] for i in people.age],
            "city_tier": [CITY_TIERS[i] for i in people.city],
            "risk_level": [RISK_LEVELS[i] for i in people.risk_level],
        }
    )


def user_names(users: int) -> list[str]:
    """Returns the names `u000000`, `u000001` …, in the order of the arrays."""
    return [f"u{index:06}" for index in range(users)]


def first_due_day(generator: np.random.Generator, catalogue: Catalogue, offer: Ints, day: Ints | int) -> Ints:
    """Draws the due day of purchases on `day`; NO_DUE_DAY where the category has no due date.

    Short terms exist (a week), so that some purchases fall due inside a two-week simulation.
    """
    days = catalogue.per_category("due_days")[catalogue.category[offer]].astype(np.int64)
    short = generator.random(offer.shape) < 0.3
    return np.where(days == 0, NO_DUE_DAY, day + np.where(short & (days == 30), 7, days))


def _draw_taste(generator: np.random.Generator, catalogue: Catalogue, attributes: Floats) -> Floats:
    """Draws tastes: attributes shift them, a few shared factors correlate categories, the rest is individual."""
    users, categories = len(attributes), len(CATEGORIES)
    slopes = np.stack([catalogue.per_category(name) for name in ("age", "boldness", "city")])
    loadings = generator.normal(0, m.TASTE_FACTOR_SD / 2, (4, categories))
    return np.asarray(
        m.TASTE_ATTRIBUTE_SCALE * attributes @ slopes
        + generator.normal(size=(users, 4)) @ loadings
        + generator.normal(0, m.TASTE_OWN_SD, (users, categories))
    )


def _draw_holdings(generator: np.random.Generator, catalogue: Catalogue, taste: Floats, stage: Ints) -> Flags:
    own = catalogue.category[: catalogue.offers]
    logit = m.HOLDING_LOGIT + taste[:, own] + catalogue.popularity[: catalogue.offers]
    logit += np.array(STAGE_HOLDING)[stage][:, None]
    return np.asarray(generator.random(logit.shape) < 1 / (1 + np.exp(-logit)))


def _draw_due_days(generator: np.random.Generator, catalogue: Catalogue, held: Flags) -> Ints:
    """Draws due days spread over the whole term: holdings were bought at any time before."""
    days = catalogue.per_category("due_days")[catalogue.category[: catalogue.offers]]
    due = np.floor(generator.random(held.shape) * days).astype(np.int64)
    return np.where(held & (days > 0), due, NO_DUE_DAY)
