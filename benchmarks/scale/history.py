"""Measures calls and openings after longer histories: the ring is bounded, and so should the costs be."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np

from benchmarks.scale.bundles import Bundles, Packed, Sizes
from benchmarks.scale.calls import CANDIDATES, FILLED, calls, openings
from benchmarks.scale.curve import Curve, fitted
from benchmarks.scale.rounds import Measure, interleaved
from benchmarks.scale.settings import Settings
from edge_sdk import Engine
from edge_sdk.clock import system_clock

_OVER = "events_recorded_before"
_FIGURES = ("rank_us", "record_us", "open_ms")
_STEP_MS = 5000  # between two events: a million last two months, within the scene's retention of 90 days
_REST_MS = 32 * 86_400_000  # after so long every cap and cooldown of the scene has run out
_KINDS = ("impression",) * 14 + ("page_view", "page_view", "item_view", "item_view", "click", "search")


def history_curve(settings: Settings, bundles: Bundles) -> Curve:
    """Measures engines with different histories that all end in the same events."""
    packed = bundles.of(Sizes())
    opening: dict[int, Measure] = {}
    calling: dict[int, Measure] = {}
    rings = []
    with ExitStack() as stack:
        for events in settings.histories:
            for use in ("calls", "open"):
                with packed.open(bundles.folder / f"history-{use}-{events}") as engine:
                    _live(packed, engine, events)
                    rings.append(engine.status().capacity)
            engine = stack.enter_context(packed.open(bundles.folder / f"history-calls-{events}"))
            calling[events] = calls(packed, engine, settings)
            opening[events] = openings(packed, bundles.folder / f"history-open-{events}", settings)
        called = interleaved(calling, _OVER, settings.rounds)
    opened = interleaved(opening, _OVER, settings.open_rounds)
    rows = tuple({**one, **other} for one, other in zip(called, opened, strict=True))
    return Curve(
        name="history",
        title="Events recorded before",
        over=_OVER,
        each="event",
        figures=_FIGURES,
        rows=rows,
        fits=fitted(rows, _OVER, _FIGURES),
        notes=(f"The ring has {rings[0]:,} events; older ones still count in counters, caps and states.",),
        method=f"The log at its default size, a window of 32 events, {CANDIDATES} candidates. While it is measured a "
        f"history grows by {settings.ranks + settings.records:,} events a round, each by the same. open ends with "
        "the first decision, after a clean close.",
        plots=(("rank_us", "record_us"), ("open_ms",)),
    )


def _live(packed: Packed, engine: Engine, events: int) -> None:
    """Records a history with two thirds impressions, a rest, and today's events that fill the window."""
    random = np.random.default_rng(1)
    if events:
        times_ms = system_clock() - _REST_MS - _STEP_MS * np.arange(events, 0, -1, dtype=np.int64)
        names = [*packed.items, *packed.offers]
        engine.record_many(
            times_ms,
            random.integers(len(_KINDS), size=events),
            random.integers(len(names), size=events),
            kind_names=_KINDS,
            item_names=names,
        )
    packed.record(engine, FILLED)
