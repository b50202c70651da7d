"""Colours and markers for unordered kinds; mid tones, distinguishable on a light and on a dark page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, TypeVar

# Tableau 10 (Stone, 2016: https://www.tableau.com/blog/colors-upgrade-tableau-10-56782).
_TONES: Final = (
    "#4e79a7",
    "#f28e2b",
    "#59a14f",
    "#e15759",
    "#b07aa1",
    "#76b7b2",
    "#9c755f",
    "#edc948",
    "#ff9da7",
    "#bab0ac",
)
MARKERS: Final = "osD^vPX<>*"

_T = TypeVar("_T")


def toned(kinds: Iterable[_T]) -> Mapping[_T, str]:
    """Returns a colour for each kind, in order; after ten the colours repeat."""
    return {kind: _TONES[place % len(_TONES)] for place, kind in enumerate(kinds)}


def marked(kinds: Iterable[_T]) -> Mapping[_T, str]:
    """Returns a marker for each kind, so that no meaning depends on colour alone."""
    return {kind: MARKERS[place % len(MARKERS)] for place, kind in enumerate(kinds)}
