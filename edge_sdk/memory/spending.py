"""What the device has spent in the running period: the values of shown events add up, in whole units.

Costs are floats, and sums of floats round: ten costs of 0.1 come to less than 1. So each cost is rounded to a whole
number of units first, and units are summed. A budget declares how many units one is.

An event counts in the period of its stamp. Where the clock was set back, what was spent ahead of it counts in the
clock's period too: whichever of both times was wrong, neither period goes above the budget. So what is kept of a period
is the sum of what was spent in it and, since it began, in any later one: a clock that only goes on never reads the
later part, and one that comes and goes counts nothing twice.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

import numpy as np

from edge_sdk.clock import LocalTime
from edge_sdk.log.local_field import NOT_KNOWN, offset_s_of, offsets_s_of
from edge_sdk.log.record import BACK_FILLED, OFFSET_BASE
from edge_sdk.types import F32, F64, I64, U16

UNITS_PER_ONE: Final = 1_000_000  # where a budget declares nothing else
WEEK_S: Final = 604_800
UNITS_MAX: Final = (1 << 53) - 1  # beyond it a double skips whole numbers: sums stop here
OFFSET_MAX_S: Final = OFFSET_BASE * 60  # east or west of UTC: more than a record holds
KEPT: Final = 8  # periods: a clock that is set back by a week finds its day
_STATE: Final = struct.Struct(f"<{2 * KEPT}q")  # periods and units spent in them, the clock's period first; 0 = none
_FORMER_STATE: Final = struct.Struct("<qd")  # up to snapshot version 4: period, sum of the values


class Periods(NamedTuple):
    """The periods of a budget: of equal length by the clock on the wall, one after the other."""

    length_s: int
    first_s: int = 0  # one begins so long after 1970-01-01 00:00
    is_local: bool = False  # of the local time of each event; else of UTC

    def number(self, at_ms: int, offset_s: int) -> int:
        """Returns the number of the period at a moment, where local time is so far ahead of UTC."""
        return self._since_first_ms(at_ms, offset_s) // (self.length_s * 1000)

    def begun_ms(self, number: int) -> int:
        """Returns the moment from which on this period or a later one runs, whatever the UTC offset is."""
        return (number * self.length_s + self.first_s + OFFSET_MAX_S * self.is_local) * 1000

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
    """A meter of the running period and of those near it, for a clock that is set back or was ahead. Pure: no clock.

    Attributes:
        begun_ms: a time before this moment may tell that the clock was set back (`set_back`).
    """

    def __init__(self, rule: SpendingRule | None) -> None:
        """Nothing spent; without a rule, for ever."""
        self.rule = rule
        self.begun_ms = 0
        self._periods = rule.periods if rule else Periods(1)
        self._units_per_one = rule.units_per_one if rule else 1
        self._period = 0  # that of the clock: of the newest event by order of calls, or where it was set back to
        self._sums: dict[int, int] = {}  # units spent in a period or in later ones; at most `KEPT`, none is 0

    def add(self, time_ms: int, value: float, local: int = 0) -> None:
        """Counts one event of the rule's kinds, the newest by order of calls; a value that is not above 0 is none.

        Args:
            time_ms: milliseconds since 1970.
            value: a float32.
            local: that field of the event's record; 0 = as of UTC.
        """
        if value > 0 and (cost := units(value, self._units_per_one)):
            period = self._periods.number(time_ms, offset_s_of(local))
            self._count(period, cost, is_back_filled=bool(local & BACK_FILLED))

    def add_many(self, times_ms: I64, values: F32, local: U16) -> None:
        """Counts many events of the rule's kinds, (E,) in order of recording: the same bits as one by one."""
        costs = units_of(np.where(values > 0, values, np.float32(0)), self._units_per_one)
        is_spent = costs > 0
        times_ms, costs, local = times_ms[is_spent], costs[is_spent], local[is_spent]
        if not len(costs):
            return
        periods, is_back = self._numbers(times_ms, local), (local & BACK_FILLED) > 0
        runs = np.flatnonzero(np.append(True, (np.diff(periods) != 0) | (is_back[1:] != is_back[:-1])))
        sums = np.minimum(np.add.reduceat(costs, runs), float(UNITS_MAX))  # exact: see `units_of`
        for period, cost, is_late in zip(periods[runs].tolist(), sums.tolist(), is_back[runs].tolist(), strict=True):
            self._count(period, int(cost), is_back_filled=is_late)

    def _count(self, period: int, cost: int, *, is_back_filled: bool) -> None:
        self._keep(period)
        for kept, spent in self._sums.items():
            if kept <= period:
                self._sums[kept] = min(spent + cost, UNITS_MAX)
        if period > self._period or not is_back_filled or self._period not in self._sums:
            self._move_to(period)
        self._drop_far()

    def _keep(self, period: int) -> None:
        """Begins the sum of a period, with what was spent ahead of it if the clock was there."""
        if period not in self._sums:
            self._sums[period] = self._spent_in(period)

    def _move_to(self, period: int) -> None:
        self._period = period
        self.begun_ms = self._periods.begun_ms(period)

    def _drop_far(self) -> None:
        """Forgets the periods farthest from the clock's."""
        while len(self._sums) > KEPT:
            del self._sums[max(self._sums, key=lambda period: (abs(period - self._period), -period))]

    def set_back(self, now_ms: int, offset_s: int) -> None:
        """Counts what was spent ahead of now in the period of now too, if the clock was set back to before it.

        Args:
            now_ms: milliseconds since 1970.
            offset_s: how far local time is ahead of UTC then.
        """
        period = self._periods.number(now_ms, offset_s)
        if self._sums and period < self._period:
            self._keep(period)
            self._move_to(period)
            self._drop_far()

    def is_set_back(self, times_ms: I64, local: U16) -> bool:
        """Returns whether one of these events (E,), in order of recording, may tell that the clock was set back."""
        if not self.rule:
            return False
        periods = self._numbers(times_ms, local)
        newest = np.maximum.accumulate(np.maximum(periods, self._period if self._sums else periods[0]))
        return bool(((periods < newest) & (local > NOT_KNOWN) & (local < BACK_FILLED)).any())

    def _numbers(self, times_ms: I64, local: U16) -> I64:
        """Returns the period of each event, (E,)."""
        length_s, first_s, is_local = self._periods
        offsets_s = offsets_s_of(local) if is_local else 0
        numbers: I64 = (times_ms + (offsets_s - first_s) * 1000) // (length_s * 1000)
        return numbers

    def spent(self, now_ms: int, offset_s: int = 0) -> int:
        """Returns the units spent in the period of now or ahead of it, where local time is so far ahead of UTC."""
        return self._spent_in(self._periods.number(now_ms, offset_s))

    def _spent_in(self, period: int) -> int:
        """Returns the sum of a period: what is not kept stands at nothing, or where the clock was at what is ahead."""
        if period in self._sums:
            return self._sums[period]
        if period > self._period or not self._sums:
            return 0
        return self._sums[min(kept for kept in self._sums if kept > period)]

    def inherit(self, other: Spending) -> None:
        """Stands where another meter of the same periods stands, in units of its own."""
        self._sums = dict(other._sums)
        self._move_to(other._period)
        if other._units_per_one != self._units_per_one:
            for period, spent in other._sums.items():
                exact = spent * self._units_per_one
                self._sums[period] = min(
                    -(-exact // other._units_per_one), UNITS_MAX
                )  # rounded up: never more to spend

    def dump(self) -> bytes:
        """Returns the kept periods, the clock's first and the others in order, and their units; "" without a rule."""
        if not self.rule:
            return b""
        first = [self._period] if self._sums else []
        kept = [*first, *sorted(self._sums.keys() - first)]
        numbers = [number for period in kept for number in (period, self._sums[period])]
        return _STATE.pack(*numbers, *[0] * (2 * KEPT - len(numbers)))

    def load(self, raw: bytes, *, is_former: bool = False) -> int:
        """Goes on where `dump` stood; `raw` may go on. Returns the bytes read.

        Args:
            raw: begins with a dump.
            is_former: the dump is of a snapshot of version 4 or before, which summed the values of one period as
                doubles.

        Raises:
            ValueError: too few bytes, or no sums.
        """
        if not self.rule:
            return 0
        state = _FORMER_STATE if is_former else _STATE
        if len(raw) < state.size:
            raise ValueError("not the state of a budget")
        numbers = state.unpack_from(raw)
        periods, sums = numbers[::2], numbers[1::2]
        if not all(0 <= spent <= (float("inf") if is_former else UNITS_MAX) for spent in sums):
            raise ValueError("not the state of a budget")
        if is_former:
            sums = (units(sums[0], self._units_per_one),)
        self._sums = {period: spent for period, spent in zip(periods, sums, strict=True) if spent}
        if len(self._sums) < np.count_nonzero(sums) or not all(sums[: len(self._sums)]):
            raise ValueError("not the state of a budget")
        if self._sums:
            self._move_to(periods[0])
        return state.size
