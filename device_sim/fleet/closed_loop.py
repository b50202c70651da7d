"""Simulates one arm in closed loop: users come, the arm ranks, they see and act, and their actions change the future.

Every user, day, session and step of a session has a random stream of its own (numpy's `SeedSequence`), the same in all
arms: arms differ by the shown offers and by their consequences, not by luck.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final, NamedTuple

import numpy as np

from device_sim.fleet.arms import ArmRules, Moment, oracle_order
from device_sim.fleet.event_routing import EventRouter
from device_sim.fleet.phone import PLACES
from device_sim.population import constants as m
from device_sim.population import market, people
from device_sim.population.catalogue import Ints
from device_sim.population.choice import click_probability, convert_probability
from device_sim.population.decisions import STEPS, decisions_of_session, run_step
from device_sim.population.log_writer import DecisionBatch
from device_sim.population.population import is_weekend
from device_sim.population.sessions import World, begin_session, plan_day, planned
from edge_sdk import BaseDecision

CONVERT_WEIGHT: Final = 0.5  # as the scene's objective weighs it
_FLEET: Final = 3  # the first three streams of the seed are the population's
_MARKET, _PLAN, _NIGHT, _SESSION, _DRAW = range(5)
_BEGIN = STEPS  # a session's stream besides those of its steps

Refresh = Callable[[int, EventRouter], Sequence[BaseDecision]]  # day, known events -> each user's base decision
AfterUser = Callable[[], None]


class Row(NamedTuple):
    """One decision and its outcome."""

    day: int
    user: int
    session: int
    seen: int
    value: float
    oracle_value: float
    clicks: int
    conversions: int


@dataclass(slots=True)
class ArmLog:
    """The outcome of an arm."""

    rows: list[Row] = field(default_factory=list)
    broken: Counter[str] = field(default_factory=Counter)  # shown offers against a rule, by its name
    withheld: int = 0  # offers that an engine suppressed and the audit would not


@dataclass(frozen=True, slots=True)
class FleetDays:
    """The days of the population's calendar on which the fleet is simulated."""

    start: date  # day 0, the panel's first
    first: int
    count: int
    seed: int

    def stream(self, *key: int) -> np.random.Generator:
        """Returns the random stream of a key, the same in all arms."""
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(_FLEET, *key)))


class ArmLife:
    """The simulation of one arm of the fleet."""

    def __init__(self, arm: ArmRules, world: World, router: EventRouter, days: FleetDays, epoch_ms: int) -> None:
        """Makes the simulation.

        Args:
            arm: The arm.
            world: The catalogue, and people that only this arm changes; its sinks are replaced.
            router: The users' devices.
            days: The simulated days.
            epoch_ms: Midnight of day 0, milliseconds since 1970.
        """
        self.log = ArmLog()
        self._arm, self._router, self._days, self._epoch_ms = arm, router, days, epoch_ms
        self._world = replace(world, events=router, decisions=self, rank=self._rank)
        self._names = world.catalogue.names[: world.catalogue.offers]
        self._number = {name: index for index, name in enumerate(self._names)}
        self._base: Sequence[BaseDecision] = ()
        self._day = self._session = 0
        self._value = np.zeros(0)  # (O,) the true values at the moment of the decision
        self._best: Sequence[int] = ()  # the oracle's page at that moment

    def live(self, refresh: Refresh, after_user: AfterUser) -> ArmLog:
        """Simulates all days; `refresh` is called at each midnight."""
        for day in range(self._days.first, self._days.first + self._days.count):
            self._day = day
            self._base = refresh(day, self._router)
            self._live_day(day, after_user)
        return self.log

    def add(self, batch: DecisionBatch) -> None:
        """Adds one user's decision, as a `DecisionSink`: the user has seen the page and not yet acted."""
        user, seen = int(batch.user[0]), min(int(batch.shown[0]), batch.candidates.shape[1])
        shown = batch.candidates[0, :seen].tolist()
        outcomes = batch.outcomes[0, :seen].sum(axis=0)
        self.log.rows.append(
            Row(
                day=self._day,
                user=user,
                session=self._session,
                seen=seen,
                value=float(self._value[shown].sum()),
                oracle_value=float(self._value[self._best[:seen]].sum()),
                clicks=int(outcomes[0]) if seen else 0,
                conversions=int(outcomes[1]) if seen else 0,
            )
        )
        audit, context = self._router.devices[user].audit, self._context(user, int(batch.surface[0]))
        for offer in shown:
            self.log.broken.update(audit.broken(self._names[offer], int(batch.time_ms[0]) + self._epoch_ms, context))

    # ---- below: a day, a session, a decision ----

    def _live_day(self, day: int, after_user: AfterUser) -> None:
        world, days = self._world, self._days
        market.open_day(days.stream(_MARKET, day), world.catalogue, world.people, world.events, day)
        came = np.zeros(len(world.people.stage), np.bool_)
        for user in range(len(came)):
            who = np.array([user])
            of_day = replace(world, generator=days.stream(_PLAN, day, user))
            starts, alerts = plan_day(of_day, who, day, is_weekend(days.start, day))
            for slot in np.flatnonzero(planned(starts, day)[0]).tolist():
                came[user] = True
                self._live_session(who, starts[:, slot], alerts[:, slot])
            after_user()
        market.close_day(world.catalogue, world.people, day)
        people.pass_night(days.stream(_NIGHT, day), world.people, came)

    def _live_session(self, who: Ints, start_ms: Ints, alert: Ints) -> None:
        # Streams are named by the start, not by the session's number: an extra visit in one arm shifts no other stream.
        user, start = int(who[0]), int(start_ms[0])
        device = self._router.devices[user]
        self._session += 1
        device.open(start + self._epoch_ms)
        try:
            begun = replace(self._world, generator=self._days.stream(_SESSION, user, start, _BEGIN))
            decisions = decisions_of_session(begun, who)
            begin_session(begun, who, start_ms, alert)
            for step in range(STEPS):
                of_step = replace(self._world, generator=self._days.stream(_SESSION, user, start, step))
                run_step(of_step, who, decisions, step)
        finally:
            device.close()

    def _rank(self, world: World, who: Ints, time_ms: Ints, surface: Ints) -> Ints:
        """Returns the page of one user's decision, (1, K), as a `Ranker`."""
        moment = self._moment(world, who, time_ms, surface)
        self._value = moment.value
        self._best = oracle_order(moment)[:PLACES]
        page = self._engine_order(moment) if self._arm.order is None else self._arm.order(moment)
        return np.array(page[:PLACES], np.int64)[None, :]

    def _moment(self, world: World, who: Ints, time_ms: Ints, surface: Ints) -> Moment:
        user, now_ms = int(who[0]), int(time_ms[0]) + self._epoch_ms
        device, context = self._router.devices[user], self._context(user, int(surface[0]))
        device.deliver_pending(now_ms)
        offers = np.arange(world.catalogue.offers)[None, :]
        click = click_probability(world.catalogue, world.people, who, time_ms, surface, offers)[0]
        after = convert_probability(world.catalogue, world.people, who, offers)[0]
        base = self._base[user]
        counted = self._arm.counted
        return Moment(
            user=user,
            time_ms=now_ms,
            context=context,
            base=base,
            base_order=[self._number[name] for name in base.offers],
            value=click + CONVERT_WEIGHT * click * after,
            free=[
                number
                for number, name in enumerate(self._names)
                if not device.audit.broken(name, now_ms, context, counted=counted)
            ],
            generator=self._days.stream(_DRAW, user, int(time_ms[0])),
        )

    def _engine_order(self, moment: Moment) -> list[int]:
        phone = self._router.devices[moment.user].phone
        if phone is None:
            raise RuntimeError("this arm's users have no phones; give them some")
        decision = phone.rank(moment.base, moment.context, moment.time_ms)
        eligible = {decision.candidates[index] for index in decision.trace.result.eligible_order.tolist()}
        self.log.withheld += sum(self._names[offer] not in eligible for offer in moment.free)
        return [self._number[decision.candidates[index]] for index in decision.order.tolist()]

    def _context(self, user: int, surface: int) -> dict[str, str]:
        return {"surface": m.SURFACES[surface], "stage": m.STAGES[self._world.people.stage[user]]}
