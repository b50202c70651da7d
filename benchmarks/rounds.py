"""Times repeated calls of one function."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def median_us(
    call: Callable[[], object], calls: int, before: Callable[[], object] | None = None, warm_up: int = 3
) -> float:
    """Returns the median time of one call, in microseconds.

    Args:
        call: the timed function.
        calls: number of calls that count.
        before: is called before each call, untimed; None = nothing is.
        warm_up: number of calls before those that count; they bring code and data into the caches.
    """
    prepare, clock = before or _nothing, time.perf_counter_ns
    spent_ns = []
    for number in range(warm_up + calls):
        prepare()
        start = clock()
        call()
        spent = clock() - start
        if number >= warm_up:
            spent_ns.append(spent)
    return statistics.median(spent_ns) / 1000


def _nothing() -> None:
    return None
