"""Counts caps, cooldowns and the budget from a list of events, in plain Python and without code of the SDK."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from edge_sdk import Decision
from tests.deep.stress.kit import BUDGET, CAPS, CATEGORY, CHANNEL_COSTS, SHOWN

MARGIN_MS: Final = 2000  # at the ends of a cap's time
DAY_MS: Final = 86_400_000


@dataclass(slots=True)
class Event:
    """An event that was given to the engine."""

    number: int
    kind: str
    item: str
    time_ms: int
    value: float


def above(decision: Decision, events: Sequence[Event]) -> list[str]:
    """Returns the caps and the budget that a decision breaks, if these events are all."""
    now_ms, base, found = decision.time_ms, decision.base, []
    spent = sum(
        event.value
        for event in events
        if event.kind in SHOWN.values() and event.time_ms // DAY_MS == now_ms // DAY_MS and event.time_ms <= now_ms
    )
    for index in decision.order.tolist():
        offer, channel = base.offers[index], base.channel(index)
        for cap in CAPS:
            count = sum(
                event.kind in cap.kinds
                and now_ms - cap.within_s * 1000 + MARGIN_MS < event.time_ms <= now_ms
                and _is_about(cap.per, event.item, offer)
                for event in events
            )
            if channel in cap.channels and count >= cap.limit:
                found.append(f"{'/'.join(cap.kinds)} per {cap.per}")
        cost = CHANNEL_COSTS.get(channel, 0.0)
        if cost and spent + cost > BUDGET + 1e-3:
            found.append("budget")
    return found


def _is_about(per: str, item: str, offer: str) -> bool:
    if per == "user":
        return True
    return item == offer if per == "offer" else CATEGORY.get(item, "") == CATEGORY.get(offer)
