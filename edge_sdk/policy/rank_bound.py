"""The rank bound: how many places the model may move an offer from its rank without the model."""

from __future__ import annotations

from heapq import heapify, heappop, heappush

import numpy as np

from edge_sdk.types import I64


def bounded_order(wanted: I64, anchor: I64, max_rank_change: int, candidates: int) -> I64:
    """Returns the order nearest to `wanted` that moves no candidate by more than `max_rank_change` places.

    Each place goes to the best wanted candidate that the bound allows there. A candidate that would miss its last
    allowed place goes first; at each place there is at most one such candidate, so every bound can be kept.

    Args:
        wanted: (S,) candidate indices.
        anchor: (S,) the same indices in the order that the bound is measured from.
        max_rank_change: number of places, not negative.
        candidates: C, the number of all candidates.
    """
    count = len(wanted)
    places, anchor_place = np.arange(count), np.empty(candidates, np.int64)
    anchor_place[anchor] = places
    changes = anchor_place[wanted]
    changes -= places
    if not count or max(changes.max(), -changes.min()) <= max_rank_change:
        return wanted  # in most decisions
    rank = np.empty(candidates, np.int64)
    rank[wanted] = places
    ranks, anchored = rank.tolist(), anchor.tolist()
    order: list[int] = []
    is_placed = [False] * candidates
    waiting = [(ranks[early], early) for early in anchored[:max_rank_change]]
    heapify(waiting)
    for place in range(count):
        if place + max_rank_change < count:
            early = anchored[place + max_rank_change]
            heappush(waiting, (ranks[early], early))
        chosen = anchored[place - max_rank_change] if place >= max_rank_change else None
        if chosen is None or is_placed[chosen]:
            chosen = heappop(waiting)[1]
            while is_placed[chosen]:  # already placed at its last allowed place
                chosen = heappop(waiting)[1]
        is_placed[chosen] = True
        order.append(chosen)
    return np.array(order, np.int64)
