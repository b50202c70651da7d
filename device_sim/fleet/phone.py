"""One simulated phone: a real `Engine` over its own state folder, opened for a session and closed after it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Final

from edge_sdk import BaseDecision, Decision, Engine

LOG_BYTES: Final = 1 << 16  # 2,046 events: months of such a user; the app's choice, a megabyte by default
PLACES: Final = 24  # of the page


@dataclass(slots=True)
class EngineTally:
    """What all phones' engines did together."""

    open_s: list[float] = field(default_factory=list)
    rank_s: list[float] = field(default_factory=list)
    events: int = 0
    errors: Counter[str] = field(default_factory=Counter)


class Phone:
    """A user's phone. The app runs only during sessions: opening the engine anew is part of the simulation."""

    def __init__(self, folder: Path, bundle: Path, public_key: bytes, tally: EngineTally) -> None:
        """Args: where its state lies, what it runs, and where it is counted."""
        self.folder = folder
        self._bundle, self._public_key, self._tally = bundle, public_key, tally
        self._now_ms = 0
        self._engine: Engine | None = None
        self._decision: Decision | None = None

    def open(self, now_ms: int) -> None:
        """The user opens the app.

        Raises:
            EdgeError: The bundle or the state is not usable.
        """
        self._now_ms = now_ms
        start_s = perf_counter()
        self._engine = Engine.open(
            self.folder,
            bundle=self._bundle,
            trusted_keys=[self._public_key],
            log_bytes=LOG_BYTES,
            clock=lambda: self._now_ms,
            utc_offset_s=_no_offset,
        )
        self._tally.open_s.append(perf_counter() - start_s)

    def close(self) -> None:
        """The app is gone; what it recorded stays in the folder."""
        self._opened.close()
        self._engine = self._decision = None

    def rank(self, base: BaseDecision, context: Mapping[str, str], time_ms: int) -> Decision:
        """A page of offers. An error code is counted; the answer holds all the same."""
        self._now_ms = time_ms
        engine = self._opened
        start_s = perf_counter()
        decision = engine.rank(base, context=context, limit=PLACES)
        self._tally.rank_s.append(perf_counter() - start_s)
        if decision.error:
            self._tally.errors[decision.error.name] += 1
        self._decision = decision
        return decision

    def saw(self, count: int, time_ms: int) -> None:
        """The user scrolled past the first offers of the last decision; `time_ms` is when the last came into view."""
        self._counted(time_ms, count)
        self._opened.shown(self._last, count=count)

    def acted(self, outcome: str, offer: str, value: float, time_ms: int) -> None:
        """The user answered an offer of the last decision."""
        self._counted(time_ms, 1)
        self._opened.feedback(self._last, offer, outcome, value=value)

    def record(self, kind: str, item: str, value: float, time_ms: int) -> None:
        """Anything else happened."""
        self._counted(time_ms, 1)
        self._opened.record(kind, item=item, value=value)

    def disk_bytes(self) -> int:
        """Of all files in the state folder."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())

    def _counted(self, time_ms: int, events: int) -> None:
        self._now_ms = time_ms
        self._tally.events += events

    @property
    def _opened(self) -> Engine:
        if self._engine is None:
            raise RuntimeError("the app is closed; open the phone first")
        return self._engine

    @property
    def _last(self) -> Decision:
        if self._decision is None:
            raise RuntimeError("no decision in this session; rank first")
        return self._decision


NewPhone = Callable[[int], Phone]  # the user's number -> their phone


def _no_offset(_now_ms: int) -> int:
    return 0  # the simulated users live on UTC
