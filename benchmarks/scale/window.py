"""Measures decisions with more and more events in the window."""

from __future__ import annotations

from contextlib import ExitStack

from benchmarks.scale.bundles import Bundles, Packed, Sizes
from benchmarks.scale.curve import Curve, fitted
from benchmarks.scale.rounds import Measure, interleaved, rank_us
from benchmarks.scale.settings import Settings
from edge_sdk import Engine

CANDIDATES = 50
_OVER = "events_in_window"


def window_curve(settings: Settings, bundles: Bundles) -> Curve:
    """Times `Engine.rank` over full windows, each with a bundle of its own."""
    with ExitStack() as stack:
        contestants: dict[int, Measure] = {}
        for size in settings.windows:
            packed = bundles.of(Sizes(window=size))
            engine = stack.enter_context(packed.open(bundles.folder / f"window-state-{size}"))
            packed.record(engine, size)
            contestants[size] = _measure(packed, engine, settings, size)
        rows = interleaved(contestants, _OVER, settings.rounds)
    figures = ("rank_us",)
    return Curve(
        name="window",
        title="Events in the window",
        over=_OVER,
        each="event",
        figures=figures,
        rows=rows,
        fits=fitted(rows, _OVER, figures),
        method=f"{CANDIDATES} candidates, 2,000 items; the window is full, and an event comes before each decision.",
        plots=(figures,),
    )


def _measure(packed: Packed, engine: Engine, settings: Settings, filled: int) -> Measure:
    bases = [packed.base(CANDIDATES)] * settings.ranks
    return lambda number: {"rank_us": rank_us(packed, engine, bases, filled + number * settings.ranks)}
