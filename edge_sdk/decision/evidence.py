"""Evidence: the inputs of a decision, kept so that the decision can be explained at any later time.

A decision refers to its evidence, and the engine refers to the evidence weakly. So evidence lives as long as the app
keeps the decision: later events, expired events, a wrapped log and a new policy do not change it. An `erase` overwrites
all evidence.
"""

from __future__ import annotations

import weakref
from collections import deque
from typing import Final

import numpy as np

from edge_sdk.limits import EXPLAINABLE_DECISIONS
from edge_sdk.memory.memory import Memory
from edge_sdk.memory.state_machines import UserStates
from edge_sdk.memory.window import Window, WindowCopy
from edge_sdk.policy.pipeline import PolicyInputs
from edge_sdk.types import F32, I64

_PRUNED_AT: Final = EXPLAINABLE_DECISIONS + 128  # references: so that an app that keeps decisions pays for few looks


class Evidence:
    """Everything that the model and the rules read for one decision."""

    __slots__ = (
        "__weakref__",
        "_counters",
        "free_at_ms",
        "given",
        "inputs",
        "is_gone",
        "one_hot",
        "user_states",
        "weights",
        "window",
    )

    def __init__(
        self,
        inputs: PolicyInputs,
        given: tuple[int, ...],
        window: WindowCopy,
        counters: bytearray,
        one_hot: F32,
        weights: F32,
        *,
        user_states: UserStates,
        free_at_ms: I64 | None,
    ) -> None:
        """Refers to immutable inputs, and to copies of everything that later events change.

        Args:
            inputs: of the policy. Later events change their memory, so an explanation does not read it.
            given: value index of each context field that the app passed; -1 = not passed.
            window: a copy of the window's events.
            counters: a copy of the counters, (C, F) float32.
            one_hot: (X,), the context as the model reads it.
            weights: (K,), one for each objective.
            user_states: `Machines.user_states`.
            free_at_ms: (R, C) `CapCounts.free_times`; None = no cap suppressed a candidate.
        """
        self.inputs, self.given, self.window, self._counters = inputs, given, window, counters
        self.one_hot, self.weights, self.user_states, self.free_at_ms = one_hot, weights, user_states, free_at_ms
        self.is_gone = False

    @property
    def counters(self) -> F32:
        """(C, F), the decayed counters."""
        rows = len(self.inputs.candidates.rows)
        return np.ndarray((rows, len(self._counters) // max(1, 4 * rows)), np.float32, self._counters)

    def erase(self) -> None:
        """Overwrites everything that came from the user, also for decisions that the app keeps."""
        self.window.erase()
        self._counters[:] = bytes(len(self._counters))
        for array in (self.one_hot, self.free_at_ms):
            if array is not None:
                array.fill(0)
        for states in self.inputs.evaluated.target_states.values():
            for column in states:
                column.fill(0)
        self.release()

    def release(self) -> None:
        """Drops all evidence: the decision can no longer be explained."""
        self.is_gone, self.user_states, self.given, self.free_at_ms = True, (), (), None
        del self.inputs, self.window, self._counters, self.one_hot, self.weights


class EvidenceStore:
    """The evidence of one engine's decisions: weakly referenced, bounded in number."""

    def __init__(self) -> None:
        """Starts without evidence."""
        self._oldest_first: deque[weakref.ref[Evidence]] = deque()
        self._window: WindowCopy | None = None

    def add(self, evidence: Evidence) -> None:
        """Adds the evidence of a new decision; releases the oldest where the app keeps too many decisions."""
        references = self._oldest_first
        references.append(weakref.ref(evidence))
        if references[0]() is None:  # mostly the decision before, which the app has dropped
            references.popleft()
        elif len(references) >= _PRUNED_AT:
            self._prune()

    def window(self, window: Window) -> WindowCopy:
        """Returns a copy of the window's events; decisions between two events share one."""
        copy = self._window
        if copy is None or copy.changes != window.changes or copy.token is not window.token:
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
        """Returns whether this evidence is of a decision of this engine, not erased, and among the newest kept ones."""
        kept = 0
        for reference in reversed(self._oldest_first):  # mostly it is one of the newest
            found = reference()
            if found is evidence:
                return True
            kept += found is not None
            if kept == EXPLAINABLE_DECISIONS:
                break
        return False

    def rebind(self, memory: Memory) -> None:
        """Gives all evidence the engine's new memory, so that no decision keeps a former one alive."""
        for reference in self._oldest_first:
            evidence = reference()
            if evidence is not None:
                evidence.inputs = evidence.inputs._replace(memory=memory)

    def _prune(self) -> None:
        """Drops references to evidence without a decision, and releases what is older than the newest kept ones."""
        alive = [evidence for reference in self._oldest_first if (evidence := reference()) is not None]
        for evidence in alive[:-EXPLAINABLE_DECISIONS]:
            evidence.release()
        self._oldest_first = deque(weakref.ref(evidence) for evidence in alive[-EXPLAINABLE_DECISIONS:])
