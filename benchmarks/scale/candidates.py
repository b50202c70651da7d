"""Measures decisions with more and more candidates, up to and beyond the limit."""

from __future__ import annotations

from contextlib import ExitStack

from benchmarks.scale.bundles import Bundles, Packed, Sizes
from benchmarks.scale.curve import Curve, fitted
from benchmarks.scale.rounds import CONTEXT, LIMIT, Measure, interleaved, rank_us
from benchmarks.scale.settings import Settings
from edge_sdk import Engine
from edge_sdk.limits import CANDIDATES_MAX

_OVER = "candidates"
_ITEMS = CANDIDATES_MAX + 1000


def candidates_curve(settings: Settings, bundles: Bundles) -> Curve:
    """Times `Engine.rank` on a known base decision and on a new one, with an engine for each number of candidates."""
    offers = CANDIDATES_MAX + 1
    packed = bundles.of(Sizes(items=_ITEMS, offers=offers))
    with ExitStack() as stack:
        contestants: dict[int, Measure] = {}
        for size in settings.candidates:
            engine = stack.enter_context(packed.open(bundles.folder / f"candidates-state-{size}"))
            packed.record(engine, 64)
            contestants[size] = _measure(packed, engine, settings, size)
        notes = tuple(_beyond(packed, engine, count) for count in (CANDIDATES_MAX, CANDIDATES_MAX + 1))
        rows = interleaved(contestants, _OVER, settings.rounds)
    figures = ("rank_us", "rank_new_base_us")
    return Curve(
        name="candidates",
        title="Candidates of a decision",
        over=_OVER,
        each="candidate",
        figures=figures,
        rows=rows,
        fits=fitted(rows, _OVER, figures),
        notes=notes,
        method=f"A window of 32 events, {offers:,} offers, the best {LIMIT} asked for. A new base decision is read, "
        "checked and looked up once; the next decisions on it find that done.",
        plots=(figures,),
    )


def _measure(packed: Packed, engine: Engine, settings: Settings, size: int) -> Measure:
    known = [packed.base(size)] * settings.ranks

    def one_round(number: int) -> dict[str, float]:
        new = [packed.base(size) for _ in range(settings.new_bases)]
        first = 64 + number * (settings.ranks + settings.new_bases)
        return {
            "rank_us": rank_us(packed, engine, known, first),
            "rank_new_base_us": rank_us(packed, engine, new, first + settings.ranks),
        }

    return one_round


def _beyond(packed: Packed, engine: Engine, candidates: int) -> str:
    """Returns the engine's actual answer to a number of candidates, in words."""
    decision = engine.rank(packed.base(candidates), context=CONTEXT, limit=LIMIT)
    if decision.error:
        return f"{candidates:,} candidates: the base order, {decision.error.name} ({decision.detail})"
    return f"{candidates:,} candidates: ranked by the device, {len(decision.offers)} offers given"
