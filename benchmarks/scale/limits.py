"""Exceeds each limit on purpose and reports what happened."""

from __future__ import annotations

import math
import tomllib
from dataclasses import dataclass
from importlib import resources

from benchmarks.scale.bundles import Sizes, category_names, scene_of
from benchmarks.scale.curve import Curve
from benchmarks.scale.made_up_log import made_up_log
from benchmarks.scale.words import amount
from cloud_export.errors import CloudError
from cloud_export.features.layout import ROWS_MAX, build_layout
from cloud_export.scene.load import scene_from_table

_FLATBUFFER_MAX_BYTES = (1 << 31) - 1  # https://flatbuffers.dev: offsets are signed 32 bits, so a buffer ends at 2 GiB
_IDS = 1 << 48
_COMPUTED = "by the measured bytes an item the file reaches 2 GiB, where FlatBuffers' offsets end; computed, not tried"


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit and what happens at it."""

    what: str
    at: str
    happens: str


def limits(items: Curve, candidates: Curve) -> tuple[Limit, ...]:
    """Returns all limits.

    Args:
        items: the curve over items; its bundle sizes give the number of items at which a file is too large.
        candidates: the curve over candidates; its notes tell what happened beyond the limit.
    """
    return (
        *(Limit("candidates of one decision", *note.split(" candidates: ", 1)) for note in candidates.notes),
        Limit("events in the window", "1,025", _window_refusal()),
        Limit("offers", f"{ROWS_MAX:,}", _layout_of(ROWS_MAX)),
        Limit("offers", f"{ROWS_MAX + 1:,}", _layout_of(ROWS_MAX + 1)),
        Limit("items", f"{items.rows[-1][items.over]:,.0f}", _shared_ids(int(items.rows[-1][items.over]))),
        Limit("items", f"about {amount(_items_of_largest_file(items))}", _COMPUTED),
    )


def colliding_pairs(names: int) -> float:
    """Returns the expected number of pairs of random names that share a 48-bit id: n·(n − 1) / 2 / 2⁴⁸."""
    return names * (names - 1) / 2 / _IDS


def _window_refusal() -> str:
    """Returns the message that refuses a scene with a longer window."""
    fields = tomllib.loads((resources.files("cloud_export") / "scenes" / "wealth.toml").read_text())
    fields["model"]["window"] = 1025
    try:
        scene_from_table(fields)
    except CloudError as refused:
        return str(refused).strip().replace("\n", " ")
    return "taken"


def _layout_of(offers: int) -> str:
    """Returns the outcome of laying out a number of offers, in words."""
    scene = scene_of(Sizes())
    made_up = made_up_log(scene, offers, offers, category_names(scene))
    try:
        layout = build_layout(scene, made_up.log, training_events=made_up.split.training_events)
    except CloudError as refused:
        return f"refused: {refused}"
    return f"laid out: {layout.offers:,} offers"


def _shared_ids(items: int) -> str:
    chance = 1 - math.exp(-colliding_pairs(items))
    return f"packed: no two share an id; among random names two do with a chance of {chance:.2%}, and are then refused"


def _items_of_largest_file(items: Curve) -> float:
    """Returns the number of items at which a file reaches its largest size, from the two largest measured bundles."""
    one, other = items.rows[-2:]
    per_item_mb = (other["bundle_mb"] - one["bundle_mb"]) / (other[items.over] - one[items.over])
    return _FLATBUFFER_MAX_BYTES / 1e6 / per_item_mb
