"""What the device has spent in the running period: the values of shown events add up, in whole units.

Costs are floats, and sums of floats round: ten costs of 0.1 come to less than 1. So each cost is rounded to a whole
number of units first, and units are summed. A budget declares how many units one is.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

import numpy as np

from edge_sdk.clock import LocalTime
from edge_sdk.log.local_field import offset_s_of, offsets_s_of
from edge_sdk.log.record import BACK_FILLED
from edge_sdk.types import F32, F64, I64, U16

UNITS_PER_ONE: Final = 1_000_000  # where a budget declares nothing else
WEEK_S: Final = 604_800
UNITS_MAX: Final = (1 << 53) - 1  # beyond it a double skips whole numbers: sums stop here
_STATE: Final = struct.Struct("<qq")  # period, units spent in it
_FORMER_STATE: Final = struct.Struct("<qd")  # up to snapshot version 4: period, sum of the values


class Periods(NamedTuple):
    """The periods of a budget: of equal length by the clock on the wall, one after the other."""

    length_s: int
    first_s: int = 0  # one begins so long after 1970-01-01 00:00
    is_local: bool = False  # of the local time of each event; else of UTC

    def number(self, at_ms: int, offset_s: int) -> int:
        """Returns the number of the period at a moment, where local time is so far ahead of UTC."""
        return self._since_first_ms(at_ms, offset_s) // (self.length_s * 1000)

    def elapsed(self, at_ms: int, offset_s: int) -> float:
        """Returns which part of its period is over at a moment, 0 to 1."""
        length_ms = self.length_s * 1000
        return self._since_first_ms(at_ms, offset_s) % length_ms / length_ms

    def end_ms(self, now_ms: int, local: LocalTime) -> int:
        """Returns when the period of now ends; where the clocks change before, it ends by the new local time."""
        offset_s = local.offset_at(now_ms)
        end_ms = self._end_ms(now_ms, offset_s)
        if not self.is_local or now_ms >= local.changes_ms or end_ms < local.changes_ms:
            return end_ms
        if self.number(local.changes_ms, local.offset_after_s) > self.number(now_ms, offset_s):
            return local.changes_ms  # the change skips the end
        return self._end_ms(local.changes_ms, local.offset_after_s)

    def _end_ms(self, at_ms: int, offset_s: int) -> int:
        length_ms = self.length_s * 1000
        return at_ms + length_ms - self._since_first_ms(at_ms, offset_s) % length_ms

    def _since_first_ms(self, at_ms: int, offset_s: int) -> int:
        return at_ms + (offset_s * self.is_local - self.first_s) * 1000


class SpendingRule(NamedTuple):
    """What counts as spending."""

    kinds: frozenset[int]  # kind ids of shown events; their value is the cost
    periods: Periods
    units_per_one: int = UNITS_PER_ONE


def units(cost: float, units_per_one: int) -> int:
    """Returns a cost (a float32) in whole units: the nearest, of two the even one; `UNITS_MAX` at most."""
    exact = cost * units_per_one
    return round(exact) if exact < UNITS_MAX else UNITS_MAX


def units_of(costs: F32, units_per_one: int) -> F64:
    """Returns costs (C,) in units, as `units` does: whole numbers in doubles; sums are exact up to `UNITS_MAX`."""
    exact: F64 = costs.astype(np.float64) * units_per_one
    return np.minimum(np.rint(exact), float(UNITS_MAX))


class Spending:
    """A meter of one period.

    Pure over events: no clock, no disk. A clock that stepped back over the start of a period does not empty it: what is
    stamped in the period before counts, and reads, as of the newest; so does what a traveller is shown who came to an
    earlier day. A clock that came back from further away was wrong when it was ahead: then the meter starts anew, else
    it would stand still for as long as the clock had been wrong. A back-filled event says nothing about the clock: one
    of an earlier period changes nothing.
    """

    def __init__(self, rule: SpendingRule | None) -> None:
        """Nothing spent; without a rule, for ever."""
        self.rule = rule
        self._periods = rule.periods if rule else Periods(1)
        self._units_per_one = rule.units_per_one if rule else 1
        self._period = self._spent = 0

    def add(self, time_ms: int, value: float, local: int = 0) -> None:
        """Counts one event of the rule's kinds, the newest by order of calls; a value that is not above 0 is none.

        Args:
            time_ms: milliseconds since 1970.
            value: a float32.
            local: that field of the event's record; 0 = as of UTC.
        """
        if value > 0:
            cost = units(value, self._units_per_one)
            period = self._periods.number(time_ms, offset_s_of(local))
            if period == self._period or (period == self._period - 1 and not local & BACK_FILLED):
                self._spent = min(self._spent + cost, UNITS_MAX)
            elif period > self._period or not local & BACK_FILLED:
                self._period, self._spent = period, cost

    def add_many(self, times_ms: I64, values: F32, local: U16) -> None:
        """Counts many events of the rule's kinds, (E,) oldest first: the same bits as one by one."""
        is_spent = values > 0
        times_ms, values, local = times_ms[is_spent], values[is_spent], local[is_spent]
        periods = self._numbers(times_ms, local)
        running = np.maximum.accumulate(np.concatenate([[self._period], periods]))
        if (periods < running[:-1] - ((local & BACK_FILLED) == 0)).any():  # rare: back-filled late, or a clock set back
            for event in zip(times_ms.tolist(), values.tolist(), local.tolist(), strict=True):
                self.add(*event)
            return
        newest = int(running[-1])
        spent = self._spent if newest == self._period else 0
        of_newest = units_of(values[running[1:] == newest], self._units_per_one)
        self._spent = min(spent + sum(map(int, of_newest.tolist())), UNITS_MAX)
        self._period = newest

    def _numbers(self, times_ms: I64, local: U16) -> I64:
        """Returns the period of each event, (E,)."""
        length_s, first_s, is_local = self._periods
        offsets_s = offsets_s_of(local) if is_local else 0
        numbers: I64 = (times_ms + (offsets_s - first_s) * 1000) // (length_s * 1000)
        return numbers

    def spent(self, now_ms: int, offset_s: int = 0) -> int:
        """Returns the units spent in the period of now, where local time is so far ahead of UTC."""
        period = self._periods.number(now_ms, offset_s)
        return self._spent if self._period - 1 <= period <= self._period else 0

    def inherit(self, other: Spending) -> None:
        """Stands where another meter of the same periods stands, in units of its own."""
        self._period, self._spent = other._period, other._spent
        if other._units_per_one != self._units_per_one:
            exact = other._spent * self._units_per_one
            self._spent = min(-(-exact // other._units_per_one), UNITS_MAX)  # rounded up: never more to spend

    def dump(self) -> bytes:
        """Returns period and units spent in it, both i64; nothing without a rule."""
        return _STATE.pack(self._period, self._spent) if self.rule else b""

    def load(self, raw: bytes, *, is_former: bool = False) -> int:
        """Goes on where `dump` stood; `raw` may go on. Returns the bytes read.

        Args:
            raw: begins with a dump.
            is_former: the dump is of a snapshot of version 4 or before, which summed the values as doubles.

        Raises:
            ValueError: too few bytes, or no sum.
        """
        if not self.rule:
            return 0
        if len(raw) < _STATE.size:
            raise ValueError("not the state of a budget")
        self._period, spent = (_FORMER_STATE if is_former else _STATE).unpack_from(raw)
        if not 0 <= spent <= (float("inf") if is_former else UNITS_MAX):
            raise ValueError("not the state of a budget")
        self._spent = units(spent, self._units_per_one) if is_former else spent
        return _STATE.size
