"""Routes each user's events: to the rule audit, to the phone if there is one, and the cloud's own to the cloud."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from device_sim.fleet.cloud import KNOWN_KINDS, KnownEvents
from device_sim.fleet.phone import Phone
from device_sim.fleet.rule_audit import RuleAudit
from device_sim.population import constants as m
from device_sim.population.catalogue import Floats, Ints

NOTICES: Final = ("price_change", "due_date")  # sent to the phone; the app records them when it next runs
OUTCOMES: Final = ("click", "convert", "dismiss")


class UserEvent(NamedTuple):
    """One event of one user; milliseconds since 1970."""

    time_ms: int
    kind: str
    item: str
    value: float


@dataclass(slots=True)
class UserDevice:
    """One user's rule audit, and the user's phone if the arm has phones."""

    audit: RuleAudit
    phone: Phone | None
    pending: deque[UserEvent] = field(default_factory=deque)  # notices, in the order of time

    def open(self, now_ms: int) -> None:
        """Opens the app for a session."""
        if self.phone is not None:
            self.phone.open(min([now_ms, *(notice.time_ms for notice in self.pending)]))

    def close(self) -> None:
        """Closes the app."""
        if self.phone is not None:
            self.phone.close()

    def deliver_pending(self, until_ms: int) -> None:
        """Records the notices from before a moment, at their own times."""
        while self.pending and self.pending[0].time_ms < until_ms:
            self._record(self.pending.popleft())

    def add(self, event: UserEvent) -> None:
        """Records an event that is no impression."""
        self.deliver_pending(event.time_ms)
        self._record(event)

    def shown(self, offers: Sequence[str], times_ms: Sequence[int]) -> None:
        """Records impressions of the page's first offers, each at its time; the app tells the engine after the last."""
        self.deliver_pending(times_ms[0])
        for offer, time_ms in zip(offers, times_ms, strict=True):
            self.audit.add(time_ms, "impression", offer)
        if self.phone is not None:
            self.phone.shown(len(offers), times_ms[-1])

    def _record(self, event: UserEvent) -> None:
        self.audit.add(event.time_ms, event.kind, event.item)
        if self.phone is None:
            return
        if event.kind in OUTCOMES:
            self.phone.feedback(event.kind, event.item, event.value, event.time_ms)
        else:
            self.phone.record(event.kind, event.item, event.value, event.time_ms)


class EventRouter:
    """The devices of all users, as an `EventSink` of the population."""

    def __init__(self, devices: Sequence[UserDevice], names: Sequence[str], epoch_ms: int, *, uploads: bool) -> None:
        """Makes the router.

        Args:
            devices: The devices by user number.
            names: The names of the items by their number in the catalogue.
            epoch_ms: The population's first midnight, milliseconds since 1970.
            uploads: Whether the cloud gets every event, not only its own.
        """
        self.devices, self._names, self._epoch_ms, self._uploads = devices, names, epoch_ms, uploads
        self._known: list[tuple[int, UserEvent]] = []

    def add(self, kind: str | Ints, user: Ints, time_ms: Ints, item: Ints, value: Floats | None = None) -> None:
        """Routes events; impressions in one call belong to one user's page."""
        if not len(user):
            return
        codes = np.broadcast_to(m.KINDS.index(kind) if isinstance(kind, str) else kind, user.shape).tolist()
        values = [0.0] * len(user) if value is None else np.nan_to_num(value).astype(np.float32).tolist()
        times = (time_ms + self._epoch_ms).tolist()
        rows = [
            UserEvent(time, m.KINDS[code], self._names[about], amount)
            for time, code, about, amount in zip(times, codes, item.tolist(), values, strict=True)
        ]
        users = user.tolist()
        self._known += [
            (number, row) for number, row in zip(users, rows, strict=True) if self._uploads or row.kind in KNOWN_KINDS
        ]
        if rows[0].kind == "impression":
            self.devices[users[0]].shown([row.item for row in rows], [row.time_ms for row in rows])
            return
        for number, row in zip(users, rows, strict=True):
            if row.kind in NOTICES:
                self._insert(self.devices[number].pending, row)
            else:
                self.devices[number].add(row)

    def known(self) -> KnownEvents:
        """Returns the events that the cloud has, of all users."""
        return KnownEvents(
            user=[number for number, _ in self._known],
            time_ms=[row.time_ms for _, row in self._known],
            kind=[row.kind for _, row in self._known],
            item=[row.item for _, row in self._known],
            value=[row.value for _, row in self._known],
        )

    @staticmethod
    def _insert(pending: deque[UserEvent], notice: UserEvent) -> None:
        """Inserts a notice by its time: the notices of a day arrive offer by offer."""
        later = []
        while pending and pending[-1].time_ms > notice.time_ms:
            later.append(pending.pop())
        pending.append(notice)
        pending.extend(reversed(later))
