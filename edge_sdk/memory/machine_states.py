"""The states of one machine's targets, and how an event and time change them: arrays of numbers, no names."""

from __future__ import annotations

from itertools import count as counting
from typing import Final, NamedTuple

import numpy as np

from edge_sdk.clock import NEVER_MS
from edge_sdk.limits import TIME_MS_MAX
from edge_sdk.types import I64

# Plain tuples and not records: `step` unpacks them for each event, which is faster than reading fields.
TimedSteps = tuple[tuple[int, int] | None, ...]  # by state: (after how many ms, target state)
KindSteps = tuple[tuple[tuple[int, int, int], ...], ...]  # by state: (how many events, index of their count, target)
_versions: Final = counting(1)
_NOT_BEGUN: Final = 0  # ms; time does not run before the machine has had its first event


class TargetStates(NamedTuple):
    """State, time of entering and counts of some targets."""

    states: I64  # (R,)
    since_ms: I64  # (R,) 0 = the target's time has not begun
    counts: I64  # (R, counted steps)


class MachineStates:
    """State, time of entering and counts of each target, as of the newest event that the machine counts.

    For reading many targets at once, their states by the clock are cached (`_current`) until the next step by time.
    """

    def __init__(self, rows: int, timed: TimedSteps, counted: int) -> None:
        """Starts all of `rows` targets (row 0 is none) in state 0. `counted`: how many steps count their events."""
        self._timed, self._width = timed, counted
        self._states = np.zeros(rows, np.uint8)
        self._since_ms = np.full(rows, _NOT_BEGUN, np.int64)
        self._counts = np.zeros(rows * counted, np.uint16)
        # Element reads and writes at a third of numpy's cost.
        self._views = (self._states.data, self._since_ms.data, self._counts.data)
        self._after_ms = np.array([NEVER_MS if step is None else step[0] for step in timed], np.int64)
        self._next = np.array([0 if step is None else step[1] for step in timed], np.int64)
        self._current = np.zeros(rows, np.int64)  # valid from `_current_from_ms` until `_current_until_ms`
        self._current_view = self._current.data
        self.version = next(_versions)  # changes whenever `all_states` may change; no two machines share a version
        self._current_from_ms = 0
        self._current_until_ms = NEVER_MS  # when the first target steps by time, or before

    def step(self, steps: KindSteps, time_ms: int, row: int) -> None:
        """Applies one event to a target: first the steps by time until then, then the first matching step by event."""
        states, since, counts = self._views
        state, since_ms = states[row], since[row]
        timed = self._timed[state]
        if not since_ms:
            since_ms = time_ms
        elif timed is not None and time_ms - since_ms >= timed[0]:
            state, since_ms = self.state_at(row, time_ms)
            self._clear_counts(row)
        for count, index, target in steps[state]:
            if count > 1:
                at = row * self._width + index
                counted = counts[at] + 1
                counts[at] = counted if counted < count else 0
                if counted < count:
                    continue
            if target != state and self._width:
                self._clear_counts(row)
            state, since_ms = target, time_ms
            break
        if since_ms != since[row] or state != states[row]:
            self._enter(row, state, since_ms)

    def _enter(self, row: int, state: int, since_ms: int) -> None:
        """Sets the state of a target and the time of entering."""
        states, since, _ = self._views
        timed = self._timed[state]
        due_ms = NEVER_MS if timed is None or not since_ms else since_ms + timed[0]
        self.version = next(_versions)
        states[row] = self._current_view[row] = state
        since[row] = since_ms
        if due_ms < self._current_until_ms:
            self._current_until_ms = due_ms

    def state_at(self, row: int, now_ms: int) -> tuple[int, int]:
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
        """Returns when time steps a target that entered a state at `since_ms`; `NEVER_MS` = not at all."""
        step = self._timed[state]
        return NEVER_MS if step is None or not since_ms else since_ms + step[0]

    def all_states(self, now_ms: int) -> I64:
        """Returns the state of each target by the clock, (rows,); not to be changed."""
        if not self._current_from_ms <= now_ms < self._current_until_ms:
            self._update_current(now_ms)
        return self._current

    def _update_current(self, now_ms: int) -> None:
        """Applies all steps by time that are due, to the cached copy alone."""
        states = self._current
        self.version = next(_versions)
        states[:] = self._states
        due_ms = np.minimum(self._since_ms + self._after_ms.take(states), NEVER_MS)
        due_ms[self._since_ms == _NOT_BEGUN] = NEVER_MS
        late = np.flatnonzero(due_ms <= now_ms)
        while len(late):
            states[late] = self._next.take(states.take(late))
            due_ms[late] = np.minimum(due_ms.take(late) + self._after_ms.take(states.take(late)), NEVER_MS)
            late = late[due_ms.take(late) <= now_ms]
        self._current_from_ms, self._current_until_ms = now_ms, int(due_ms.min())

    def _clear_counts(self, row: int) -> None:
        counts = self._views[2]
        for at in range(row * self._width, (row + 1) * self._width):
            counts[at] = 0

    # ---- copying and saving ----

    def target_states(self, rows: I64) -> TargetStates:
        """Returns the states of some targets, as of the newest event."""
        counts = self._counts.reshape(-1, self._width)[rows] if self._width else np.zeros((len(rows), 0))
        return TargetStates(
            self._states.take(rows).astype(np.int64), self._since_ms.take(rows), counts.astype(np.int64)
        )

    def inherit(self, rows: I64, former: TargetStates) -> None:
        """Replaces the states of some targets."""
        self._states[rows], self._since_ms[rows] = former.states, former.since_ms
        if self._width:
            self._counts.reshape(-1, self._width)[rows] = former.counts
        self._current_until_ms = 0

    def dump(self) -> bytes:
        """Returns states (u8), times (i64), and counts (u16) by target and step."""
        return self._states.tobytes() + self._since_ms.tobytes() + self._counts.tobytes()

    def load(self, raw: bytes) -> int:
        """Restores what `dump` wrote; `raw` may be longer. Returns the number of bytes read.

        Raises:
            ValueError: too few bytes, a state that the machine does not have, or a time that no event has.
        """
        at = 0
        for column in (self._states, self._since_ms, self._counts):
            column[:] = np.frombuffer(raw, column.dtype, len(column), at)
            at += column.nbytes
        since_ms = self._since_ms
        if self._states.max() >= len(self._timed) or since_ms.min() < 0 or since_ms.max() > TIME_MS_MAX:
            raise ValueError("not the states of this machine")
        self._current_until_ms = 0
        return at
