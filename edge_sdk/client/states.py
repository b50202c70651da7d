"""How far a client is, and what went wrong."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from edge_sdk.errors import EdgeError, ErrorCode, InvalidValueError


class ClientState(Enum):
    """How far a client is."""

    NOT_READY = "not_ready"  # not started, or opening
    READY = "ready"
    STALE = "stale"  # as ready, but what the cloud gave is old
    ERROR = "error"  # opening failed; `start` tries again
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Problem:
    """What went wrong, for logs and dashboards. It names no item of an event."""

    code: ErrorCode
    detail: str  # what to fix

    @classmethod
    def of(cls, problem: BaseException) -> Problem:
        """An exception; one that is not ours counts as `NOT_READY`: only opening meets it."""
        if isinstance(problem, InvalidValueError):  # its words quote the value, which may be an item's name
            return cls(problem.code, "a value that no event can hold")
        if isinstance(problem, EdgeError):
            return cls(problem.code, str(problem))
        return cls(ErrorCode.NOT_READY, f"{type(problem).__name__}: {problem}")

    @classmethod
    def not_ready(cls, detail: str) -> Problem:
        """No engine is open."""
        return cls(ErrorCode.NOT_READY, detail)
