"""One simulated phone: a real `Engine` on its own state folder, opened for a session and closed after it."""

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
    """Times and counts of the engines of all phones."""

    open_s: list[float] = field(default_factory=list)
    rank_s: list[float] = field(default_factory=list)
    events: int = 0
    errors: Counter[str] = field(default_factory=Counter)


class Phone:
    """A user's phone. The app runs only during sessions: opening the engine anew is part of the simulation."""

    def __init__(self, folder: Path, bundle: Path, public_key: bytes, tally: EngineTally) -> None:
        """Makes a closed phone.

        Args:
            folder: The state folder.
            bundle: The `.edge` file.
            public_key: The key that signed the bundle.
            tally: Where the engine's times and counts are added.
        """
        self.folder = folder
        self._bundle, self._public_key, self._tally = bundle, public_key, tally
        self._now_ms = 0
        self._engine: Engine | None = None
        self._decision: Decision | None = None

    def open(self, now_ms: int) -> None:
        """Opens the engine, as the app does when its user opens it.

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
        """Closes the engine; the recorded events stay in the folder."""
        self._opened.close()
        self._engine = self._decision = None

    def rank(self, base: BaseDecision, context: Mapping[str, str], time_ms: int) -> Decision:
        """Returns the decision for a page. An error code is counted; the decision is used all the same."""
        self._now_ms = time_ms
        engine = self._opened
        start_s = perf_counter()
        decision = engine.rank(base, context=context, limit=PLACES)
        self._tally.rank_s.append(perf_counter() - start_s)
        if decision.error:
            self._tally.errors[decision.error.name] += 1
        self._decision = decision
        return decision

    def shown(self, count: int, time_ms: int) -> None:
        """Tells the engine that the user saw the last decision's first offers, the last of them at `time_ms`."""
        self._counted(time_ms, count)
        self._opened.shown(self._last, count=count)

    def feedback(self, outcome: str, offer: str, value: float, time_ms: int) -> None:
        """Tells the engine the user's answer to an offer of the last decision."""
        self._counted(time_ms, 1)
        self._opened.feedback(self._last, offer, outcome, value=value)

    def record(self, kind: str, item: str, value: float, time_ms: int) -> None:
        """Records any other event."""
        self._counted(time_ms, 1)
        self._opened.record(kind, item=item, value=value)

    def disk_bytes(self) -> int:
        """Returns the size of all files in the state folder."""
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
