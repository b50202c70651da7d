"""The same answer to the same request for a while: a list that does not jump under the finger."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from edge_sdk.base_decision import BaseDecision
from edge_sdk.decision.decision import Decision
from edge_sdk.limits import RESULTS_KEPT

Key = tuple[object, ...]


class ResultCache:
    """The last answers of one engine. Thread-safe; finding one takes no lock."""

    def __init__(self, keep_ms: float) -> None:
        self._keep_ms = keep_ms
        self._lock = threading.Lock()
        self._kept: dict[Key, tuple[int, Decision]] = {}
        self.hits = 0

    def emptied(self) -> ResultCache:
        """One without answers, to take this one's place: what is kept here from now on, nobody finds."""
        other = ResultCache(self._keep_ms)
        other.hits = self.hits
        return other

    def find(self, key: Key, now_ms: int, is_still_valid: Callable[[Decision], bool]) -> Decision | None:
        """The answer kept for this request, if it is young enough and its offers still stand."""
        found = self._kept.get(key)
        if found is None or not 0 <= now_ms - found[0] < self._keep_ms or not is_still_valid(found[1]):
            return None
        self.hits += 1
        return found[1]

    def keep(self, key: Key, now_ms: int, decision: Decision) -> None:
        """Keep an answer of the device. The decision holds its base, so the key's id cannot come to mean another."""
        if decision.error:
            return  # what failed may succeed at once
        with self._lock:
            self._kept.pop(key, None)
            if len(self._kept) >= RESULTS_KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = (now_ms, decision)


def key_of(
    base: BaseDecision,
    context: Mapping[str, str] | None,
    limit: int | None,
    weights: Mapping[str, float] | None,
    attributes: Mapping[str, float] | None,
) -> Key | None:
    """What makes two requests the same; None where a part is of a type that `rank` would refuse."""
    try:
        key = (
            id(base),
            tuple(context.items()) if context else (),
            limit.__class__,  # True is no limit of 1
            limit,
            None if weights is None else tuple(weights.items()),  # none at all weigh 0; None is the bundle's
            tuple(attributes.items()) if attributes else (),
        )
        hash(key)
    except (TypeError, AttributeError):
        return None
    return key
