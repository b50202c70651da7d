"""Sets the competitors up, checks that they agree, and times them in turn."""

from __future__ import annotations

import gc
import random
import statistics
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np

from benchmarks.peers.peer import TOLERANCE, Peer, PeerMissingError, Ready
from benchmarks.work import Work

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
        """The median of the rounds' medians."""
        return statistics.median(self.medians_us) if self.medians_us else None

    @property
    def is_wrong(self) -> bool:
        """It claims the same maths and has other scores; NaN is other."""
        return self.difference is not None and self.peer.same_maths and not self.difference <= TOLERANCE

    def ratio_to(self, other: Row) -> float | None:
        """The median over rounds of this row's time over the other's in the same round; None = one is missing."""
        if not self.medians_us or not other.medians_us:
            return None
        return statistics.median(mine / theirs for mine, theirs in zip(self.medians_us, other.medians_us, strict=True))


def timed_rows(works: Sequence[Work], peers: Sequence[Peer], rounds: int, calls: int) -> list[Row]:
    """All competitors over all tasks in one process, in another order each round.

    Args:
        works: one a window.
        peers: the competitors.
        rounds: so many; one more before them warms up.
        calls: of each competitor in a round, timed one by one; their median counts.
    """
    with ExitStack() as stack:
        rows, taking_part = [], []
        for work in works:
            for peer in peers:
                row = Row(work.window, peer)
                rows.append(row)
                ready = _prepared(row, work, stack)
                if ready is not None:
                    taking_part.append((row, ready))
        _time(taking_part, rounds, calls)
    return rows


def _prepared(row: Row, work: Work, stack: ExitStack) -> Ready | None:
    """Set up and compared with torch; `row` says what came of it."""
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
        gc.collect()
        gc.disable()
        try:
            for row, ready in taking_part:
                median = _median_us(ready, WARM_UP_CALLS if number == 0 else calls)
                if number:
                    row.medians_us.append(median)
        finally:
            gc.enable()


def _median_us(ready: Ready, calls: int) -> float:
    """Of so many calls, behind three that bring the competitor's data back into the caches."""
    call, before, clock = ready.call, ready.before or _nothing, time.perf_counter_ns
    spent = []
    for _ in range(3):
        before()
        call()
    for _ in range(calls):
        before()
        start = clock()
        call()
        spent.append(clock() - start)
    return statistics.median(spent) / 1000


def _nothing() -> None:
    return None
