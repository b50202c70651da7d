"""The states of a client, and the record of a problem that it reports."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from edge_sdk.errors import EdgeError, ErrorCode, InvalidValueError


class ClientState(Enum):
    """The lifecycle state of a client."""

    NOT_READY = "not_ready"  # not started, or the engine is being opened
    READY = "ready"
    STALE = "stale"  # as READY, but the base decision or the bundle is older than `stale_after_s`
    ERROR = "error"  # opening the engine failed; `start` tries again
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem with its error code and its fix, for logs and dashboards. It never names an event's item."""

    code: ErrorCode
    detail: str  # what to fix

    @classmethod
    def of(cls, error: BaseException) -> Problem:
        """Returns the problem of an exception. A foreign exception gets `NOT_READY`: only openers raise those."""
        if isinstance(error, InvalidValueError):  # its message quotes the value, which may be an item's name
            return cls(error.code, "a value that no event can hold; pass str items and finite numbers")
        if isinstance(error, EdgeError):
            return cls(error.code, str(error))
        return cls(ErrorCode.NOT_READY, f"{type(error).__name__}: {error}")

    @classmethod
    def not_ready(cls, detail: str) -> Problem:
        """Returns the problem that no engine is open."""
        return cls(ErrorCode.NOT_READY, detail)
