"""How far the model may move an offer from where it stands without it."""

from __future__ import annotations

from heapq import heapify, heappop, heappush

import numpy as np

from edge_sdk.types import I64


def bounded_order(wanted: I64, anchor: I64, max_rank_change: int, candidates: int) -> I64:
    """Returns the order nearest to `wanted` that moves no candidate by more than `max_rank_change` places.

    Place by place, the best wanted one that may stand there is taken; but whoever would come too late otherwise goes
    first. At each place there is at most one of those, so every bound can be kept.

    Args:
        wanted: (S,) candidate indices.
        anchor: (S,) the same ones in the order that the bound is measured from.
        max_rank_change: places, not negative.
        candidates: C, of which these are some.
    """
    count = len(wanted)
    places, home = np.arange(count), np.empty(candidates, np.int64)
    home[anchor] = places
    moves = home[wanted]
    moves -= places
    if not count or max(moves.max(), -moves.min()) <= max_rank_change:
        return wanted  # mostly
    rank = np.empty(candidates, np.int64)
    rank[wanted] = places
    ranks, homes = rank.tolist(), anchor.tolist()
    order: list[int] = []
    is_placed = [False] * candidates
    waiting = [(ranks[early], early) for early in homes[:max_rank_change]]
    heapify(waiting)
    for place in range(count):
        if place + max_rank_change < count:
            early = homes[place + max_rank_change]
            heappush(waiting, (ranks[early], early))
        chosen = homes[place - max_rank_change] if place >= max_rank_change else None
        if chosen is None or is_placed[chosen]:
            chosen = heappop(waiting)[1]
            while is_placed[chosen]:  # it went first when it would have come too late
                chosen = heappop(waiting)[1]
        is_placed[chosen] = True
        order.append(chosen)
    return np.array(order, np.int64)
