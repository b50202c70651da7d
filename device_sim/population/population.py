"""Simulates a wealth scene: users whose click and conversion probabilities are known at every moment.

The default input of the project, and the only one with a truth to measure rankers against. Every mechanism and
constant is explained in docs/population.md. Clocks are UTC and so are the users' days.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import date, datetime, time, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from device_sim.population import catalogue as catalogue_module
from device_sim.population import market, people
from device_sim.population.decisions import random_order, run_session
from device_sim.population.log_writer import DecisionLog, EventLog
from device_sim.population.sessions import World, plan_day, planned

_USERS_LIMIT = 1_000_000  # six digits in a user's name
_DAYS_LIMIT = 366


@dataclass(frozen=True, slots=True, kw_only=True)
class PopulationConfig:
    """The settings of a simulation.

    Attributes:
        users: How many users, 1 to 1,000,000.
        days: How many days, 1 to 366.
        seed: Any integer from 0; the same seed gives the same tables on one machine and numpy version.
        start: The first day; it begins at midnight UTC.

    Raises:
        ValueError: A number is out of range; the message says which and what to write instead.
    """

    users: int = 2000
    days: int = 14
    seed: int = 1
    start: date = date(2026, 1, 5)

    def __post_init__(self) -> None:
        if not 1 <= self.users <= _USERS_LIMIT:
            raise ValueError(f"users is {self.users}: give a number from 1 to {_USERS_LIMIT}")
        if not 1 <= self.days <= _DAYS_LIMIT:
            raise ValueError(f"days is {self.days}: give a number from 1 to {_DAYS_LIMIT}")
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}: give an integer from 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """The tables of the log, and the truth that only a simulator knows.

    Attributes:
        events: user, time, kind, item, value; sorted by user and time, times strictly increasing within a user.
        decisions: decision, user, time, surface, stage, candidates, shown, propensities, outcomes.
        offers: every item; those with `rankable` may be candidates.
        users: user, age_band, city_tier, risk_level.
        truth: decision, click, convert: the true probabilities per candidate at that moment.
    """

    events: pl.DataFrame
    decisions: pl.DataFrame
    offers: pl.DataFrame
    users: pl.DataFrame
    truth: pl.DataFrame


def simulate(config: PopulationConfig, *, after_day: Callable[[int], None] | None = None) -> Population:
    """Simulates a population.

    Args:
        config: The settings.
        after_day: Called with the number of days done, for a progress bar.

    Returns:
        The tables; the same for the same config.
    """
    world = new_world(config)
    live(world, config.start, config.days, after_day=after_day)
    return tables(world, config)


def new_world(config: PopulationConfig) -> World:
    """Returns the population on its first midnight; events are logged, and pages are in random order."""
    # Separate streams: a change in how users are drawn leaves the catalogue as it was.
    of_catalogue, of_people, of_days = (
        np.random.default_rng(seed) for seed in np.random.SeedSequence(config.seed).spawn(3)
    )
    catalogue = catalogue_module.build(of_catalogue, config.days)
    return World(
        generator=of_days,
        catalogue=catalogue,
        people=people.draw(of_people, config.users, catalogue),
        events=EventLog(),
        decisions=DecisionLog(),
        rank=random_order,
    )


def live(world: World, start: date, days: int, *, after_day: Callable[[int], None] | None = None) -> None:
    """Simulates the first `days` days; `after_day` is called with the number of finished days."""
    for day in range(days):
        _simulate_day(world, day, is_weekend(start, day))
        if after_day is not None:
            after_day(day + 1)


def is_weekend(start: date, day: int) -> bool:
    """Returns whether the day, 0 = `start`, is a Saturday or a Sunday."""
    return (start + timedelta(days=day)).weekday() >= 5


def tables(world: World, config: PopulationConfig) -> Population:
    """Returns the tables of a world of `new_world` so far; `config` has its start and the length of its campaigns."""
    if not isinstance(world.events, EventLog) or not isinstance(world.decisions, DecisionLog):
        raise TypeError("this world keeps no log; make it with `new_world`")
    start = datetime.combine(config.start, time())
    names = people.user_names(len(world.people.stage))
    decisions, truth = world.decisions.frames(world.catalogue, names, start)
    return Population(
        events=world.events.frame(world.catalogue, names, start),
        decisions=decisions,
        offers=catalogue_module.offers_frame(world.catalogue, start, config.days),
        users=people.users_frame(world.people),
        truth=truth,
    )


def write(population: Population, folder: Path) -> None:
    """Writes `<table>.parquet` for each table into `folder`, which is made if needed.

    Raises:
        OSError: The folder cannot be made or written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for table in fields(population):
        frame: pl.DataFrame = getattr(population, table.name)
        frame.write_parquet(folder / f"{table.name}.parquet")


def oracle_scores(truth: pl.DataFrame, weights: tuple[float, float] = (1.0, 0.5)) -> NDArray[np.float64]:
    """Returns the best possible scores of a ranker: the weighted sums of the true outcome probabilities.

    Args:
        truth: The table `truth`, or rows of it.
        weights: Of a click and of a conversion; the conversion's probability includes the click.

    Returns:
        (decisions, 24), in the order of the rows and of their candidates.
    """
    click, convert = (truth[name].explode().to_numpy().astype(np.float64) for name in ("click", "convert"))
    scores = weights[0] * click + weights[1] * convert
    return scores.reshape(truth.height, len(scores) // max(truth.height, 1))


def _simulate_day(world: World, day: int, weekend: bool) -> None:
    market.open_day(world.generator, world.catalogue, world.people, world.events, day)
    starts, alerts = plan_day(world, np.arange(len(world.people.stage)), day, weekend)
    real = planned(starts, day)
    for slot in range(starts.shape[1]):
        who = np.flatnonzero(real[:, slot])
        if len(who):
            run_session(world, who, starts[who, slot], alerts[who, slot])
    market.close_day(world.catalogue, world.people, day)
    people.pass_night(world.generator, world.people, came=real[:, 0])  # sorted: the first is real if any is
