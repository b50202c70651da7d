"""The diagnostics of a client for a bug report: versions, counts and latencies, nothing about the user."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Union

import numpy as np

from edge_sdk.engine.status import Status

JSON = Union[dict[str, "JSON"], list["JSON"], str, int, float, bool, None]  # noqa: UP007  the type is recursive


@dataclass(frozen=True, slots=True)
class Versions:
    """The versions of the runtime and of what it runs on."""

    sdk: str
    python: str
    numpy: str
    onnxruntime: str
    machine: str  # e.g. aarch64
    os: str  # e.g. linux 6.1.0

    @classmethod
    def here(cls) -> Versions:
        """Returns the versions of this process."""
        from edge_sdk import __version__

        # Imported here: an open engine has loaded it already, and without one its import may be the problem.
        from edge_sdk.model.onnx_runtime import onnxruntime

        return cls(
            sdk=__version__,
            python=platform.python_version(),
            numpy=np.__version__,
            onnxruntime=onnxruntime.__version__,
            machine=platform.machine(),
            os=f"{sys.platform} {platform.release()}",
        )


@dataclass(frozen=True, slots=True)
class ClientCounts:
    """The counts that a client adds to its engine's status."""

    state: str
    open_error: str | None  # the code's name
    errors: Mapping[str, int]  # by the code's name
    cache_hits: int
    hook_failures: int
    pending_events: int
    lost_events: int
    rank_ns: Sequence[int]  # latencies of the latest decisions


def diagnostics(status: Status | None, versions: Versions, counts: ClientCounts | None = None) -> dict[str, JSON]:
    """Returns the diagnostics as a dict for `json.dumps`.

    Args:
        status: the engine's status; None = no engine is open.
        versions: of this process.
        counts: the client's counts; None = there is no client.
    """
    found: dict[str, JSON] = {"versions": {name: getattr(versions, name) for name in Versions.__slots__}}
    if status is not None:
        found["engine"] = _engine(status)
    if counts is not None:
        found["client"] = {
            "state": counts.state,
            "open_error": counts.open_error,
            "errors": dict(counts.errors),
            "cache_hits": counts.cache_hits,
            "hook_failures": counts.hook_failures,
            "pending_events": counts.pending_events,
            "lost_events": counts.lost_events,
            "rank_us": _quantiles(counts.rank_ns),
        }
    return found


def _engine(status: Status) -> dict[str, JSON]:
    """Returns the engine's part. Fields are listed one by one, so that no new `Status` field is here by accident."""
    return {
        "scene": status.scene,
        "model_version": status.model_version,
        "policy_version": status.policy_version,
        "policy_refused": bool(status.policy_error),  # without the message: it may name offers
        "events": status.events,
        "capacity": status.capacity,
        "log_bytes": status.log_bytes,
        "encrypted": status.encrypted,
        "durability": status.durability,
        "disk_failures": status.disk_failures,
        "damaged": status.damaged,
        "unknown_items": status.unknown_items,
        "decisions": status.decisions,
        "errors": dict(status.errors_by_code),
    }


def _quantiles(taken_ns: Sequence[int]) -> dict[str, JSON]:
    """Returns count, median and 95th percentile in microseconds; None without latencies."""
    if not taken_ns:
        return {"count": 0, "median": None, "p95": None}
    median, p95 = np.percentile(np.array(taken_ns, np.float64) / 1000.0, [50, 95])
    return {"count": len(taken_ns), "median": round(float(median), 1), "p95": round(float(p95), 1)}
