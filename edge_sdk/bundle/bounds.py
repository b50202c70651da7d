"""The bounds of what a bundle and a policy may ask of a device: memory and disk, computed before anything is allocated.

Packing checks them with the same functions, so that the message comes early. docs/policy.md has the figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from edge_sdk.bundle.policy_symbols import Fail
from edge_sdk.limits import CAPS_BYTES_MAX, COUNTS_BYTES_MAX, VECTORS_BYTES_MAX
from edge_sdk.memory.caps import CapRule
from edge_sdk.memory.layout import MemoryLayout
from edge_sdk.memory.targets import target_rows
from edge_sdk.model.projection import ModelTables
from edge_sdk.policy.frequency_caps import FrequencyCap

_TIME: Final = 8  # bytes
_A_TARGET: Final = 3  # numbers that a cap keeps for a target beside the times: its ring, its place, when it is free
_WINDOW: Final = 2 * 20  # bytes: an event of the window, twice
_STATE: Final = 25  # bytes of a machine's target: its state, since when, and its state by the clock
_COUNT: Final = 2  # bytes of a step that counts its events


def check_counts(layout: MemoryLayout, fail: Fail) -> None:
    """Refuses a bundle whose window, counters and machines take more memory than `COUNTS_BYTES_MAX`.

    A snapshot of them takes no more on the disk, twice.
    """
    offers, categories = len(layout.offers) + 1, layout.category_rows
    window = _WINDOW * layout.window
    counters = _TIME * (offers + categories) * layout.counter_kinds * len(layout.decays)
    machines = sum(
        target_rows(rule.per, offers, categories) * (_STATE + _COUNT * len(rule.counted)) for rule in layout.machines
    )
    if window + counters + machines > COUNTS_BYTES_MAX:
        counted = f"{layout.counter_kinds} kinds, {len(layout.decays)} half-lives and {offers - 1} offers"
        found = f"{counters} bytes for {counted}, {machines} for {len(layout.machines)} machines"
        fix = "count fewer kinds, or let a machine be per category or user"
        fail("counter_kinds, decays or machines", f"{found}; at most {COUNTS_BYTES_MAX} together: {fix}")


def check_caps(caps: Sequence[FrequencyCap], offers: int, categories: int, fail: Fail) -> None:
    """Refuses caps that take more memory than `CAPS_BYTES_MAX`. A snapshot of them takes no more on the disk, twice.

    Args:
        caps: of a policy.
        offers: rows of the offers, with row 0.
        categories: likewise.
        fail: raises the error for a field's path and the value found there.
    """
    sizes = [_bytes_of(cap.counted, offers, categories) for cap in caps]
    if sum(sizes) > CAPS_BYTES_MAX:
        at = sizes.index(max(sizes))
        rule, targets = caps[at].counted, target_rows(caps[at].counted.per, offers, categories) - 1
        found = f"{sum(sizes)} bytes for all caps and cooldowns, at most {CAPS_BYTES_MAX}"
        most = f"{sizes[at]} of them for the limit {rule.limit} of each of {targets} targets"
        fail(f"policy.caps[{at}].limit", f"{found}; {most}: lower it, or count per category or user")


def _bytes_of(rule: CapRule, offers: int, categories: int) -> int:
    return target_rows(rule.per, offers, categories) * (rule.limit + _A_TARGET) * _TIME


def check_vectors(tables: ModelTables, category_rows: int, fail: Fail) -> None:
    """Refuses tables whose products take more memory than `VECTORS_BYTES_MAX`.

    These are a query and K readouts of each offer, and of each category for the offers that the bundle does not know.

    Args:
        tables: of a bundle.
        category_rows: with row 0.
        fail: raises the error for a field's path and the value found there.
    """
    rows, dimension = tables.offers.shape
    size = 4 * (len(tables.readout) + 1) * (rows + category_rows - 1) * dimension
    if size > VECTORS_BYTES_MAX:
        found = f"{size} bytes of vectors for {rows - 1} offers and {category_rows - 1} categories"
        fail("tables.readout", f"{found}, at most {VECTORS_BYTES_MAX}: a smaller [model] dimension")


def at_most(count: int, bound: int, field: str, fail: Fail) -> None:
    """Refuses a list that is longer than its bound."""
    if count > bound:
        fail(field, f"{count}, at most {bound}")
