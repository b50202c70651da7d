"""A cache of answers: the same request gets the same decision for a while, so that a list does not jump on screen."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from edge_sdk.base_decision import BaseDecision
from edge_sdk.decision.decision import Decision
from edge_sdk.limits import RESULTS_KEPT

Key = tuple[object, ...]


class ResultCache:
    """The latest answers of one engine, at most `RESULTS_KEPT`. Thread-safe; a look-up takes no lock."""

    def __init__(self, keep_ms: float) -> None:
        self._keep_ms = keep_ms
        self._lock = threading.RLock()  # a signal handler may call the client meanwhile
        self._entries: dict[Key, tuple[int, Decision]] = {}
        self.hits = 0

    def emptied(self) -> ResultCache:
        """Returns an empty cache to replace this one, so that an answer stored here later is never found."""
        other = ResultCache(self._keep_ms)
        other.hits = self.hits
        return other

    def find(self, key: Key, now_ms: int, is_still_valid: Callable[[Decision], bool]) -> Decision | None:
        """Returns the cached answer of a request if it is young enough and still valid."""
        found = self._entries.get(key)
        if found is None or not 0 <= now_ms - found[0] < self._keep_ms or not is_still_valid(found[1]):
            return None
        self.hits += 1
        return found[1]

    def put(self, key: Key, now_ms: int, decision: Decision) -> None:
        """Stores an answer of the device. The decision references its base, so the key's id stays unique."""
        if decision.error:
            return  # the next attempt may succeed
        with self._lock:
            self._entries.pop(key, None)
            if len(self._entries) >= RESULTS_KEPT:
                del self._entries[next(iter(self._entries))]
            self._entries[key] = (now_ms, decision)


def key_of(
    base: BaseDecision,
    context: Mapping[str, str] | None,
    attributes: Mapping[str, float] | None,
    limit: int | None,
    weights: Mapping[str, float] | None,
) -> Key | None:
    """Returns the cache key of a request; None if an argument has a type that `rank` would refuse."""
    try:
        key = (
            id(base),
            tuple(context.items()) if context else (),
            tuple(attributes.items()) if attributes else (),
            limit.__class__,  # True is not a limit of 1
            limit,
            None if weights is None else tuple(weights.items()),  # {} weighs all 0; None takes the policy's weights
        )
        hash(key)
    except Exception:  # the types are the app's
        return None
    return key
