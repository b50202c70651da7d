"""Storage of an engine: the size of its log, its key, and when the disk has it."""

from __future__ import annotations

from edge_sdk.engine.access import Access
from edge_sdk.errors import StateUnusableError
from edge_sdk.state.folder import StateFolder


class Storage:
    """The state folder's files, as `engine.storage`. Thread-safe."""

    def __init__(self, state: StateFolder, access: Access) -> None:
        """Use `engine.storage`."""
        self._state, self._access = state, access

    def resize(self, log_bytes: int) -> None:
        """Gives the event log another size, in bytes. The disk needs room for both files meanwhile.

        The newest events that fit stay in the log; what the others added to counters and caps stays too. Killed at any
        instruction, the log is the old one or the new one, whole.

        Raises:
            InvalidValueError: the size is out of range.
            StateFullError, StateUnusableError: the log is as it was.
            RuntimeError: the engine is closed.
        """
        with self._access:
            self._state.resize(log_bytes)

    def rotate_key(self, storage_key: bytes | None) -> None:
        """Encrypts the state folder with another key, or for the first time, or (None) no longer.

        Returns when the disk holds nothing under the former key. Where the disk refused to overwrite that, which
        `status().disk_failures` counts, the next erase, rotation or opening does. Killed in between, one of both keys
        opens the folder: try the new one first. A plain log's file doubles when it is encrypted: it keeps its events.

        Raises:
            WrongKeyError: the key is no AES key.
            StateFullError, StateUnusableError: the former key stays in use.
            RuntimeError: the engine is closed.
        """
        with self._access:
            self._state.change_key(storage_key)

    def sync(self) -> None:
        """Writes the log out to the disk; returns when power may be lost. Other threads record meanwhile.

        Raises:
            StateUnusableError: the disk refuses.
            RuntimeError: the engine is closed.
        """
        if self._access.is_closed:
            self._access.refuse()
        if not self._state.sync():
            raise StateUnusableError(self._state.log.path, "the disk refused to write it out")
