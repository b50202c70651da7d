"""What an engine knows of the time: the clock's last reading, local time, and what is wrong with either."""

from __future__ import annotations

from edge_sdk.clock import NEVER_MS
from edge_sdk.decision.request import RequestError
from edge_sdk.engine.local_time import LocalClock
from edge_sdk.errors import ErrorCode
from edge_sdk.log.event_input import within_range


class TimeKeeper:
    """Keeps the time of the app's clock and local time; neither may stop an engine. Not thread-safe: calls take turns.

    Attributes:
        local: local time.
        problem: why the clock's last reading was no time; "" = it was one.
    """

    def __init__(self, local: LocalClock, opened_ms: int) -> None:
        """Starts at the clock's reading when the engine was opened."""
        self.local, self._last_ms = local, opened_ms
        self._newest_ms = NEVER_MS
        self.problem = ""

    def settled(self, found: object) -> int:
        """Returns a reading of the clock within the log's range; the last time if it is none, and `problem` says why.

        Args:
            found: what the clock returned, or raised.
        """
        try:
            now_ms = within_range(found)  # type: ignore[arg-type]  # what is no number raises
            self.problem = ""
        except Exception as problem:
            cause = found if isinstance(found, Exception) else problem
            now_ms, self.problem = self._last_ms, f"clock: {type(cause).__name__}: {cause}"
        self._last_ms = now_ms
        return now_ms

    def was_set_back(self, now_ms: int) -> bool:
        """Returns whether something may be stamped ahead of now: the clock was set back, or `forget` was called."""
        is_back, self._newest_ms = now_ms < self._newest_ms, now_ms
        return is_back

    def forget(self) -> None:
        """Lets the next `was_set_back` be true: events with times of their own came, or memory was made anew."""
        self._newest_ms = NEVER_MS

    def request_problem(self, *, reads_local_time: bool) -> RequestError | None:
        """Returns why a decision does not know its time; None = it does."""
        if self.problem:
            return RequestError(ErrorCode.CLOCK_FAILED, f"{self.problem}; decided as of the clock's last time")
        if reads_local_time and self.local.problem:
            detail = f"{self.local.problem}; decided with the last UTC offset"
            return RequestError(ErrorCode.LOCAL_TIME_FAILED, detail)
        return None
