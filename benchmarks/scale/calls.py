"""Measures one round of an engine's calls, and one round of openings, for several curves."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from benchmarks.scale.bundles import Packed
from benchmarks.scale.rounds import Measure, rank_us, record_us
from benchmarks.scale.settings import Settings
from edge_sdk import BaseDecision, Engine

CANDIDATES = 50
FILLED = 64  # events before the first round: more than the window's length


def base_of(packed: Packed) -> BaseDecision:
    """Returns the base decision to rank: 50 candidates, or all offers if there are fewer."""
    return packed.base(min(CANDIDATES, len(packed.offers)))


def calls(packed: Packed, engine: Engine, settings: Settings) -> Measure:
    """Returns the function that times `rank` and `record` on one engine."""
    bases = [base_of(packed)] * settings.ranks

    def one_round(number: int) -> dict[str, float]:
        first = FILLED + number * (settings.ranks + settings.records)
        return {
            "rank_us": rank_us(packed, engine, bases, first),
            "record_us": record_us(packed, engine, settings.records, first + settings.ranks),
        }

    return one_round


def openings(packed: Packed, state: Path, settings: Settings) -> Measure:
    """Returns the function that times `Engine.open` to the first decision, on a state that was closed."""
    base = base_of(packed)

    def one_round(_: int) -> dict[str, float]:
        spent_ms = []
        for _ in range(settings.opens):
            start = time.perf_counter_ns()
            with packed.open(state) as opened:
                opened.rank(base)
                spent_ms.append((time.perf_counter_ns() - start) / 1e6)
        return {"open_ms": statistics.median(spent_ms)}

    return one_round
