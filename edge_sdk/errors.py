"""The errors, one class for each error code. Set-up raises them; ranking returns the code in its decision.

Codes are stable: they are never renumbered, and a retired code is not used again.
"""

from __future__ import annotations

from enum import IntEnum
from pathlib import Path
from typing import Any, ClassVar

from edge_sdk.limits import EXPLAINABLE_DECISIONS, LOG_BYTES_MAX, LOG_BYTES_MIN, UTC_OFFSET_S_MAX


class ErrorCode(IntEnum):
    """The stable number of each error, for logs and dashboards."""

    NONE = 0
    # set-up: bundle
    BUNDLE_UNREADABLE = 100
    BUNDLE_DAMAGED = 101
    BUNDLE_TOO_NEW = 102
    BUNDLE_UNTRUSTED = 103
    BUNDLE_INVALID = 104
    SELF_TEST_FAILED = 105
    # set-up: policy
    POLICY_INVALID = 110
    POLICY_NOT_NEWER = 111
    # set-up: state folder
    STATE_OWNED = 200
    STATE_FULL = 201
    STATE_UNUSABLE = 202
    LOG_VERSION = 203
    WRONG_KEY = 204
    FORKED = 205
    # recording
    UNKNOWN_KIND = 300
    INVALID_VALUE = 301
    UNKNOWN_OUTCOME = 302
    # explaining
    EXPLANATION_GONE = 310
    NOT_LOADED = 311
    # calling
    NESTED_CALL = 320
    # ranking: the answer is the base order
    NO_CANDIDATES = 400
    UNKNOWN_OFFER = 401
    BAD_BASE_LOGITS = 402
    UNKNOWN_CONTEXT = 403
    MODEL_FAILED = 404
    BAD_WEIGHTS = 405
    TOO_MANY_CANDIDATES = 406
    BAD_LIMIT = 407
    UNKNOWN_TREATMENT = 408
    BAD_COSTS = 409
    BAD_ATTRIBUTES = 410
    NOT_READY = 411
    BAD_CATEGORIES = 412
    LOCAL_TIME_FAILED = 413
    CLOCK_FAILED = 414


class EdgeError(Exception):
    """The base class of every error that this package raises for its environment or its input."""

    code: ClassVar[ErrorCode] = ErrorCode.NONE

    def __reduce__(self) -> tuple[Any, ...]:
        """Copies and pickles by message: the arguments of the constructors are not those of an exception."""
        return _restored, (type(self), self.args), self.__dict__ or None


def quoted(given: object) -> str:
    """Returns how an object of an app's type shows itself; its type's name if it cannot."""
    try:
        return repr(given)
    except Exception:  # the type is the app's
        return f"(a {type(given).__name__})"


def _restored(kind: type[EdgeError], args: tuple[object, ...]) -> EdgeError:
    error = kind.__new__(kind, *args)
    error.args = args
    return error


class BundleUnreadableError(EdgeError):
    """The bundle file cannot be opened."""

    code = ErrorCode.BUNDLE_UNREADABLE

    def __init__(self, path: Path | str, problem: OSError) -> None:
        super().__init__(f"{path}: cannot be read ({problem.strerror or problem}); ship the .edge file with the app")


class BundleDamagedError(EdgeError):
    """A bundle or policy file is truncated, altered, or of another type."""

    code = ErrorCode.BUNDLE_DAMAGED

    def __init__(self, path: Path | str, field: str, found: str, *, is_policy: bool = False) -> None:
        command = "cloud-export policy" if is_policy else "cloud-export run"
        super().__init__(f"{path}: {field}: {found}; fetch the file again, or rebuild it with `{command}`")


class BundleTooNewError(EdgeError):
    """The bundle or policy was made for a newer runtime."""

    code = ErrorCode.BUNDLE_TOO_NEW

    def __init__(self, path: Path | str, found: int, newest: int) -> None:
        super().__init__(
            f"{path}: format_version {found}, this runtime reads up to {newest}; "
            "update edge-sdk, or export with the version of `cloud-export` that matches it"
        )


class BundleUntrustedError(EdgeError):
    """The bundle or policy has no signature by a trusted key."""

    code = ErrorCode.BUNDLE_UNTRUSTED

    def __init__(self, path: Path | str, signed_by: tuple[str, ...], *, is_policy: bool = False) -> None:
        signers = ", ".join(signed_by) or "nobody"
        fix = (
            "sign it with a key that the engine trusts (`cloud-export policy --key`)"
            if is_policy
            else "pass the signer's public key (`scene.pub` beside the bundle)"
        )
        super().__init__(
            f"{path}: signed by {signers}, by none of the trusted_keys; {fix}, or allow_unsigned=True while developing"
        )


class BundleInvalidError(EdgeError):
    """The bundle is intact, but its fields contradict each other: the exporter is at fault."""

    code = ErrorCode.BUNDLE_INVALID

    def __init__(self, path: Path | str, field: str, found: str) -> None:
        super().__init__(f"{path}: {field}: {found}; rebuild the bundle with `cloud-export run`")


class SelfTestError(EdgeError):
    """A golden vector of the bundle gives another result on this device."""

    code = ErrorCode.SELF_TEST_FAILED

    def __init__(self, path: Path | str, stage: str, vector: int) -> None:
        super().__init__(
            f"{path}: golden vector {vector} differs in {stage} on this device; "
            "keep the previous bundle and report the onnxruntime version and the CPU"
        )


class PolicyInvalidError(EdgeError):
    """A policy does not fit the installed bundle, or contradicts itself."""

    code = ErrorCode.POLICY_INVALID

    def __init__(self, source: Path | str, field: str, found: str) -> None:
        super().__init__(
            f"{source}: {field}: {found}; "
            "make it with `cloud-export policy` from the scene file of the installed bundle"
        )


class PolicyNotNewerError(EdgeError):
    """The policy's version is not above that of the active policy."""

    code = ErrorCode.POLICY_NOT_NEWER

    def __init__(self, found: int, in_force: int) -> None:
        super().__init__(
            f"policy version {found}, but version {in_force} is active; raise policy.version in scene.toml and run "
            "`cloud-export policy` again (to go back, give the former rules a higher version)"
        )


class StateOwnedError(EdgeError):
    """Another engine, in this or another process, has the state folder open."""

    code = ErrorCode.STATE_OWNED

    def __init__(
        self, folder: Path, owner: str, fix: str = "close that engine, or give this one a folder of its own"
    ) -> None:
        super().__init__(f"{folder}: in use by {owner}; {fix}")


class StateFullError(EdgeError):
    """The disk has no room for the event log, whose full size is reserved."""

    code = ErrorCode.STATE_FULL

    def __init__(self, path: Path, needed_bytes: int) -> None:
        super().__init__(f"{path}: no room for {needed_bytes} bytes; free space, or open with a smaller log_bytes")


class StateUnusableError(EdgeError):
    """The state folder or a file in it cannot be created, read or written."""

    code = ErrorCode.STATE_UNUSABLE

    def __init__(
        self, path: Path, found: str, fix: str = "give the engine a folder that this process may write"
    ) -> None:
        super().__init__(f"{path}: {found}; {fix}")


class LogVersionError(EdgeError):
    """The file is an event log of a later format version, or not an event log. It is left unchanged."""

    code = ErrorCode.LOG_VERSION

    def __init__(self, path: Path, found: str, newest: int) -> None:
        super().__init__(
            f"{path}: {found}, this runtime reads up to version {newest}; update edge-sdk, "
            "or move the file away to start an empty log"
        )


class WrongKeyError(EdgeError):
    """The storage key does not fit the event log: missing, wrong, or not needed. The log is left unchanged."""

    code = ErrorCode.WRONG_KEY

    def __init__(self, path: Path, found: str, fix: str) -> None:
        super().__init__(f"{path}: {found}; {fix}")


class ForkedError(EdgeError, RuntimeError):
    """The engine belongs to the process from which this one was forked. Two processes would write over each other."""

    code = ErrorCode.FORKED

    def __init__(self, owner: int) -> None:
        super().__init__(
            f"the engine belongs to process {owner}, from which this process was forked; open an engine after the "
            "fork, in one of the two processes or with a folder for each"
        )


class UnknownKindError(EdgeError, ValueError):
    """The scene does not declare the kind."""

    code = ErrorCode.UNKNOWN_KIND

    def __init__(self, kind: str, known: tuple[str, ...]) -> None:
        kinds = ", ".join(known) or "the scene's kinds"
        super().__init__(f"kind {kind!r} is not in the scene; use one of {kinds}, or add it to scene.toml")


class InvalidValueError(EdgeError, ValueError):
    """An argument has a value that cannot be used."""

    code = ErrorCode.INVALID_VALUE

    def __init__(self, field: str, value: object) -> None:
        super().__init__(f"{field}={quoted(value)} is not usable; {_FIXES[field]}")


_FIXES = {
    "item": "pass a str, or leave it out for an event about no item",
    "value": "pass a finite number that a float32 holds",
    "decision": "pass a Decision whose error is NONE (to record: its id)",
    "offer": "pass the id of one of the decision's candidates",
    "times_ms": "pass one whole number of milliseconds since 1970 for each event, at most 2^31 events",
    "kinds": "pass one index into kind_names for each event (to erase: a list of kinds)",
    "items": "pass one index into item_names for each event (to erase: a list of names)",
    "values": "pass one finite number that a float32 holds for each event",
    "decisions": "pass one decision id, or 0, for each event",
    "kind_names": "pass a list of the scene's kinds",
    "item_names": "pass a list of names",
    "before": "pass whole milliseconds since 1970",
    "log_bytes": f"pass {LOG_BYTES_MIN} to {LOG_BYTES_MAX} bytes",
    "log_access": "pass 'auto', 'map' or 'calls'",
    "durability": "pass 'process' or 'power'",
    "seed": "pass a whole number, or None",
    "limit": "pass a whole number, or None for all",
    "count": "pass a whole number, or None for all",
    "policy": "pass the bytes of the file that `cloud-export policy` writes",
    "cache_s": "pass seconds, 0 or more; 0 keeps no answers",
    "stale_after_s": "pass seconds, 0 or more, or None",
    "utc_offset_s": "pass a function of a moment (milliseconds since 1970) that returns by how many seconds local time "
    f"is ahead of UTC, within ±{UTC_OFFSET_S_MAX} (of a timedelta: total_seconds()), or None for the system's zone",
    "utc_offsets_s": f"pass one whole number of seconds within ±{UTC_OFFSET_S_MAX} for each event",
    "time_zone": "pass a name of the IANA time zone database, e.g. 'Europe/Berlin'; where the device has no such "
    "database, install the package tzdata, or pass utc_offset_s",
    "clock": "pass a function that returns whole milliseconds since 1970",
    "state": "pass the path of a folder",
    "bundle": "pass the path of a bundle",
    "trusted_keys": "pass a list of public keys, 32 bytes each",
    "allow_unsigned": "pass True or False",
    "language": "pass a language by its BCP 47 name, e.g. 'zh'",
    "hooks": "pass a list of objects of classes that extend Hook",
    "sync_interval_s": "pass seconds, 0 or more; 0 writes out at each event",
}


class UnknownOutcomeError(EdgeError, ValueError):
    """The scene maps no kind to the outcome of `feedback`, or to `shown`."""

    code = ErrorCode.UNKNOWN_OUTCOME

    def __init__(self, outcome: str, known: tuple[str, ...]) -> None:
        super().__init__(
            f"outcome {outcome!r} is not in the scene; use one of {', '.join(known) or '(none declared)'}, "
            "or map it under [events] in scene.toml"
        )


class ExplanationGoneError(EdgeError):
    """The inputs of the decision are no longer stored, so no exact explanation exists."""

    code = ErrorCode.EXPLANATION_GONE

    def __init__(self, decision: int) -> None:
        super().__init__(
            f"decision {decision}: its inputs were erased, over {EXPLAINABLE_DECISIONS} newer decisions are kept, or "
            "another engine made it; "
            "call rank again and explain the new decision"
        )


class NotLoadedError(EdgeError):
    """A module that only explanations and messages need cannot be loaded from its file."""

    code = ErrorCode.NOT_LOADED

    def __init__(self, problem: Exception) -> None:
        found = getattr(problem, "strerror", None) or f"{type(problem).__name__}: {problem}"
        super().__init__(
            f"a module of the SDK cannot be loaded ({found}); "
            "free memory or file descriptors of this process, and call it again"
        )


class NestedCallError(EdgeError, RuntimeError):
    """A call of the engine came from within another call of the same thread, which holds the engine's lock."""

    code = ErrorCode.NESTED_CALL

    def __init__(self) -> None:
        super().__init__(
            "the engine was called from within another of its calls, in the same thread: by a signal handler, a "
            "finalizer, the clock, or an object that was passed in; call it when that call has returned, or record "
            "through a Client, which keeps the event until then"
        )
