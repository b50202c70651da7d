"""The true probabilities of clicks and conversions of each candidate at a moment, which the log only samples."""

from __future__ import annotations

import numpy as np

from device_sim.population import constants as m
from device_sim.population.catalogue import CATEGORIES, VOUCHER, Catalogue, Floats, Ints
from device_sim.population.market import alert_level
from device_sim.population.people import People

_GROUP_SURFACE = {"wealth": 1, "credit": 2, "other": -1}


def click_probability(
    catalogue: Catalogue, people: People, who: Ints, time_ms: Ints, surface: Ints, offer: Ints
) -> Floats:
    """Returns the probability of a click on each candidate if it is shown.

    Args:
        catalogue: The items.
        people: The users in their current state.
        who: The users of the decisions, (N,).
        time_ms: The moments, (N,).
        surface: Index in SURFACES, (N,).
        offer: The candidates, (N, K).

    Returns:
        (N, K), strictly between 0 and 1: 1 − (1 − sigmoid(logit)) · (1 − impulse).
    """
    logit = (
        m.CLICK_LOGIT
        + catalogue.popularity[offer]
        + people.propensity[who, None]
        + people.mood[who, None]
        + m.RISK_GAP_CLICK * np.abs(catalogue.risk[offer] - people.appetite[who, None])
        + _liking(catalogue, people, who, offer)
        + _intent_match(catalogue, people, who, offer)
        + _history(catalogue, people, who, time_ms, offer)
        + _situation(catalogue, people, who, surface, offer)
    )
    impulse = m.IMPULSE * np.exp(m.IMPULSE_POPULARITY * catalogue.popularity[offer])
    return np.asarray(1 - (1 - _sigmoid(logit)) * (1 - impulse))


def convert_probability(catalogue: Catalogue, people: People, who: Ints, offer: Ints) -> Floats:
    """Returns the probability of a conversion after a click, (N, K): it depends on the product, not on its tile."""
    category = catalogue.category[offer]
    intent = category == people.intent[who, None]
    price = np.maximum(catalogue.price_log10[offer] + 1.5 - people.money_log10[who, None], 0.0)
    logit = (
        m.CONVERT_LOGIT
        + m.TASTE_CONVERT * people.taste[who[:, None], category]
        + m.INTENT_CONVERT * intent
        + m.QUALITY_CONVERT * catalogue.quality[offer]
        + m.RISK_GAP_CONVERT * np.abs(catalogue.risk[offer] - people.appetite[who, None])
        + m.PRICE_CONVERT * price
        + np.array(m.STAGE_CONVERT)[people.stage[who]][:, None]
    )
    return _sigmoid(logit)


def _liking(catalogue: Catalogue, people: People, who: Ints, offer: Ints) -> Floats:
    """Returns the logit of taste, for the category and for the offer itself, and of the session's whim."""
    category = catalogue.category[offer]
    own = np.einsum("nd,nkd->nk", people.offer_vector[who], catalogue.vector[offer])
    row = who[:, None]
    return np.asarray(m.TASTE_CLICK * people.taste[row, category] + people.whim[row, category] + own)


def _intent_match(catalogue: Catalogue, people: People, who: Ints, offer: Ints) -> Floats:
    category, intent = catalogue.category[offer], people.intent[who, None]
    return np.asarray(
        m.INTENT_CATEGORY * (category == intent)
        + m.INTENT_RELATED * catalogue.related[intent, category]
        + m.INTENT_FOCUS * (offer == people.focus[who, None])
        + m.INTENT_THEME * (catalogue.theme[offer] == people.theme[who, None])
    )


def _history(catalogue: Catalogue, people: People, who: Ints, time_ms: Ints, offer: Ints) -> Floats:
    """Returns the logit of fatigue, holdings, alerts about holdings, recent purchases and dismissals."""
    row, category, time = who[:, None], catalogue.category[offer], time_ms[:, None]
    level = alert_level(people, who, time_ms)
    by_category = np.zeros((len(who), len(CATEGORIES)))
    for c in range(len(CATEGORIES)):
        by_category[:, c] = level[:, catalogue.category[: catalogue.offers] == c].max(axis=1)
    nearby = by_category @ catalogue.related + by_category
    held = catalogue.per_category("held")[category] * people.held[row, offer]
    return np.asarray(
        m.FATIGUE_SESSION * np.minimum(people.seen_session[row, offer], m.FATIGUE_SESSION_LIMIT)
        + m.FATIGUE_RECENT * np.minimum(people.seen_recent[row, offer], m.FATIGUE_RECENT_LIMIT)
        + m.ALERT_OFFER * np.take_along_axis(level, offer, axis=1)
        + m.ALERT_CATEGORY * np.take_along_axis(nearby, category, axis=1)
        + held
        + m.BOUGHT * _faded(time - people.bought_ms[row, offer], m.BOUGHT_HALF_LIFE_H)
        + m.DISMISSED * _faded(time - people.dismissed_ms[row, offer], m.DISMISSED_HALF_LIFE_H)
    )


def _situation(catalogue: Catalogue, people: People, who: Ints, surface: Ints, offer: Ints) -> Floats:
    category, stage = catalogue.category[offer], people.stage[who]
    of_surface = np.array([_GROUP_SURFACE[c.group] for c in CATEGORIES])[category]
    return np.asarray(
        np.array(m.STAGE_CLICK)[stage][:, None]
        + np.array(m.STAGE_VOUCHER)[stage][:, None] * (category == VOUCHER)
        + m.SURFACE_MATCH * (of_surface == surface[:, None])
    )


def _faded(age_ms: Ints, half_life_h: float) -> Floats:
    return np.asarray(np.exp2(-age_ms / (half_life_h * m.HOUR_MS)))


def _sigmoid(logit: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-logit)))
