"""The labels of a bench's conditions and operations, and the format of its times."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from device_sim.bench.bench_types import ConditionName, Timed

CONDITION_LABELS: Final[Mapping[ConditionName, str]] = {
    "quiet": "quiet",
    "neighbour": "busy neighbour",
    "same_cpu": "on the same CPU",
    "quota": "half a CPU (quota)",
}
OPERATION_LABELS: Final[Mapping[Timed, str]] = {
    "record": "record",
    "rank": "rank",
    "rank_new_base": "rank, new base",
}


def duration(us: float) -> str:
    """Returns microseconds in the unit that keeps the number short: "90 µs", "1.25 ms"."""
    for unit, size in (("s", 1e6), ("ms", 1e3)):
        if us >= size * 0.9995:
            return f"{us / size:.3g} {unit}"
    return f"{us:.3g} µs"
