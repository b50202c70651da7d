"""What the device has spent in the running period: the values of shown events add up."""

from __future__ import annotations

import math
import struct
from typing import Final, NamedTuple

import numpy as np

from edge_sdk.types import F32, I64

_STATE: Final = struct.Struct("<qd")  # period, spent in it


class SpendingRule(NamedTuple):
    """What counts as spending."""

    kinds: frozenset[int]  # kind ids of shown events; their value is the cost
    period_s: int  # periods begin at whole multiples since 1970-01-01 UTC


class Spending:
    """A meter of one period.

    Pure over events: no clock, no disk. A clock that stepped back over the start of a period does not empty it: what is
    stamped in the period before counts, and reads, as of the newest. One that came back from further away was wrong
    when it was ahead: then the meter starts anew, else it would stand still for as long as the clock had been wrong.
    """

    def __init__(self, rule: SpendingRule | None) -> None:
        """Nothing spent; without a rule, for ever."""
        self.rule = rule
        self._period_ms = 1000 * max(1, rule.period_s) if rule else 1
        self._period, self._spent = 0, 0.0

    def add(self, time_ms: int, value: float) -> None:
        """Count one event of the rule's kinds, the newest by order of calls; a value that is not above 0 is none."""
        if value > 0:
            period = time_ms // self._period_ms
            if self._period - 1 <= period <= self._period:
                self._spent += value
            else:
                self._period, self._spent = period, float(value)

    def add_many(self, times_ms: I64, values: F32) -> None:
        """Count many events of the rule's kinds, (E,) oldest first: the same bits as one by one."""
        is_spent = values > 0
        periods, values = times_ms[is_spent] // self._period_ms, values[is_spent]
        running = np.maximum.accumulate(np.concatenate([[self._period], periods]))
        if (periods < running[:-1] - 1).any():  # the rare log in which the clock came back from far ahead
            for time_ms, value in zip(times_ms[is_spent].tolist(), values.tolist(), strict=True):
                self.add(time_ms, value)
            return
        newest = int(running[-1])
        spent = self._spent if newest == self._period else 0.0
        of_newest = values[running[1:] == newest].astype(np.float64)
        # One after the other, as sums in order are; `np.sum` adds in pairs.
        self._spent = float(np.add.accumulate(np.concatenate([[spent], of_newest]))[-1])
        self._period = newest

    def spent(self, now_ms: int) -> float:
        """In the period of now."""
        period = now_ms // self._period_ms
        return self._spent if self._period - 1 <= period <= self._period else 0.0

    def inherit(self, other: Spending) -> None:
        """Stand where another meter of the same period stands."""
        self._period, self._spent = other._period, other._spent

    def dump(self) -> bytes:
        """Period (i64) and what was spent in it (f64); nothing without a rule."""
        return _STATE.pack(self._period, self._spent) if self.rule else b""

    def load(self, raw: bytes) -> int:
        """Go on where `dump` stood; `raw` may go on. Returns the bytes read.

        Raises:
            ValueError: too few bytes, or an amount that is none.
        """
        if not self.rule:
            return 0
        if len(raw) < _STATE.size:
            raise ValueError("not the state of a budget")
        self._period, self._spent = _STATE.unpack_from(raw)
        if not 0 <= self._spent < math.inf:
            raise ValueError("not an amount that was spent")
        return _STATE.size
