"""Opening of an engine: checks the options, reads and tests the bundle, opens the state folder."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from edge_sdk.bundle.bundle import Bundle
from edge_sdk.bundle.container import open_container
from edge_sdk.bundle.reader import read_bundle
from edge_sdk.bundle.selftest import tested_session
from edge_sdk.clock import Clock, UtcOffset
from edge_sdk.engine.local_time import LocalClock, SystemZone, utc_offset_of
from edge_sdk.errors import InvalidValueError
from edge_sdk.log.event_input import as_name, within_range
from edge_sdk.log.file_access import LOG_ACCESSES, LogAccess
from edge_sdk.log.header import capacity_of
from edge_sdk.model.session import ModelSession
from edge_sdk.state.durability import DURABILITIES, Durability
from edge_sdk.state.folder import StateFolder
from edge_sdk.state.lock import HeldFolder
from edge_sdk.state.policy_file import PolicyStore, Trust
from edge_sdk.types import Record


class Options(Record):
    """The options of an engine; `Engine.open` explains each field. Built by keyword."""

    log_bytes: int
    durability: Durability
    sync_interval_s: float
    storage_key: bytes | None
    clock: Clock
    utc_offset_s: UtcOffset | None
    seed: int | None
    log_access: LogAccess = "auto"

    def check(self) -> int:
        """Returns the clock's time in ms; raises before anything is opened.

        Raises:
            InvalidValueError: an option is out of range, or the clock or `utc_offset_s` does not work.
        """
        if as_name("durability", self.durability) not in DURABILITIES:
            raise InvalidValueError("durability", self.durability)
        if as_name("log_access", self.log_access) not in LOG_ACCESSES:
            raise InvalidValueError("log_access", self.log_access)
        capacity_of(self.log_bytes)
        now_ms = self._now()  # a clock that does not work is found here, not at the first decision
        if self.utc_offset_s is not None:
            LocalClock(self.utc_offset_s).check(now_ms)
        if self.seed is not None and (not isinstance(self.seed, int) or isinstance(self.seed, bool)):
            raise InvalidValueError("seed", self.seed)
        return now_ms

    def local_clock(self, time_zone: str) -> LocalClock:
        """Returns local time by the app's function, else by the policy's zone, else by the system's.

        Raises:
            InvalidValueError: the device does not know the zone.
        """
        return LocalClock(self.utc_offset_s or (utc_offset_of(time_zone) if time_zone else SystemZone()))

    def _now(self) -> int:
        try:
            return within_range(self.clock())
        except Exception as problem:
            raise InvalidValueError("clock", problem) from problem


class Parts(Record):
    """The parts of an engine. Built by keyword."""

    state: StateFolder
    bundle: Bundle  # with the policy in force
    session: ModelSession
    policies: PolicyStore
    options: Options
    local: LocalClock
    opened_ms: int  # the clock's time
    policy_error: str  # why an installed policy is not in force; "" = nothing is wrong


def open_parts(
    state: Path, bundle: Path, options: Options, *, trusted_keys: Sequence[bytes], allow_unsigned: bool
) -> Parts:
    """Opens a bundle and a state folder.

    Raises:
        EdgeError: a subclass that names the file, the field and the fix.
        TypeError: `trusted_keys` is one key instead of a list of keys.
    """
    keys = _checked_keys(trusted_keys)
    if not isinstance(allow_unsigned, bool):  # "no" would be true
        raise InvalidValueError("allow_unsigned", allow_unsigned)
    now_ms = options.check()
    content = read_bundle(bundle, open_container(bundle, trusted_keys=keys, allow_unsigned=allow_unsigned))
    session = tested_session(content)
    held = HeldFolder(state)  # only now: what can be refused without the folder has been
    try:
        policies = PolicyStore(held.directory, Trust(keys, allow_unsigned))
        content, policy_error = policies.in_force(content)
        local = options.local_clock(content.policy.time_zone)
        local.check(now_ms)
        folder = StateFolder(
            held,
            content.layout,
            options.log_bytes,
            now_ms=now_ms,
            storage_key=options.storage_key,
            sync_interval_s=options.sync_interval_s if options.durability == "power" else None,
            log_access=options.log_access,
        )
    except BaseException:
        held.undo()
        raise
    policies.restrict()
    return Parts(
        state=folder,
        bundle=content,
        session=session,
        policies=policies,
        options=options,
        local=local,
        opened_ms=now_ms,
        policy_error=policy_error,
    )


def path_of(field: str, given: Path | str) -> Path:
    """Returns a path.

    Raises:
        InvalidValueError: it is none, or no file system can hold its name.
    """
    try:
        path = Path(given)
        if b"\0" not in os.fsencode(path):
            return path
    except (TypeError, UnicodeEncodeError):
        pass
    raise InvalidValueError(field, given)


def _checked_keys(given: Sequence[bytes]) -> tuple[bytes, ...]:
    if isinstance(given, bytes | str):
        raise TypeError("trusted_keys is one key; pass a list: trusted_keys=[key]")
    try:
        keys = tuple(given)
    except TypeError:
        raise InvalidValueError("trusted_keys", type(given).__name__) from None
    for key in keys:
        if not isinstance(key, bytes | bytearray):
            raise InvalidValueError("trusted_keys", type(key).__name__)
    return tuple(map(bytes, keys))
