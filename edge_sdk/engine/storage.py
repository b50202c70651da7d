"""Storage of an engine: size and encryption key of its log, and writing it out to the disk."""

from __future__ import annotations

from edge_sdk.engine.access import Access, Serialised, in_turn_while_open
from edge_sdk.errors import StateUnusableError
from edge_sdk.state.folder import StateFolder


class Storage(Serialised):
    """The state folder's files, as `engine.storage`. Thread-safe."""

    def __init__(self, state: StateFolder, access: Access) -> None:
        """Use `engine.storage`."""
        self._state, self._access = state, access
        access.serves(self)

    @in_turn_while_open
    def resize(self, log_bytes: int) -> None:
        """Changes the size of the event log, in bytes. Meanwhile the disk needs room for both files.

        The newest events that fit stay in the log. What the others added to counters and caps stays too. If the process
        is killed at any instruction, the log is the former or the new one, whole.

        Raises:
            InvalidValueError: the size is out of range.
            StateFullError, StateUnusableError: the log is unchanged.
            RuntimeError: the engine is closed.
        """
        self._state.resize(log_bytes)

    @in_turn_while_open
    def rotate_key(self, storage_key: bytes | None) -> None:
        """Encrypts the state folder with another key, or for the first time; None decrypts it.

        When the call returns, nothing under the former key is left on the disk. If the disk refuses to overwrite it,
        `status().disk_failures` counts that, and the next erase, rotation or opening overwrites it. If the process is
        killed meanwhile, one of the two keys opens the folder: try the new one first. Encryption doubles the size of a
        plain log's file, so it keeps its events.

        Raises:
            WrongKeyError: the key is no AES key.
            StateFullError, StateUnusableError: the former key stays in use.
            RuntimeError: the engine is closed.
        """
        self._state.change_key(storage_key)

    def sync(self) -> None:
        """Writes the log out to the disk. When it returns, the events survive a power loss. Other threads may record
        meanwhile.

        Raises:
            StateUnusableError: the disk refuses.
            RuntimeError: the engine is closed.
        """
        if self._access.is_closed:
            self._access.refuse()
        if not self._state.sync():
            raise StateUnusableError(self._state.log.path, "the disk refused to write it out")
