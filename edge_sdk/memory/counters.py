"""Exponentially decayed counters of events, for each offer and each category."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Final, cast

import numpy as np

from edge_sdk.limits import TIME_MS_MAX
from edge_sdk.memory.decay import (
    FINE_BITS,
    FINE_MASK,
    PERIOD_BITS,
    PERIOD_HALF_LIVES,
    PERIOD_MASK,
    PERIOD_TICKS,
    DecayTables,
)
from edge_sdk.memory.layout import MemoryLayout
from edge_sdk.types import F32, F64, I64, Mask

_SPAN: Final = 48  # periods that one stretch may cover: 2**(16·48) leaves sums far from overflow
# A sum below 2**-1022 has fewer bits, so each move of the landmark rounds it; a sum below 2**-1080 becomes 0 however it
# is rounded. Between the two limits lie the last `_ROUNDING` moves.
_NORMAL: Final = -1022
_NOTHING: Final = -1080
_ROUNDING: Final = 4
_SUM_END: Final = 2.0**64  # 2^32 events of the largest weight, 2^17, sum to less


class Counters:
    """Sums of event weights by forward decay (see `decay`), for each slot, counter and half-life.

    A slot is the row of an offer, or of a category behind all offers. Slots of rows 0 ("none") stay 0. The landmark of
    a half-life is the start of the newest event's period.

    Attributes:
        sums: (slots, KC·H) as of the landmarks; changed by this class alone.
        latest: (H) tick of the newest event for each half-life; changed by this class alone.
        category_slot: the slot of category row 0.
    """

    def __init__(self, layout: MemoryLayout) -> None:
        """Starts with all counters at 0."""
        self._half_lives, self._kinds = len(layout.decays), layout.counter_kinds
        self._width = self._kinds * self._half_lives
        self.category_slot = len(layout.offers) + 1
        self.sums: F64 = np.zeros((self.category_slot + layout.category_rows, self._width))
        self._sums_view = _floats(self.sums.reshape(-1))  # element access at a third of numpy's cost
        self.latest = [0] * self._half_lives
        self._tick_ms = [decay.tick_ms for decay in layout.decays]
        self._growths = [1.0] * self._half_lives  # weight of an event at `latest`: most events share its tick
        self._decays = layout.decays
        self._grow = [(_floats(d.grow_coarse), _floats(d.grow_fine)) for d in layout.decays]
        self._fade = [(d.tick_ms, _floats(d.fade_coarse), _floats(d.fade_fine)) for d in layout.decays]

    # ---- counting ----

    def add(self, counter: int, time_ms: int, offer_row: int, category_row: int) -> None:
        """Adds one event to a counter of its offer and of its category; row 0 is none."""
        sums, latest = self._sums_view, self.latest
        column = counter * self._half_lives
        offer_at = offer_row * self._width + column
        category_at = (self.category_slot + category_row) * self._width + column
        for h, tick_ms in enumerate(self._tick_ms):
            tick = time_ms // tick_ms
            if tick != latest[h]:
                self._advance(h, tick)
            growth = self._growths[h]
            if offer_row:
                sums[offer_at + h] += growth
            if category_row:
                sums[category_at + h] += growth

    def add_many(self, times_ms: I64, offer_at: I64, category_at: I64) -> None:
        """Adds many events: the same sums, to the bit, as `add` for each of them in order.

        Args:
            times_ms: (E,) oldest first.
            offer_at: (E,) where the counter's sums for the first half-life lie in `sums`, flattened: of the offer.
            category_at: (E,) likewise of the category.
        """
        ascends = bool((times_ms[1:] >= times_ms[:-1]).all())
        first_ms, last_ms = int(times_ms[0]), int(times_ms[-1])
        for h, decay in enumerate(self._decays):
            ticks = times_ms // decay.tick_ms
            if not ascends or first_ms // decay.tick_ms < self.latest[h]:
                ticks = _effective(ticks, self.latest[h])
            growths = _growths(decay, ticks)
            if ascends and last_ms - first_ms < decay.tick_ms * PERIOD_TICKS * (_SPAN - 1):
                self._add_stretch(h, ticks, growths, offer_at, category_at)
            else:
                for part in _stretches(ticks):
                    self._add_stretch(h, ticks[part], growths[part], offer_at[part], category_at[part])
        self.sums[0] = self.sums[self.category_slot] = 0.0  # events without an offer or a category were added there

    def _add_stretch(self, h: int, ticks: I64, growths: F64, offer_at: I64, category_at: I64) -> None:
        """Adds ascending events of a few periods.

        Moving the landmark is a multiplication by a power of two. So instead of fading the sums at each period's start,
        the weights of later periods are scaled up, and the sums are faded once at the end. The bits are the same,
        except for sums that fade to the smallest floats. If such a sum got an event, the sum is lost in the event's
        weight; the others are faded move by move.
        """
        first, last = int(ticks[0]), int(ticks[-1])
        self._advance(h, first)
        flat = self.sums.reshape(-1)[h:]
        span = (last >> PERIOD_BITS) - (first >> PERIOD_BITS)
        if not span:
            np.add.at(flat, offer_at, growths)
            np.add.at(flat, category_at, growths)
        else:
            moves = (ticks >> PERIOD_BITS) - (first >> PERIOD_BITS)
            growths = growths * np.ldexp(1.0, PERIOD_HALF_LIVES * np.arange(span + 1)).take(moves)
            column = self._column(h)
            normal, nothing = (2.0 ** (PERIOD_HALF_LIVES * span + end) for end in (_NORMAL, _NOTHING))
            tiny = np.nonzero((column < normal) & (column > nothing))  # these fade to where moves round
            before = column[tiny]
            np.add.at(flat, offer_at, growths)
            np.add.at(flat, category_at, growths)
            unchanged = column[tiny] == before
            np.multiply(column, 2.0 ** (-PERIOD_HALF_LIVES * span), out=column)
            if len(before):
                column[tiny] = np.where(unchanged, _faded(before, moves), column[tiny])
        self._set_latest(h, last)

    def _advance(self, h: int, tick: int) -> None:
        """Moves the landmark of a half-life to the period of an event's tick."""
        latest = self.latest[h]
        if latest - PERIOD_TICKS < tick < latest:
            return  # the clock stepped back a little: events count at `latest` until the clock has caught up
        if tick > latest:
            periods = tick // PERIOD_TICKS - latest // PERIOD_TICKS
            if periods:
                column = self._column(h)
                np.multiply(column, 2.0 ** (-PERIOD_HALF_LIVES * min(periods, 64)), out=column)
        elif tick < latest:  # the clock was far ahead: sums keep their values of then, and decay from now on
            column = self._column(h)
            _, fade_coarse, fade_fine = self._fade[h]
            then = latest % PERIOD_TICKS
            np.multiply(column, fade_coarse[then >> FINE_BITS] * fade_fine[then & FINE_MASK], out=column)
            np.multiply(column, self._growth(h, tick), out=column)
        self._set_latest(h, tick)

    def _set_latest(self, h: int, tick: int) -> None:
        """Sets the newest tick of a half-life; does not change the sums, as `_advance` does."""
        self.latest[h], self._growths[h] = tick, self._growth(h, tick)

    def _growth(self, h: int, tick: int) -> float:
        """The weight of an event at this tick."""
        coarse, fine = self._grow[h]
        since = tick % PERIOD_TICKS
        return coarse[since >> FINE_BITS] * fine[since & FINE_MASK]

    def _column(self, h: int) -> F64:
        """The sums of one half-life, (slots, KC): a view."""
        return self.sums[:, h :: self._half_lives]

    # ---- reading ----

    def fill(self, now_ms: int, slots: I64, out: F32) -> None:
        """Writes decayed counters into `out`, (C, F): float64 sums, rounded once. `slots`: `layout.counter_slots`."""
        sums = self.sums.take(slots, axis=0).reshape(out.shape)
        np.multiply(sums, self._fades(now_ms, 2), out=out, casting="same_kind")

    def of_categories(self, now_ms: int) -> F32:
        """Returns the decayed counters of all categories, (G·KC·H,): what the cloud's base model reads."""
        sums: F64 = self.sums[self.category_slot + 1 :] * self._fades(now_ms, 1)
        return sums.astype(np.float32).reshape(-1)

    def _fades(self, now_ms: int, repeats: int) -> F64:
        """The factor from each sum to its value now, (repeats·KC·H,)."""
        factors = []
        for (tick_ms, coarse, fine), latest in zip(self._fade, self.latest, strict=True):
            tick = now_ms // tick_ms
            if tick < latest:
                tick = latest
            since = tick % PERIOD_TICKS
            factor = coarse[since >> FINE_BITS] * fine[since & FINE_MASK]
            periods = tick // PERIOD_TICKS - latest // PERIOD_TICKS
            if periods:
                factor *= 2.0 ** (-PERIOD_HALF_LIVES * min(periods, 60))
            factors.append(factor)
        return np.array(factors * (self._kinds * repeats))

    # ---- copying and saving ----

    def sums_of(self, h: int) -> F64:
        """Returns the sums of one half-life, (slots, KC), as `inherit` of another memory takes them: a view."""
        return self._column(h)

    def inherit(self, h: int, cells: Mask, sums: F64, tick: int) -> None:
        """Replaces some sums of one half-life by those of another memory, rescaled to one landmark.

        Sums of both memories refer to the start of a period, so moving the older ones is an exact power of two. What is
        read from then on is, to the bit, what the other memory would give, if the clock never stepped back. If all
        given sums are 0, the newest tick stays as it is.

        Args:
            h: index of the half-life.
            cells: (slots, KC) which counters are replaced.
            sums: (slots, KC) of the other memory, at the same places; elsewhere anything.
            tick: of the other memory's newest event, or any other of the same period.
        """
        mine, theirs = self._column(h), sums[cells]
        if not theirs.any():
            mine[cells] = 0.0
            return
        self._advance(h, max(self.latest[h], tick))
        periods = (self.latest[h] >> PERIOD_BITS) - (tick >> PERIOD_BITS)
        mine[cells] = theirs * 2.0 ** (-PERIOD_HALF_LIVES * min(periods, 64))

    def dump(self) -> bytes:
        """Returns the newest ticks (i64), then all sums (f64); the length depends on the layout alone."""
        return np.array(self.latest, np.int64).tobytes() + self.sums.tobytes()

    def load(self, raw: bytes, at: int) -> int:
        """Restores what `dump` wrote, from byte `at` of `raw` on. Returns the number of bytes read.

        Raises:
            ValueError: too few bytes, a tick that no event has, or a sum that is no number of events.
        """
        latest = np.frombuffer(raw, np.int64, self._half_lives, at)
        if any(not 0 <= tick <= TIME_MS_MAX // of for tick, of in zip(latest.tolist(), self._tick_ms, strict=True)):
            raise ValueError("not the ticks of these counters")
        for h, tick in enumerate(latest.tolist()):
            self._set_latest(h, tick)
        self.sums[:] = np.frombuffer(raw, np.float64, self.sums.size, at + latest.nbytes).reshape(self.sums.shape)
        if not ((self.sums >= 0) & (self.sums < _SUM_END)).all():
            raise ValueError("not the sums of counters")
        return latest.nbytes + self.sums.nbytes


def _floats(array: F64) -> memoryview[float]:
    return cast("memoryview[float]", array.data)


def _growths(decay: DecayTables, ticks: I64) -> F64:
    """The weight of an event at each tick."""
    since = ticks & PERIOD_MASK
    weights: F64 = decay.grow_coarse.take(since >> FINE_BITS) * decay.grow_fine.take(since & FINE_MASK)
    return weights


def _effective(ticks: I64, latest: int) -> I64:
    """The tick at which each event counts: never before the newest, unless the clock was far ahead and came back."""
    running = np.maximum.accumulate(np.concatenate([[latest], ticks]))
    if not (ticks <= running[:-1] - PERIOD_TICKS).any():
        return running[1:]
    effective = []
    for tick in ticks.tolist():  # rare: the clock came back
        if not latest - PERIOD_TICKS < tick < latest:
            latest = tick
        effective.append(latest)
    return np.array(effective, np.int64)


def _stretches(ticks: I64) -> Iterator[slice]:
    """Parts in which ticks ascend and cover few periods."""
    falls = np.flatnonzero(ticks[1:] < ticks[:-1]) + 1
    for start, end in pairwise([0, *falls.tolist(), len(ticks)]):
        while start < end:
            border = ((int(ticks[start]) >> PERIOD_BITS) + _SPAN) << PERIOD_BITS
            stop = start + int(np.searchsorted(ticks[start:end], border))
            yield slice(start, stop)
            start = stop


def _faded(sums: F64, moves: I64) -> F64:
    """Sums after every single move of the landmark; the last moves leave the sums below the normal numbers."""
    stops = moves[np.concatenate([[True], moves[1:] != moves[:-1]])]
    at = int(stops[stops <= stops[-1] - _ROUNDING].max(initial=0))
    sums = sums * 2.0 ** (-PERIOD_HALF_LIVES * at)  # the sums stay normal: these moves are exact, so one will do
    for stop in stops[stops > at].tolist():
        sums = sums * 2.0 ** (-PERIOD_HALF_LIVES * (stop - at))
        at = stop
    return sums
