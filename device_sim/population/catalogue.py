"""The catalogue of the simulated app: 12 categories, 60 rankable offers, 300 other items."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from device_sim.population import constants as m

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

THEMES: Final = ("safety", "growth", "access", "bargain")
PAGE, ARTICLE, OFFER, UNLISTED, SEARCH = range(5)  # the roles an item can have; all but OFFER are not rankable
PER_CATEGORY: Final = {PAGE: 3, ARTICLE: 10, UNLISTED: 5, SEARCH: 7}
VALIDITY_SHARE: Final = 0.2  # of the offers: a campaign that starts or ends inside the simulated days


@dataclass(frozen=True, slots=True)
class Category:
    """One category: its size, its appeal, and the events of its holdings."""

    name: str
    prefix: str
    group: str  # "wealth", "credit" or "other": which surface it belongs to
    offers: int
    demand: float  # logit: how often users look for the category
    age: float  # taste slope per standard deviation of age
    boldness: float  # taste slope per step of risk_level
    city: float  # taste slope per step of city_tier, large cities positive
    risk: int  # the usual risk, 1 to 5
    price_log10: float  # the usual least amount
    move_sd_pct: float  # daily price change; 0: it has no price
    due_days: int  # until the first due date; 0: it has none
    held: float  # click logit of an offer that the user holds


_ROWS: Final = (  # one category a row: the fields of Category, in their order
    ("money_fund", "cash", "wealth", 4, 1.0, 0.0, -0.3, 0.1, 1, 0.0, 0.0, 0, 0.2),
    ("bond_fund", "fund", "wealth", 5, 0.2, 0.3, -0.4, 0.2, 2, 1.0, 0.25, 0, -0.4),
    ("mixed_fund", "fund", "wealth", 6, 0.3, 0.0, 0.3, 0.2, 3, 1.0, 0.9, 0, -0.4),
    ("equity_fund", "fund", "wealth", 7, 0.5, -0.3, 0.8, 0.3, 4, 1.0, 1.5, 0, -0.4),
    ("index_fund", "fund", "wealth", 6, 0.3, -0.2, 0.6, 0.4, 4, 1.0, 1.2, 0, -0.4),
    ("gold", "gold", "wealth", 3, 0.1, 0.3, 0.2, -0.1, 3, 1.0, 0.9, 0, -0.3),
    ("deposit", "deposit", "wealth", 5, 0.3, 0.6, -0.6, -0.2, 1, 2.5, 0.0, 30, -0.3),
    ("pension", "pension", "wealth", 3, -0.6, 0.6, 0.0, 0.3, 2, 2.0, 0.5, 0, -0.8),
    ("credit", "credit", "credit", 5, 0.6, -0.5, 0.3, -0.3, 3, 2.5, 0.0, 30, -0.8),
    ("instalment", "instalment", "credit", 4, 0.3, -0.6, 0.2, -0.2, 3, 2.0, 0.0, 30, -0.8),
    ("insurance", "insurance", "other", 6, 0.0, 0.5, -0.2, 0.1, 1, 1.5, 0.0, 365, -1.5),
    ("voucher", "voucher", "other", 6, 0.6, -0.4, 0.0, -0.2, 1, 0.5, 0.0, 0, -2.0),
)
CATEGORIES: Final = tuple(
    Category(**dict(zip((field.name for field in fields(Category)), row, strict=True)))  # type: ignore[arg-type]
    for row in _ROWS
)
NAMES: Final = tuple(category.name for category in CATEGORIES)
VOUCHER: Final = NAMES.index("voucher")
RELATED_PAIRS: Final = {
    ("money_fund", "deposit"): 0.6,
    ("money_fund", "bond_fund"): 0.4,
    ("money_fund", "voucher"): 0.2,
    ("bond_fund", "mixed_fund"): 0.5,
    ("bond_fund", "deposit"): 0.3,
    ("bond_fund", "pension"): 0.3,
    ("mixed_fund", "equity_fund"): 0.5,
    ("equity_fund", "index_fund"): 0.7,
    ("index_fund", "gold"): 0.3,
    ("pension", "insurance"): 0.4,
    ("deposit", "insurance"): 0.2,
    ("credit", "instalment"): 0.7,
    ("credit", "voucher"): 0.3,
    ("instalment", "voucher"): 0.4,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """All items as arrays. Items 0 to 59 are the offers; `O` = 60, `I` = 360, `C` = 12, `T` = 4 themes."""

    names: tuple[str, ...]  # (I,)
    category: Ints  # (I,)
    theme: Ints  # (I,)
    role: Ints  # (I,)
    popularity: Floats  # (I,) logit
    quality: Floats  # (O,) standard normal, seen only after the click
    risk: Ints  # (O,) 1 to 5
    price_log10: Floats  # (O,)
    vector: Floats  # (O, 4) for the taste that is an offer's own
    valid_from_ms: Ints  # (O,) since the start; below zero: always
    valid_until_ms: Ints  # (O,) since the start; beyond the end: always
    related: Floats  # (C, C), zero on the diagonal
    pick_items: Ints  # (5 roles, C, K)
    pick_cumulative: Floats  # (5 roles, C, T, K) ends in 1

    @property
    def offers(self) -> int:
        """The number of rankable items."""
        return len(self.quality)

    def per_category(self, field: str) -> Floats:
        """Returns one field of each category, (C,)."""
        return np.array([getattr(category, field) for category in CATEGORIES], dtype=np.float64)

    def pick(self, role: Ints, category: Ints, theme: Ints, uniform: Floats) -> Ints:
        """Draws one item for each row, popular items and items of the theme more often; all arguments (N,)."""
        cumulative = self.pick_cumulative[role, category, theme]
        place = np.minimum((uniform[:, None] >= cumulative).sum(axis=1), cumulative.shape[1] - 1)
        return np.asarray(self.pick_items[role, category, place])


def build(generator: np.random.Generator, days: int) -> Catalogue:
    """Draws the catalogue for a simulation of `days` days."""
    names, category, role = _names()
    offers = sum(c.offers for c in CATEGORIES)
    items = len(names)
    theme = generator.integers(len(THEMES), size=items)
    popularity = generator.normal(0, m.POPULARITY_SD, items)
    own = category[:offers]
    risk = np.array([c.risk for c in CATEGORIES])[own] + generator.integers(-1, 2, size=offers)
    price = np.array([c.price_log10 for c in CATEGORIES])[own] + generator.normal(0, 0.3, offers)
    valid_from_ms, valid_until_ms = _validity(generator, offers, days)
    pick_items, pick_cumulative = _pick_tables(category, theme, role, popularity)
    return Catalogue(
        names=names,
        category=category,
        theme=theme,
        role=role,
        popularity=popularity,
        quality=generator.normal(size=offers),
        risk=np.clip(risk, 1, 5),
        price_log10=price,
        vector=generator.normal(0, m.OFFER_TASTE_SD / 2, (offers, 4)),
        valid_from_ms=valid_from_ms,
        valid_until_ms=valid_until_ms,
        related=_related(),
        pick_items=pick_items,
        pick_cumulative=pick_cumulative,
    )


def offers_frame(catalogue: Catalogue, start: datetime, days: int) -> pl.DataFrame:
    """Returns the `offers` table: every item, with nulls where an item has no such attribute."""
    others = len(catalogue.names) - catalogue.offers
    empty = [None] * others

    def moment(offset_ms: int) -> datetime | None:
        inside = 0 < offset_ms < days * m.DAY_MS
        return start + timedelta(milliseconds=offset_ms) if inside else None

    return pl.DataFrame(
        {
            "offer": catalogue.names,
            "category": [NAMES[c] for c in catalogue.category],
            "rankable": (catalogue.role == OFFER).tolist(),
            "valid_from": [moment(int(t)) for t in catalogue.valid_from_ms] + empty,
            "valid_until": [moment(int(t)) for t in catalogue.valid_until_ms] + empty,
            "theme": [THEMES[t] for t in catalogue.theme],
            "risk": catalogue.risk.tolist() + empty,
            "price": np.round(10**catalogue.price_log10, 2).tolist() + empty,
        },
        schema={
            "offer": pl.String,
            "category": pl.String,
            "rankable": pl.Boolean,
            "valid_from": pl.Datetime("ms"),
            "valid_until": pl.Datetime("ms"),
            "theme": pl.String,
            "risk": pl.Int32,
            "price": pl.Float32,
        },
    )


def _names() -> tuple[tuple[str, ...], Ints, Ints]:
    names: list[str] = []
    category: list[int] = []
    role: list[int] = []

    def add(name: str, of_category: int, of_role: int) -> None:
        names.append(name)
        category.append(of_category)
        role.append(of_role)

    number: dict[str, int] = {}
    for index, c in enumerate(CATEGORIES):
        for _ in range(c.offers):
            number[c.prefix] = number.get(c.prefix, 0) + 1
            add(f"{c.prefix}_{number[c.prefix]:03}", index, OFFER)
    articles = 0
    for index, c in enumerate(CATEGORIES):
        for of_role, prefix in ((PAGE, "page"), (UNLISTED, "detail"), (SEARCH, "search")):
            for place in range(PER_CATEGORY[of_role]):
                add(f"{prefix}_{c.name}_{place + 1:02}", index, of_role)
        for _ in range(PER_CATEGORY[ARTICLE]):
            articles += 1
            add(f"article_{articles:03}", index, ARTICLE)
    return tuple(names), np.array(category), np.array(role)


def _validity(generator: np.random.Generator, offers: int, days: int) -> tuple[Ints, Ints]:
    """Campaign offers begin or end on a full hour inside the middle 70% of the simulated days."""
    forever = days * m.DAY_MS * 1000
    campaign = generator.permutation(offers)[: round(VALIDITY_SHARE * offers)]
    hour = np.floor(generator.uniform(0.15, 0.85, offers) * days * 24).astype(np.int64) * m.HOUR_MS
    valid_from = np.full(offers, m.NEVER_MS, dtype=np.int64)
    valid_until = np.full(offers, forever, dtype=np.int64)
    half = len(campaign) // 2
    valid_from[campaign[:half]] = hour[campaign[:half]]
    valid_until[campaign[half:]] = hour[campaign[half:]]
    return valid_from, valid_until


def _related() -> Floats:
    related = np.zeros((len(CATEGORIES), len(CATEGORIES)))
    for (one, other), weight in RELATED_PAIRS.items():
        i, j = NAMES.index(one), NAMES.index(other)
        related[i, j] = related[j, i] = weight
    return related


def _pick_tables(category: Ints, theme: Ints, role: Ints, popularity: Floats) -> tuple[Ints, Floats]:
    """Returns items and cumulative chances by role, category and theme, padded with the last item."""
    longest = max(*PER_CATEGORY.values(), *(c.offers for c in CATEGORIES))
    items = np.zeros((5, len(CATEGORIES), longest), dtype=np.int64)
    cumulative = np.ones((5, len(CATEGORIES), len(THEMES), longest))
    for r in range(5):
        for c in range(len(CATEGORIES)):
            of = np.flatnonzero((role == r) & (category == c))
            items[r, c] = of[-1]
            items[r, c, : len(of)] = of
            for t in range(len(THEMES)):
                weight = np.exp(popularity[of]) * np.where(theme[of] == t, m.THEME_WEIGHT, 1.0)
                cumulative[r, c, t, : len(of)] = np.cumsum(weight) / weight.sum()
    return items, cumulative
