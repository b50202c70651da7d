"""Frequency caps and cooldowns of a policy: which candidates are capped, why, and until when.

Memory counts events (`memory/caps.py`); this module reads the counts for the candidates of one decision.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edge_sdk.clock import NEVER_MS
from edge_sdk.memory.caps import CapCounts, CapRule, cap_cells
from edge_sdk.memory.layout import MemoryLayout
from edge_sdk.memory.targets import Scope
from edge_sdk.reasons import Reason
from edge_sdk.types import I64, Mask


class FrequencyCap(NamedTuple):
    """One line of `[[policy.caps]]` or `[[policy.cooldowns]]`."""

    counted: CapRule  # the events that the rule counts
    name: str = ""
    channels: frozenset[int] = frozenset()  # only candidates of these channels are suppressed; empty = of all

    @property
    def reason(self) -> Reason:
        """The reason code of a candidate that this rule suppresses."""
        return Reason.COOLING_DOWN if self.counted.cooldown else Reason.CAPPED


class CapAnswer(NamedTuple):
    """Which candidates are capped, and how long this is valid while no event is counted."""

    bits: I64 | None  # (C,) reason bits, 0 = not capped; None = no candidate is capped
    free_at_ms: I64 | None  # (R, C) `CapCounts.free_times`; None = no rule caps anything
    until_ms: int  # exclusive


class FrequencyCaps:
    """The caps of one policy over one memory layout."""

    def __init__(self, caps: tuple[FrequencyCap, ...], layout: MemoryLayout) -> None:
        """Compiles the rules; `layout` counts exactly these rules, in this order."""
        self.rules = caps
        self._layout = layout
        self._bits = np.array([int(cap.reason) for cap in caps], np.int64)[:, None]
        # A target capped for longer than twice a rule's time was counted under a wrong clock: it is not capped.
        within = [2000 * cap.counted.within_s if cap.counted.within_s else NEVER_MS for cap in caps]
        self._longest_ms = np.array(within, np.int64)[:, None]

    def cells(self, rows: I64, channels: I64 | None) -> I64:
        """Returns the cell of each candidate's count under each rule, (R, C); 0 = the rule does not apply to it.

        Args:
            rows: (C,) candidate row of each candidate.
            channels: (C,) channel index of each candidate; None = all 0.
        """
        layout = self._layout
        counted = [cap.counted for cap in self.rules]
        cells = cap_cells(counted, layout.offers.row_category, layout.category_rows, rows)
        for row, cap in zip(cells, self.rules, strict=True):
            if cap.channels:
                row[~_in_channels(cap, channels, len(rows))] = 0
        return cells

    def uncounted(self, rows: I64, channels: I64 | None) -> list[tuple[FrequencyCap, Mask]]:
        """Returns the rules per category that cannot count offers of theirs, and the candidates concerned, (C,).

        An event has no category. So nobody can tell whether one about an offer that the bundle does not know counts for
        a category: showing such an offer might exceed the rule, and it is suppressed.

        Args:
            rows: (C,) candidate row of each candidate.
            channels: (C,) channel index of each candidate; None = all 0.
        """
        is_stand_in = rows > len(self._layout.offers)
        if not is_stand_in.any():
            return []
        return [
            (cap, is_stand_in & _in_channels(cap, channels, len(rows)))
            for cap in self.rules
            if cap.counted.per is Scope.CATEGORY
        ]

    def answer(self, counts: CapCounts, cells: I64, now_ms: int) -> CapAnswer:
        """Returns which candidates the rules suppress now; valid until `until_ms` while `counts.version` stays."""
        if counts.last_free_ms <= now_ms:
            return _ALL_FREE
        free_at_ms = counts.free_times(cells)
        is_capped: Mask = free_at_ms > now_ms
        until_ms = int(free_at_ms[is_capped].min(initial=NEVER_MS))
        if counts.newest_ms > now_ms:
            is_capped &= free_at_ms - now_ms <= self._longest_ms
            until_ms = now_ms
        bits: I64 = np.bitwise_or.reduce(is_capped * self._bits, axis=0)
        return CapAnswer(bits if bits.any() else None, free_at_ms, until_ms)

    def capped_until(self, free_at_ms: I64, now_ms: int) -> I64:
        """Returns until when each rule suppresses each candidate, (R, C) in ms; 0 = not capped, `NEVER_MS` = for ever.

        Args:
            free_at_ms: (R, C) as `CapCounts.free_times` gave it at `now_ms`.
            now_ms: milliseconds since 1970.
        """
        is_capped = (free_at_ms > now_ms) & (free_at_ms - now_ms <= self._longest_ms)
        until_ms: I64 = free_at_ms * is_capped
        return until_ms


_ALL_FREE = CapAnswer(None, None, NEVER_MS)


def _in_channels(cap: FrequencyCap, channels: I64 | None, count: int) -> Mask:
    """Returns whether a rule applies to each candidate by its channel, (C,)."""
    if not cap.channels:
        return np.ones(count, np.bool_)
    of = np.zeros(count, np.int64) if channels is None else channels
    applies: Mask = _applies(cap.channels).take(of, mode="clip")
    return applies


def _applies(channels: frozenset[int]) -> Mask:
    """Returns whether a rule applies to each channel; the last entry is for every higher channel."""
    applies = np.zeros(max(channels) + 2, np.bool_)
    applies[list(channels)] = True
    return applies
