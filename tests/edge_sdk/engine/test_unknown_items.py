"""`status().unknown_items` counts different items, however often each is recorded."""

from __future__ import annotations

from pathlib import Path

from edge_sdk.limits import NAMES_CACHED
from tests.support.scene import SettableClock, Small


def test_an_unknown_item_counts_once_after_the_name_cache_was_emptied(small: Small, tmp_path: Path) -> None:
    names = [f"page_{number}" for number in range(NAMES_CACHED)]
    with small.open(tmp_path, SettableClock()) as engine:
        for name in names + names:
            engine.record("view", item=name)
        assert engine.status().unknown_items == NAMES_CACHED == 4096


def test_few_unknown_items_count_once_beside_many_known_ones(small: Small, tmp_path: Path) -> None:
    with small.open(tmp_path, SettableClock()) as engine:
        for name in ("fund_a", "page_1", "page_2", "fund_b", "", "page_1", "page_2"):
            engine.record("view", item=name)
        assert engine.status().unknown_items == 2


def test_the_count_of_unknown_items_has_a_limit(small: Small, tmp_path: Path) -> None:
    with small.open(tmp_path, SettableClock()) as engine:
        for number in range(NAMES_CACHED + 10):
            engine.record("view", item=f"page_{number}")
        assert engine.status().unknown_items == NAMES_CACHED


def test_the_count_of_unknown_items_starts_anew_with_each_erasure(small: Small, tmp_path: Path) -> None:
    """The ids of unknown items are erased as well, so they cannot be compared with later ones."""
    with small.open(tmp_path, SettableClock()) as engine:
        engine.record("view", item="page_1")
        engine.record("view", item="page_2")
        engine.erase(items=["page_2"])
        assert engine.status().unknown_items == 0
        engine.record("view", item="page_1")
        assert engine.status().unknown_items == 1
        engine.erase()
        assert engine.status().unknown_items == 0
