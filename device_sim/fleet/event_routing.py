"""Where each user's events go: into the ledger, onto the phone if the arm has one, and the cloud's own to the cloud."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from device_sim.fleet.cloud import KNOWN_KINDS, KnownEvents
from device_sim.fleet.phone import Phone
from device_sim.fleet.rule_audit import Ledger
from device_sim.population import constants as m
from device_sim.population.catalogue import Floats, Ints

NOTICES: Final = ("price_change", "due_date")  # sent to the phone; its app takes them in when it next runs
OUTCOMES: Final = ("click", "convert", "dismiss")


class Happening(NamedTuple):
    """One event of one user; milliseconds since 1970."""

    time_ms: int
    kind: str
    item: str
    value: float


@dataclass(slots=True)
class Home:
    """One user's ledger, and phone if the arm has phones."""

    ledger: Ledger
    phone: Phone | None
    waiting: deque[Happening] = field(default_factory=deque)  # notices, in the order of time

    def open(self, now_ms: int) -> None:
        """A session begins."""
        if self.phone is not None:
            self.phone.open(min([now_ms, *(notice.time_ms for notice in self.waiting)]))

    def close(self) -> None:
        """It ends."""
        if self.phone is not None:
            self.phone.close()

    def catch_up(self, until_ms: int) -> None:
        """Take in the notices from before a moment, at their own times."""
        while self.waiting and self.waiting[0].time_ms < until_ms:
            self._take(self.waiting.popleft())

    def happened(self, event: Happening) -> None:
        """Something but an impression."""
        self.catch_up(event.time_ms)
        self._take(event)

    def saw(self, offers: Sequence[str], times_ms: Sequence[int]) -> None:
        """The first offers of the page came into view, each at its time; the app tells the engine after the last."""
        self.catch_up(times_ms[0])
        for offer, time_ms in zip(offers, times_ms, strict=True):
            self.ledger.add(time_ms, "impression", offer)
        if self.phone is not None:
            self.phone.saw(len(offers), times_ms[-1])

    def _take(self, event: Happening) -> None:
        self.ledger.add(event.time_ms, event.kind, event.item)
        if self.phone is None:
            return
        if event.kind in OUTCOMES:
            self.phone.acted(event.kind, event.item, event.value, event.time_ms)
        else:
            self.phone.record(event.kind, event.item, event.value, event.time_ms)


class Homes:
    """The users' homes, as an `EventSink` of the population."""

    def __init__(self, homes: Sequence[Home], names: Sequence[str], epoch_ms: int, *, uploads: bool) -> None:
        """Make it.

        Args:
            homes: By the user's number.
            names: Of the items, by their number in the catalogue.
            epoch_ms: The population's first midnight, milliseconds since 1970.
            uploads: The cloud gets every event, not only those that are its own.
        """
        self.homes, self._names, self._epoch_ms, self._uploads = homes, names, epoch_ms, uploads
        self._known: list[tuple[int, Happening]] = []

    def add(self, kind: str | Ints, user: Ints, time_ms: Ints, item: Ints, value: Floats | None = None) -> None:
        """Take events; impressions are those of one user's page."""
        if not len(user):
            return
        codes = np.broadcast_to(m.KINDS.index(kind) if isinstance(kind, str) else kind, user.shape).tolist()
        values = [0.0] * len(user) if value is None else np.nan_to_num(value).astype(np.float32).tolist()
        times = (time_ms + self._epoch_ms).tolist()
        rows = [
            Happening(time, m.KINDS[code], self._names[about], amount)
            for time, code, about, amount in zip(times, codes, item.tolist(), values, strict=True)
        ]
        users = user.tolist()
        self._known += [
            (number, row) for number, row in zip(users, rows, strict=True) if self._uploads or row.kind in KNOWN_KINDS
        ]
        if rows[0].kind == "impression":
            self.homes[users[0]].saw([row.item for row in rows], [row.time_ms for row in rows])
            return
        for number, row in zip(users, rows, strict=True):
            if row.kind in NOTICES:
                self._wait(self.homes[number].waiting, row)
            else:
                self.homes[number].happened(row)

    def known(self) -> KnownEvents:
        """What the cloud has of all users."""
        return KnownEvents(
            user=[number for number, _ in self._known],
            time_ms=[row.time_ms for _, row in self._known],
            kind=[row.kind for _, row in self._known],
            item=[row.item for _, row in self._known],
            value=[row.value for _, row in self._known],
        )

    @staticmethod
    def _wait(waiting: deque[Happening], notice: Happening) -> None:
        """A day's notices come offer by offer, not in the order of time."""
        later = []
        while waiting and waiting[-1].time_ms > notice.time_ms:
            later.append(waiting.pop())
        waiting.append(notice)
        waiting.extend(reversed(later))


MakeHome = Callable[[int], Home]
