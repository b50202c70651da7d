"""Makes training examples from a log by replaying it through the device's own memory.

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
    """The inputs of the device model at each decision, and the outcomes of its candidates."""

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
    """The inputs of the base model: the state of a user at a point in time (a refresh, or the decision itself)."""

    event_item: I32  # (S, N)
    event_kind: I32  # (S, N)
    event_age_s: F32  # (S, N) seconds before that point
    event_value: F32  # (S, N)
    counters: F32  # (S, O, F) decayed counters of every offer, in offer-row order (row 1 first)
    category_counters: F32  # (S, G) decayed counters of every category × kind × half-life, flattened
    attributes: I32  # (S, A) code of each user attribute; 0 = unknown


@dataclass(frozen=True, slots=True)
class PointsInTime:
    """Points in time at which the replay reads a user's memory, sorted by (user, position)."""

    user: I32  # (M,)
    position: I64  # (M,) number of the user's events before the point
    now_ms: I64  # (M,)


def decision_points(log: Log, chosen: I64, *, late_ms: int = 0) -> PointsInTime:
    """Returns the points in time of these decisions.

    Args:
        log: the log.
        chosen: decision indices, ascending.
        late_ms: delay of the events: those of the last `late_ms` before each decision are left out.
    """
    decisions = log.decisions
    user, position, now_ms = decisions.user[chosen], decisions.position[chosen], decisions.time_ms[chosen]
    if late_ms:
        position = np.minimum(position, events_before(log, user, now_ms - late_ms + 1))
        # A later decision of a user has at least as many events before it; derived decisions may have equal times.
        position = _rising(user, position)
    return PointsInTime(user, position, now_ms)


def refresh_points(
    log: Log, decisions: PointsInTime, *, every_hours: int, at_hour_utc: int
) -> tuple[PointsInTime, I64]:
    """Returns the last refresh before each decision, once for each user and refresh.

    Returns:
        The points in time, and for each decision the index of its point.
    """
    refresh_ms = last_refresh_ms(decisions.now_ms, every_hours=every_hours, at_hour_utc=at_hour_utc)
    pairs, index = np.unique(np.stack([decisions.user.astype(np.int64), refresh_ms]), axis=1, return_inverse=True)
    user = pairs[0].astype(np.int32)
    return PointsInTime(user, events_before(log, user, pairs[1]), pairs[1]), index.reshape(-1)


def last_refresh_ms(now_ms: I64, *, every_hours: int, at_hour_utc: int) -> I64:
    """Returns the newest refresh at or before each time; refreshes are counted from 1970-01-01 at `at_hour_utc`."""
    start, step = at_hour_utc * 3_600_000, every_hours * 3_600_000
    return (now_ms - start) // step * step + start


def make_examples(log: Log, layout: DeviceLayout, chosen: I64, points: PointsInTime, *, progress: Progress) -> Examples:
    """Returns the examples of these decisions, with base logits of 0 (`with_base` sets them)."""
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
        state.counters.fill(now_ms, slots[index], counters[index])

    replay(log, layout, points, visit, progress=progress)
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
    """Returns the examples with base logits, from logits (S, O, K) and the state of each example."""
    padded = np.concatenate([np.zeros_like(offer_logits[:, :1]), offer_logits], axis=1)
    return replace(examples, base_logits=padded[state_of_example[:, None], examples.candidate])


def make_states(log: Log, layout: DeviceLayout, points: PointsInTime, *, progress: Progress) -> BaseStates:
    """Returns the states of the users at these points in time."""
    memory = layout.memory
    s, n = len(points.user), memory.window
    slots = memory.counter_slots(np.arange(1, layout.offers + 1))
    item, kind = np.zeros((s, n), np.int32), np.zeros((s, n), np.int32)
    age, value = np.zeros((s, n), np.float32), np.zeros((s, n), np.float32)
    counters = np.zeros((s, layout.offers, memory.counter_features), np.float32)
    categories = np.zeros((s, (memory.category_rows - 1) * memory.counter_features // 2), np.float32)

    def visit(index: int, state: Memory, now_ms: int) -> None:
        state.fill_window(now_ms, item[index], kind[index], age[index], value[index])
        state.counters.fill(now_ms, slots, counters[index])
        categories[index] = state.category_counters(now_ms)

    replay(log, layout, points, visit, progress=progress)
    return BaseStates(item, kind, age, value, counters, categories, log.attributes[points.user])


def replay(
    log: Log,
    layout: DeviceLayout,
    points: PointsInTime,
    visit: Callable[[int, Memory, int], None],
    *,
    progress: Progress,
) -> None:
    """Feeds each user's events to the device's memory and calls `visit(index, memory, now_ms)` at every point in time.

    Raises:
        ValueError: the points are not sorted by (user, position).
    """
    order_key = points.user.astype(np.int64) * (1 << 40) + points.position
    if (np.diff(order_key) < 0).any():
        raise ValueError("points are not sorted by (user, position); sort them")
    users, first = np.unique(points.user, return_index=True)
    bounds = [*first.tolist(), len(points.user)]
    positions, nows = points.position.tolist(), points.now_ms.tolist()
    for number, user in enumerate(users.tolist()):
        state, at = Memory(layout.memory), 0
        begin = int(log.events.offsets[user])
        end = begin + positions[bounds[number + 1] - 1]
        times_ms, kinds, items, values, local = _device_columns(log, layout, begin, end)
        for index in range(bounds[number], bounds[number + 1]):
            for row in range(at, positions[index]):
                state.add(times_ms[row], kinds[row], items[row], values[row], local[row])
            at = positions[index]
            visit(index, state, nows[index])
        progress(number + 1, len(users))


def _device_columns(
    log: Log, layout: DeviceLayout, begin: int, end: int
) -> tuple[list[int], list[int], list[int], list[float], list[int]]:
    """Returns times, kind ids, item ids, values and local fields of event rows, as the device would record them."""
    part = slice(begin, end)
    return (
        log.events.time_ms[part].tolist(),
        layout.kind_ids[log.events.kind[part]].tolist(),
        layout.item_ids[log.events.item[part]].tolist(),
        log.events.value[part].tolist(),
        log.events.local[part].tolist(),
    )


def events_before(log: Log, user: I32, time_ms: I64) -> I64:
    """Returns the number of each user's events that are strictly before a time."""
    # Rows ascend by (user, time), so one search over a joint key suffices; times fit 42 bits.
    key = log.events.user.astype(np.int64) * (1 << 42) + log.events.time_ms
    found = np.searchsorted(key, user.astype(np.int64) * (1 << 42) + np.maximum(time_ms, 0))
    return found - log.events.offsets[user]


def _rising(user: I32, position: I64) -> I64:
    """Returns the running maximum of the positions within each user."""
    base = user.astype(np.int64) * (1 << 40)
    return np.maximum.accumulate(base + position) - base
