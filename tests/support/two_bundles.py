"""Packs two bundles of one scene, a day apart, and reads what a memory under either answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edge_sdk import Engine
from edge_sdk.memory.memory import Memory
from edge_sdk.testing.white_box import internals
from tests.support.memory_reads import all_counters
from tests.support.scene import ITEMS, KINDS, OFFERS, SCENE, SettableClock, Small, packed

LOG_BYTES = 4096  # 126 records plain, 63 encrypted
KEY = bytes(range(32))
_THIRTY_DAYS = {"kind": "impression", "per": "offer", "limit": 2, "within_s": 30 * 86_400}


def pack_former(folder: Path) -> Small:
    """Yesterday's bundle: an offer less, fewer items; other kinds, half-lives and caps."""
    table: dict[str, Any] = {
        **SCENE,
        "model": {
            **SCENE["model"],
            "counter_kinds": ["dismiss", "click", "impression"],
            "half_lives_s": [3600, 7200],
            "min_item_count": 21,
        },
        "policy": {**SCENE["policy"], "caps": [_THIRTY_DAYS]},
    }
    return packed(folder, table, offers=OFFERS[1:])


def pack_latest(folder: Path) -> Small:
    """Today's: with a new offer, and the cap at another place, a day longer."""
    policy = {**SCENE["policy"], "caps": [*SCENE["policy"]["caps"][1:], {**_THIRTY_DAYS, "within_s": 31 * 86_400}]}
    return packed(folder, {**SCENE, "policy": policy})


def opened(small: Small, state: Path, clock: SettableClock, key: bytes | None = None) -> Engine:
    trusted = [small.public_key]
    return Engine.open(
        state, bundle=small.bundle, trusted_keys=trusted, clock=clock, log_bytes=LOG_BYTES, storage_key=key
    )


def record_some(engine: Engine, clock: SettableClock, count: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    for _ in range(count):
        clock.now_ms += int(random.integers(0, 400_000))
        engine.record(str(random.choice(KINDS)), item=str(random.choice(ITEMS)), value=float(random.normal()))


def known(engine: Engine, now_ms: int, *, from_row: int = 0) -> list[bytes]:
    """What a memory answers: counters, caps from a row on, and window, however its arrays are laid out."""
    return known_of(internals(engine).state.memory, now_ms, from_row=from_row)


def known_of(memory: Memory, now_ms: int, *, from_row: int = 0) -> list[bytes]:
    layout = memory.layout
    caps = [
        memory.caps.newest(index, np.arange(from_row, layout.target_rows(rule.per))).tobytes()
        for index, rule in enumerate(layout.caps)
    ]
    return [all_counters(memory, now_ms).tobytes(), *caps, memory.window.dump()]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
