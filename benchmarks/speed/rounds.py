"""Sets the competitors up, compares their scores with torch, and times them in turn."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np

from benchmarks.peers.peer import TOLERANCE, Peer, PeerMissingError, Ready
from benchmarks.rounds import median_us
from benchmarks.work import Work
from device_sim.bench.first_calls import undisturbed

WARM_UP_CALLS = 50


@dataclass(slots=True)
class Row:
    """A competitor in one window."""

    window: int
    peer: Peer
    missing: str = ""  # why it takes no part, with the fix; empty = it does
    difference: float | None = None  # largest, in fused logits, from torch in float64; None = another model
    medians_us: list[float] = field(default_factory=list)  # one a round
    versions: str = ""
    note: str = ""

    @property
    def median_us(self) -> float | None:
        """Returns the median of the rounds' medians."""
        return statistics.median(self.medians_us) if self.medians_us else None

    @property
    def is_wrong(self) -> bool:
        """Returns whether the competitor claims the same maths and has other scores; NaN is other."""
        return self.difference is not None and self.peer.same_maths and not self.difference <= TOLERANCE

    def ratio_to(self, other: Row) -> float | None:
        """Returns the median over rounds of this time by the other's in the same round; None = one is missing."""
        if not self.medians_us or not other.medians_us:
            return None
        return statistics.median(mine / theirs for mine, theirs in zip(self.medians_us, other.medians_us, strict=True))


def timed_rows(works: Sequence[Work], peers: Sequence[Peer], rounds: int, calls: int) -> list[Row]:
    """Times all competitors on all tasks in one process, in another order each round.

    Args:
        works: one task a window.
        peers: the competitors.
        rounds: number of rounds that count; one more before them warms up.
        calls: calls of each competitor in a round, timed one by one; their median counts.
    """
    with ExitStack() as stack:
        rows, taking_part = [], []
        for work in works:
            for peer in peers:
                row = Row(work.window, peer)
                rows.append(row)
                ready = prepared(row, work, stack)
                if ready is not None:
                    taking_part.append((row, ready))
        _time(taking_part, rounds, calls)
    return rows


def prepared(row: Row, work: Work, stack: ExitStack) -> Ready | None:
    """Sets a competitor up and compares it with torch; notes the outcome in `row`. None = it is missing."""
    try:
        ready = stack.enter_context(row.peer.prepare(work))
        scores = ready.scores()
    except PeerMissingError as missing:
        row.missing = str(missing)
        return None
    except Exception as problem:  # a runtime that refuses the model: reported, whatever it raises
        first = (str(problem).strip().splitlines() or ["no message"])[0]
        fix = f"fix benchmarks/peers for {row.peer.versions() or row.peer.key}"
        row.missing = f"{type(problem).__name__}: {first[:200]}; {fix}"
        return None
    finally:
        row.versions = row.peer.versions()
    row.note = ready.note
    if scores is not None:
        row.difference = float(np.abs(scores - work.expected).max())
    return ready


def _time(taking_part: list[tuple[Row, Ready]], rounds: int, calls: int) -> None:
    order = random.Random(1)
    for number in range(rounds + 1):
        order.shuffle(taking_part)
        with undisturbed():
            for row, ready in taking_part:
                median = median_us(ready.call, WARM_UP_CALLS if number == 0 else calls, ready.before)
                if number:
                    row.medians_us.append(median)
