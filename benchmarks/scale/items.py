"""Measures a bundle with more and more items: file, memory, opening and calls."""

from __future__ import annotations

import json
from contextlib import ExitStack
from tempfile import TemporaryDirectory

from benchmarks.processes import figures_of
from benchmarks.scale.bundles import Bundles, Packed, Sizes
from benchmarks.scale.calls import CANDIDATES, FILLED, calls, openings
from benchmarks.scale.curve import Curve, Row, fitted
from benchmarks.scale.rounds import Measure, interleaved, row
from benchmarks.scale.settings import Settings

_OFFERS = 360
_OVER = "items_in_bundle"
_FIGURES = ("rank_us", "record_us", "open_ms", "resident_mb", "peak_mb", "bundle_mb", "pack_s")


def items_curve(settings: Settings, bundles: Bundles) -> Curve:
    """Measures calls and openings in this process, in turns, and memory in fresh ones."""
    packed_by_size = {size: bundles.of(Sizes(items=size, offers=min(size, _OFFERS))) for size in settings.items}
    with ExitStack() as stack:
        calling: dict[int, Measure] = {}
        for size, packed in packed_by_size.items():
            engine = stack.enter_context(packed.open(bundles.folder / f"items-state-{size}"))
            packed.record(engine, FILLED)
            calling[size] = calls(packed, engine, settings)
        called = interleaved(calling, _OVER, settings.rounds)
    opening = {
        size: openings(packed, bundles.folder / f"items-state-{size}", settings)
        for size, packed in packed_by_size.items()
    }
    opened = interleaved(opening, _OVER, settings.open_rounds)
    rows = []
    for one, other, (size, packed) in zip(called, opened, packed_by_size.items(), strict=True):
        rows.append({**one, **other, **_resident(packed, size, settings), **_file(packed)})
    return Curve(
        name="items",
        title="Items in the bundle",
        over=_OVER,
        each="item",
        figures=_FIGURES,
        rows=tuple(rows),
        fits=fitted(rows, _OVER, _FIGURES),
        method=f"A window of 32 events, {CANDIDATES} candidates, up to {_OFFERS} offers. The weights are drawn, not "
        "trained: no cost depends on them. Memory is of a fresh process with numpy and onnxruntime in it; its peak "
        "is while it opens. open ends with the first decision. packing is the cloud's: layout, export, proof, packing.",
        plots=(("rank_us", "record_us"), ("open_ms",), ("resident_mb", "peak_mb", "bundle_mb")),
    )


def _resident(packed: Packed, size: int, settings: Settings) -> Row:
    order = {
        "bundle": str(packed.path),
        "key": packed.public_key.hex(),
        "offers": packed.offers[:CANDIDATES],
        "items": packed.items[:200],
        "kind": "item_view",
    }
    found = []
    for _ in range(settings.fresh_processes):
        with TemporaryDirectory() as state:
            found.append(figures_of("benchmarks.scale.open_child", [json.dumps({**order, "state": state})]))
    return row(_OVER, size, found)


def _file(packed: Packed) -> Row:
    return {
        "bundle_mb": packed.path.stat().st_size / 1e6,
        "pack_s": packed.pack_s,
    }
