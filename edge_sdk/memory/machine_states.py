"""The states of one machine's targets, and how an event and time change them: arrays of numbers, no names."""

from __future__ import annotations

from itertools import count as counting
from typing import Final, NamedTuple

import numpy as np

from edge_sdk.clock import NEVER_MS
from edge_sdk.types import I64

TimedSteps = tuple[tuple[int, int] | None, ...]  # by state: (after how many ms, to which state)
KindSteps = tuple[tuple[tuple[int, int, int], ...], ...]  # by state: (how many events, place of their count, to where)
_versions: Final = counting(1)
_NOT_BEGUN: Final = 0  # ms; as long as no event was looked at, time does not run


class TargetStates(NamedTuple):
    """How some targets stand."""

    states: I64  # (R,)
    since_ms: I64  # (R,) 0 = its time has not begun
    counts: I64  # (R, counted steps)


class States:
    """State, time of entering and counts of each target, as the newest event looked at left them.

    For reading many targets at once, what time has made of them is kept ready (`_shown`) until its next step is due.
    """

    def __init__(self, rows: int, timed: TimedSteps, counted: int) -> None:
        """All of `rows` targets (row 0 is none) in state 0. `counted`: how many steps count their events."""
        self._timed, self._width = timed, counted
        self._states = np.zeros(rows, np.uint8)
        self._since_ms = np.full(rows, _NOT_BEGUN, np.int64)
        self._counts = np.zeros(rows * counted, np.uint16)
        # Element reads and writes at a third of numpy's cost.
        self._views = (self._states.data, self._since_ms.data, self._counts.data)
        self._after_ms = np.array([NEVER_MS if step is None else step[0] for step in timed], np.int64)
        self._next = np.array([0 if step is None else step[1] for step in timed], np.int64)
        self._shown = np.zeros(rows, np.int64)  # states by the clock, right from `_shown_from_ms` on
        self._due_ms = np.full(rows, NEVER_MS, np.int64)  # when each of them steps next
        self._shown_views = (self._shown.data, self._due_ms.data)
        self.version = next(_versions)  # another one, of all machines', whenever a state that is shown may change
        self._shown_from_ms = 0
        self._shown_until_ms = NEVER_MS  # the earliest of `_due_ms`, or before

    def step(self, steps: KindSteps, time_ms: int, row: int) -> None:
        """Let one event step a target: first what time has done by then, then the first step by event that fits."""
        states, since, counts = self._views
        state, since_ms = states[row], since[row]
        timed = self._timed[state]
        if not since_ms:
            since_ms = time_ms
        elif timed is not None and time_ms - since_ms >= timed[0]:
            state, since_ms = self.settled(row, time_ms)
            self._forget_counts(row)
        for count, place, target in steps[state]:
            if count > 1:
                at = row * self._width + place
                counted = counts[at] + 1
                counts[at] = counted if counted < count else 0
                if counted < count:
                    continue
            if target != state and self._width:
                self._forget_counts(row)
            state, since_ms = target, time_ms
            break
        if since_ms != since[row] or state != states[row]:
            self._stand(row, state, since_ms)

    def _stand(self, row: int, state: int, since_ms: int) -> None:
        """Let a target stand in a state since then."""
        states, since, _ = self._views
        shown, due = self._shown_views
        timed = self._timed[state]
        due_ms = NEVER_MS if timed is None or not since_ms else since_ms + timed[0]
        self.version = next(_versions)
        states[row] = shown[row] = state
        since[row], due[row] = since_ms, due_ms
        if due_ms < self._shown_until_ms:
            self._shown_until_ms = due_ms

    def settled(self, row: int, now_ms: int) -> tuple[int, int]:
        """Returns the state that a target has by then, and since when."""
        return self.settle(self._views[0][row], self._views[1][row], now_ms)

    def settle(self, state: int, since_ms: int, now_ms: int) -> tuple[int, int]:
        """Returns what time alone makes of a state that was entered then, and since when."""
        step = self._timed[state]
        while step is not None and since_ms and now_ms - since_ms >= step[0]:
            since_ms += step[0]
            state = step[1]
            step = self._timed[state]
        return state, since_ms

    def entered(self, row: int) -> tuple[int, int]:
        """Returns the state that the newest event left a target in, and since when in ms."""
        return self._views[0][row], self._views[1][row]

    def due_ms(self, state: int, since_ms: int) -> int:
        """When time steps a target that entered a state then; `NEVER_MS` = not at all."""
        step = self._timed[state]
        return NEVER_MS if step is None or not since_ms else since_ms + step[0]

    def all_states(self, now_ms: int) -> I64:
        """The state of each target by now, (rows,); not to be changed."""
        if not self._shown_from_ms <= now_ms < self._shown_until_ms:
            self._show(now_ms)
        return self._shown

    def all_due_ms(self, now_ms: int) -> I64:
        """When each target's next step by time is due, (rows,); not to be changed."""
        self.all_states(now_ms)
        return self._due_ms

    def _show(self, now_ms: int) -> None:
        """Take all steps by time that are due, on a copy."""
        states, due_ms = self._shown, self._due_ms
        self.version = next(_versions)
        states[:] = self._states
        due_ms[:] = np.minimum(self._since_ms + self._after_ms.take(states), NEVER_MS)
        due_ms[self._since_ms == _NOT_BEGUN] = NEVER_MS
        late = np.flatnonzero(due_ms <= now_ms)
        while len(late):
            states[late] = self._next.take(states.take(late))
            due_ms[late] = np.minimum(due_ms.take(late) + self._after_ms.take(states.take(late)), NEVER_MS)
            late = late[due_ms.take(late) <= now_ms]
        self._shown_from_ms, self._shown_until_ms = now_ms, int(due_ms.min())

    def _forget_counts(self, row: int) -> None:
        counts = self._views[2]
        for at in range(row * self._width, (row + 1) * self._width):
            counts[at] = 0

    # ---- keeping ----

    def standing(self, rows: I64) -> TargetStates:
        """How some targets stand."""
        counts = self._counts.reshape(-1, self._width)[rows] if self._width else np.zeros((len(rows), 0))
        return TargetStates(
            self._states.take(rows).astype(np.int64), self._since_ms.take(rows), counts.astype(np.int64)
        )

    def inherit(self, rows: I64, standing: TargetStates) -> None:
        """Let some targets stand like this instead."""
        self._states[rows], self._since_ms[rows] = standing.states, standing.since_ms
        if self._width:
            self._counts.reshape(-1, self._width)[rows] = standing.counts
        self._shown_until_ms = 0

    def dump(self) -> bytes:
        """States (u8), times (i64), counts (u16) by target and step."""
        return self._states.tobytes() + self._since_ms.tobytes() + self._counts.tobytes()

    def load(self, raw: bytes) -> int:
        """Go on where `dump` stood; `raw` may go on. Returns the bytes read.

        Raises:
            ValueError: too few bytes, or a state that there is not.
        """
        at = 0
        for column in (self._states, self._since_ms, self._counts):
            column[:] = np.frombuffer(raw, column.dtype, len(column), at)
            at += column.nbytes
        if self._states.max() >= len(self._timed):
            raise ValueError("not the states of this machine")
        self._shown_until_ms = 0
        return at
