"""How far the model may move an offer from where it stands without it."""

from __future__ import annotations

from heapq import heapify, heappop, heappush

import numpy as np

from edge_sdk.types import I64


def bounded_order(wanted: I64, anchor: I64, largest_move: int, candidates: int) -> I64:
    """The order nearest to the wanted one in which nobody stands further than `largest_move` from the anchor's place.

    Place by place, the best wanted one that may stand there is taken; but whoever would come too late otherwise goes
    first. At each place there is at most one of those, so every bound can be kept.

    Args:
        wanted: (S,) candidate indices.
        anchor: (S,) the same ones in the order that the bound is measured from.
        largest_move: places, not negative.
        candidates: C, of which these are some.
    """
    count = len(wanted)
    places, home = np.arange(count), np.empty(candidates, np.int64)
    home[anchor] = places
    moves = home[wanted]
    moves -= places
    if not count or max(moves.max(), -moves.min()) <= largest_move:
        return wanted  # mostly
    rank = np.empty(candidates, np.int64)
    rank[wanted] = places
    ranks, homes = rank.tolist(), anchor.tolist()
    order: list[int] = []
    is_placed = [False] * candidates
    waiting = [(ranks[early], early) for early in homes[:largest_move]]
    heapify(waiting)
    for place in range(count):
        if place + largest_move < count:
            early = homes[place + largest_move]
            heappush(waiting, (ranks[early], early))
        chosen = homes[place - largest_move] if place >= largest_move else None
        if chosen is None or is_placed[chosen]:
            chosen = heappop(waiting)[1]
            while is_placed[chosen]:  # it went first when it would have come too late
                chosen = heappop(waiting)[1]
        is_placed[chosen] = True
        order.append(chosen)
    return np.array(order, np.int64)
