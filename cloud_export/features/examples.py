"""Log -> training examples, by replaying the log through the device's own memory.

Shapes: D decisions, S states, N window events (newest first), C candidates (padded to the most that one decision has),
O offers of the catalogue, F counter features, K objectives, X context features, A attributes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cloud_export.data.log import Log
from cloud_export.features.layout import DeviceLayout, context_vectors
from edge_sdk.memory.memory import Memory

F32 = npt.NDArray[np.float32]
I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
Progress = Callable[[int, int], None]  # done, of how many


@dataclass(frozen=True, slots=True)
class Examples:
    """What the device model sees at each decision, and what came of it."""

    event_item: I32  # (D, N) row of the item table; 0 = unknown item, or no event
    event_kind: I32  # (D, N) row of the kind table; 0 = no event
    event_age_s: F32  # (D, N) seconds before the decision, never negative
    event_value: F32  # (D, N)
    counters: F32  # (D, C, F) decayed counters of each candidate
    context: F32  # (D, X) one-hot
    candidate: I32  # (D, C) row of the offer table; 0 = padding
    base_logits: F32  # (D, C, K)
    outcomes: F32  # (D, C, K) 1 or 0; NaN where unknown (not shown) and in padding


@dataclass(frozen=True, slots=True)
class BaseStates:
    """What the cloud knows of one user at one moment (a refresh, or the decision itself)."""

    event_item: I32  # (S, N)
    event_kind: I32  # (S, N)
    event_age_s: F32  # (S, N) seconds before that moment
    event_value: F32  # (S, N)
    counters: F32  # (S, O, F) decayed counters of every offer, in offer-row order (row 1 first)
    category_counters: F32  # (S, G) decayed counters of every category × kind × half-life, flattened
    attributes: I32  # (S, A) code of each user attribute; 0 = unknown


@dataclass(frozen=True, slots=True)
class PointsInTime:
    """Points of the replay, sorted by (user, position)."""

    user: I32  # (M,)
    position: I64  # (M,) how many of the user's events come before
    now_ms: I64  # (M,)


def decision_moments(log: Log, chosen: I64, *, late_ms: int = 0) -> PointsInTime:
    """The moments of these decisions.

    Args:
        log: the log.
        chosen: decision indices, ascending.
        late_ms: the events reach the device so much later: those of the last `late_ms` are missing.
    """
    decisions = log.decisions
    user, position, now_ms = decisions.user[chosen], decisions.position[chosen], decisions.time_ms[chosen]
    if late_ms:
        position = np.minimum(position, events_before(log, user, now_ms - late_ms + 1))
        # Within one user later decisions see at least as many events, but a derived decision's clock may stand still.
        position = _rising(user, position)
    return PointsInTime(user, position, now_ms)


def refresh_moments(
    log: Log, decisions: PointsInTime, *, every_hours: int, at_hour_utc: int
) -> tuple[PointsInTime, I64]:
    """The last refresh before each decision, once for each user and refresh.

    Returns:
        The moments, and for each decision the index of its own.
    """
    refresh_ms = last_refresh_ms(decisions.now_ms, every_hours=every_hours, at_hour_utc=at_hour_utc)
    pairs, index = np.unique(np.stack([decisions.user.astype(np.int64), refresh_ms]), axis=1, return_inverse=True)
    user = pairs[0].astype(np.int32)
    return PointsInTime(user, events_before(log, user, pairs[1]), pairs[1]), index.reshape(-1)


def last_refresh_ms(now_ms: I64, *, every_hours: int, at_hour_utc: int) -> I64:
    """The newest refresh at or before each time; refreshes are counted from 1970-01-01 at `at_hour_utc`."""
    start, step = at_hour_utc * 3_600_000, every_hours * 3_600_000
    return (now_ms - start) // step * step + start


def make_examples(
    log: Log, layout: DeviceLayout, chosen: I64, moments: PointsInTime, *, progress: Progress
) -> Examples:
    """What the device sees at these decisions (base logits left at 0: `with_base` puts them in)."""
    decisions, memory = log.decisions, layout.memory
    starts, ends = decisions.offsets[chosen], decisions.offsets[chosen + 1]
    d, c, n, k = len(chosen), int((ends - starts).max(initial=1)), memory.window, len(log.objectives)
    place = np.arange(c) < (ends - starts)[:, None]
    rows = np.minimum(starts[:, None] + np.arange(c), len(decisions.candidate) - 1)
    candidate = np.where(place, layout.offer_row[decisions.candidate[rows]], 0).astype(np.int32)
    item, kind = np.zeros((d, n), np.int32), np.zeros((d, n), np.int32)
    age, value = np.zeros((d, n), np.float32), np.zeros((d, n), np.float32)
    counters = np.zeros((d, c, memory.counter_features), np.float32)
    slots = memory.counter_slots(candidate.reshape(-1)).reshape(d, c, 2)

    def visit(index: int, state: Memory, now_ms: int) -> None:
        state.fill_window(now_ms, item[index], kind[index], age[index], value[index])
        state.fill_counters(now_ms, slots[index], counters[index])

    replay(log, layout, moments, visit, progress=progress)
    return Examples(
        event_item=item,
        event_kind=kind,
        event_age_s=age,
        event_value=value,
        counters=counters,
        context=context_vectors(layout.policy, decisions.context[chosen]),
        candidate=candidate,
        base_logits=np.zeros((d, c, k), np.float32),
        outcomes=np.where(place[..., None], decisions.outcome[rows], np.nan).astype(np.float32),
    )


def with_base(examples: Examples, offer_logits: F32, state_of_example: I64) -> Examples:
    """The examples on top of base logits (S, O, K) of the state that each one belongs to."""
    padded = np.concatenate([np.zeros_like(offer_logits[:, :1]), offer_logits], axis=1)
    return replace(examples, base_logits=padded[state_of_example[:, None], examples.candidate])


def make_states(log: Log, layout: DeviceLayout, moments: PointsInTime, *, progress: Progress) -> BaseStates:
    """What the cloud knows of these users at these moments."""
    memory = layout.memory
    s, n = len(moments.user), memory.window
    slots = memory.counter_slots(np.arange(1, layout.offers + 1))
    item, kind = np.zeros((s, n), np.int32), np.zeros((s, n), np.int32)
    age, value = np.zeros((s, n), np.float32), np.zeros((s, n), np.float32)
    counters = np.zeros((s, layout.offers, memory.counter_features), np.float32)
    categories = np.zeros((s, (memory.category_rows - 1) * memory.counter_features // 2), np.float32)

    def visit(index: int, state: Memory, now_ms: int) -> None:
        state.fill_window(now_ms, item[index], kind[index], age[index], value[index])
        state.fill_counters(now_ms, slots, counters[index])
        categories[index] = state.category_counters(now_ms)

    replay(log, layout, moments, visit, progress=progress)
    return BaseStates(item, kind, age, value, counters, categories, log.attributes[moments.user])


def replay(
    log: Log,
    layout: DeviceLayout,
    moments: PointsInTime,
    visit: Callable[[int, Memory, int], None],
    *,
    progress: Progress,
) -> None:
    """Run each user's events through the device's memory and call `visit(index, memory, now_ms)` at every moment.

    Raises:
        ValueError: the moments are not sorted by (user, position).
    """
    order_key = moments.user.astype(np.int64) * (1 << 40) + moments.position
    if (np.diff(order_key) < 0).any():
        raise ValueError("moments are not sorted by (user, position); sort them")
    users, first = np.unique(moments.user, return_index=True)
    bounds = [*first.tolist(), len(moments.user)]
    positions, nows = moments.position.tolist(), moments.now_ms.tolist()
    for number, user in enumerate(users.tolist()):
        state, at = Memory(layout.memory), 0
        begin = int(log.event_offsets[user])
        columns = _device_columns(log, layout, begin, begin + positions[bounds[number + 1] - 1])
        for index in range(bounds[number], bounds[number + 1]):
            for row in range(at, positions[index]):
                state.add(columns[0][row], columns[1][row], columns[2][row], columns[3][row])
            at = positions[index]
            visit(index, state, nows[index])
        progress(number + 1, len(users))


def _device_columns(
    log: Log, layout: DeviceLayout, begin: int, end: int
) -> tuple[list[int], list[int], list[int], list[float]]:
    """Times, kind ids, item ids and values of event rows, as the device would record them."""
    part = slice(begin, end)
    return (
        log.event_time_ms[part].tolist(),
        layout.kind_ids[log.event_kind[part]].tolist(),
        layout.item_ids[log.event_item[part]].tolist(),
        log.event_value[part].tolist(),
    )


def events_before(log: Log, user: I32, time_ms: I64) -> I64:
    """How many of each user's events are strictly before a time."""
    # Rows ascend by (user, time): one search over a joint key; times fit 42 bits.
    key = log.event_user.astype(np.int64) * (1 << 42) + log.event_time_ms
    found = np.searchsorted(key, user.astype(np.int64) * (1 << 42) + np.maximum(time_ms, 0))
    return found - log.event_offsets[user]


def _rising(user: I32, position: I64) -> I64:
    """Positions made non-decreasing within each user."""
    base = user.astype(np.int64) * (1 << 40)
    return np.maximum.accumulate(base + position) - base
