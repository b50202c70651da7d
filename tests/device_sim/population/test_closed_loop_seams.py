"""The population accepts other rankers and single users, and its default is unchanged."""

from __future__ import annotations

import hashlib
from dataclasses import fields, replace

import numpy as np

from device_sim.population.catalogue import Ints
from device_sim.population.decisions import eligible, random_order, run_session
from device_sim.population.log_writer import DecisionLog, EventLog
from device_sim.population.people import People, part_of
from device_sim.population.population import PopulationConfig, live, new_world, simulate, tables
from device_sim.population.sessions import World

SMALL = PopulationConfig(users=60, days=4, seed=3)


def test_the_population_is_the_one_that_all_figures_were_computed_on() -> None:
    """Times, kinds, items, candidates and shown lists of a fixed config: integers and words, the same everywhere."""
    small = simulate(SMALL)
    events = small.events.select("user", "time", "kind", "item").write_csv()
    decisions = small.decisions.select("decision", "user", "time", "surface", "stage").write_csv()
    lists = repr(small.decisions["candidates"].to_list()) + repr(small.decisions["shown"].to_list())
    found = hashlib.sha256((events + decisions + lists).encode()).hexdigest()
    assert found == "bf4c4b62e2f40feef7e4f3dbd5212b7a89e32f24db7f3144fbd0d1a8da60581e"


def test_living_in_parts_is_living_at_once() -> None:
    world = new_world(SMALL)
    done: list[int] = []
    live(world, SMALL.start, SMALL.days, after_day=done.append)
    whole = simulate(SMALL)
    assert done == [1, 2, 3, 4]
    assert tables(world, SMALL).events.equals(whole.events)
    assert tables(world, SMALL).truth.equals(whole.truth)


def test_part_of_people_is_those_people_and_a_copy() -> None:
    world = new_world(SMALL)
    who = np.array([5, 2])
    part = part_of(world.people, who)
    for field in fields(People):
        array, chosen = getattr(world.people, field.name), getattr(part, field.name)
        expected = array[:, who] if field.name.startswith("alert_") else array[who]
        assert np.array_equal(chosen, expected), field.name
        assert not np.shares_memory(chosen, array), field.name
    part.stage[:] = 4
    assert not (world.people.stage == 4).all()


def session_of_all(world: World) -> World:
    """One session of every user at noon of the first day."""
    users = np.arange(len(world.people.stage))
    run_session(world, users, np.full(len(users), 12 * 3_600_000), np.full(len(users), -1))
    return world


def test_users_see_the_top_of_the_page_they_are_given() -> None:
    def falling(world: World, who: Ints, time_ms: Ints, surface: Ints) -> Ints:
        return np.tile(np.arange(59, 35, -1), (len(who), 1))

    log = DecisionLog()
    session_of_all(replace(new_world(SMALL), rank=falling, decisions=log))
    assert len(log.batches) > 1
    for batch in log.batches[1:]:
        assert (batch.candidates == np.arange(59, 35, -1)).all()
        assert ((batch.shown >= 6) & (batch.shown <= 24)).all()
        seen = ~np.isnan(batch.outcomes[:, :, 0])
        assert (seen == (np.arange(24) < batch.shown[:, None])).all()


def test_an_empty_page_shows_nothing() -> None:
    def nothing(world: World, who: Ints, time_ms: Ints, surface: Ints) -> Ints:
        return np.zeros((len(who), 0), np.int64)

    class Nowhere:
        def add(self, batch: object) -> None:
            decisions.append(batch)

    decisions: list[object] = []
    world = session_of_all(replace(new_world(SMALL), rank=nothing, decisions=Nowhere(), events=EventLog()))
    assert len(decisions) > 0
    assert world.people.seen_session.sum() == 0


def test_the_default_page_has_eligible_offers_only() -> None:
    world = new_world(SMALL)
    who, time_ms = np.arange(60), np.full(60, 3_600_000)
    page = random_order(world, who, time_ms, np.zeros(60, np.int64))
    allowed = eligible(world.catalogue, world.people.stage, time_ms)
    assert page.shape == (60, 24)
    assert np.take_along_axis(allowed, page, axis=1).all()
