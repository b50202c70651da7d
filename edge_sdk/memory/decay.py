"""Exponential decay from tables: products only, so that every language computes the same bits (`exp2` would not).

Forward decay (Cormode et al., ICDE 2009): an event at time t adds grow(t - L) to its counter, where L is a landmark;
a counter's value at time n is its sum × fade(n - L). Sums do not change between events, and reading all counters is one
multiplication. Time is counted in ticks of 1/1024 half-life; a period is 16 half-lives, so that moving the landmark
by one period is an exact multiplication by 2**-16.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from edge_sdk.types import F64

TICKS_A_HALF_LIFE: Final = 1024
PERIOD_HALF_LIVES: Final = 16
PERIOD_TICKS: Final = TICKS_A_HALF_LIFE * PERIOD_HALF_LIVES
PERIOD_BITS: Final = PERIOD_TICKS.bit_length() - 1  # a period is 2**14 ticks
PERIOD_MASK: Final = PERIOD_TICKS - 1
FINE_BITS: Final = 7  # 128 coarse × 128 fine factors
FINE_MASK: Final = (1 << FINE_BITS) - 1
TABLE_SIZE: Final = 1 << FINE_BITS


class DecayTables(NamedTuple):
    """The factors of one half-life, as the bundle ships them.

    The landmark is the start of the newest event's period, so an event's distance from it fits the tables; whole
    periods between the landmark and a read are an exact power of two.
    """

    half_life_s: int
    tick_ms: int
    grow_coarse: F64  # (128,) 2**(128·i / 1024)
    grow_fine: F64  # (128,) 2**(i / 1024)
    fade_coarse: F64  # (128,)
    fade_fine: F64  # (128,)

    @classmethod
    def of(cls, half_life_s: int) -> DecayTables:
        """Returns the tables of a half-life, for packing; a device reads them from its bundle."""
        steps = np.arange(TABLE_SIZE) / TICKS_A_HALF_LIFE
        return cls(
            half_life_s=half_life_s,
            tick_ms=max(1, half_life_s * 1000 // TICKS_A_HALF_LIFE),
            grow_coarse=np.exp2(steps * TABLE_SIZE),
            grow_fine=np.exp2(steps),
            fade_coarse=np.exp2(-steps * TABLE_SIZE),
            fade_fine=np.exp2(-steps),
        )
