"""Evidence: what a decision was made from, kept so that the decision can be explained at any later time.

A decision refers to its evidence; the engine refers to it weakly. So evidence lives as long as the app keeps the
decision, whatever is recorded, expires or is installed meanwhile, and one `erase` overwrites all of it.
"""

from __future__ import annotations

import weakref
from collections import deque

from edge_sdk.limits import EXPLAINABLE_DECISIONS
from edge_sdk.memory.state_machines import UserStates
from edge_sdk.memory.window import Window, WindowCopy
from edge_sdk.policy.pipeline import PolicyInputs
from edge_sdk.types import F32, I64


class Evidence:
    """What the model and the rules read for one decision."""

    __slots__ = (
        "__weakref__", "counters", "free_at_ms", "given", "inputs", "is_gone", "one_hot", "user_states", "weights",
        "window",
    )  # fmt: skip

    def __init__(
        self,
        inputs: PolicyInputs,
        given: tuple[int, ...],
        window: WindowCopy,
        counters: F32,
        one_hot: F32,
        weights: F32,
        *,
        user_states: UserStates,
        free_at_ms: I64 | None,
    ) -> None:
        """Refers to what never changes, and to copies of what later events change.

        Args:
            inputs: of the policy. Its memory goes on: nothing here reads it.
            given: value index of each context field as the app gave it; -1 = not given.
            window: a copy of the events.
            counters: (C, F), a copy.
            one_hot: (X,) of the context.
            weights: (K,) of the objectives.
            user_states: `Machines.user_states`.
            free_at_ms: (R, C) `CapCounts.free_times`; None = no cap suppressed anything.
        """
        self.inputs, self.given, self.window, self.counters = inputs, given, window, counters
        self.one_hot, self.weights, self.user_states, self.free_at_ms = one_hot, weights, user_states, free_at_ms
        self.is_gone = False

    def erase(self) -> None:
        """Overwrites everything that came from the user, also for decisions that the app still holds."""
        self.window.erase()
        for array in (self.counters, self.one_hot, self.free_at_ms):
            if array is not None:
                array.fill(0)
        for states in self.inputs.evaluated.target_states.values():
            for column in states:
                column.fill(0)
        self.release()

    def release(self) -> None:
        """Drops everything: the decision can no longer be explained."""
        self.is_gone, self.user_states, self.given, self.free_at_ms = True, (), (), None
        del self.inputs, self.window, self.counters, self.one_hot, self.weights


class EvidenceStore:
    """The evidence of one engine's decisions: weakly referenced, bounded in number."""

    def __init__(self) -> None:
        """No evidence."""
        self._oldest_first: deque[weakref.ref[Evidence]] = deque()
        self._window: WindowCopy | None = None

    def add(self, evidence: Evidence) -> None:
        """Adds the evidence of a new decision; releases the oldest where the app holds too many decisions."""
        if len(self._oldest_first) >= EXPLAINABLE_DECISIONS:
            self._make_room()
        self._oldest_first.append(weakref.ref(evidence))

    def window(self, window: Window) -> WindowCopy:
        """Returns a copy of the window's events; decisions between two events share one."""
        copy = self._window
        if copy is None or not copy.is_of(window):
            copy = self._window = window.copy()
        return copy

    def erase(self) -> None:
        """Overwrites all evidence."""
        for reference in self._oldest_first:
            evidence = reference()
            if evidence is not None:
                evidence.erase()
        self._oldest_first.clear()
        if self._window is not None:
            self._window.erase()
            self._window = None

    def owns(self, evidence: Evidence) -> bool:
        """Returns whether a decision of this engine was made from this evidence."""
        return any(reference() is evidence for reference in self._oldest_first)

    def _make_room(self) -> None:
        """Forgets evidence that no decision refers to any more; without any, releases the oldest."""
        alive = [reference for reference in self._oldest_first if reference() is not None]
        if len(alive) >= EXPLAINABLE_DECISIONS:
            oldest = alive.pop(0)()
            if oldest is not None:
                oldest.release()
        self._oldest_first = deque(alive)
