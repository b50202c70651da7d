"""The lock of a state folder: one engine owns the folder at a time."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from edge_sdk.errors import StateOwnedError
from edge_sdk.log.atomic_file import state_error


class FolderLock:
    """The ownership of a state folder. The kernel frees the lock when the process dies, however that happens."""

    def __init__(self, folder: Path) -> None:
        """Locks the folder, and creates the folder if there is none.

        Raises:
            StateOwnedError: another engine owns the folder.
            StateUnusableError: the folder cannot be created or written.
        """
        path = folder / "owner.lock"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as problem:
            raise state_error(path, problem) from problem
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as problem:
            owner = os.read(self._file, 64).decode("ascii", "replace") or "another process"
            os.close(self._file)
            raise StateOwnedError(folder, owner) from problem
        try:
            os.ftruncate(self._file, 0)
            os.write(self._file, f"process {os.getpid()}".encode())
        except OSError:
            pass  # the disk is full: the folder is locked all the same, only the name of the owner is missing

    def release(self) -> None:
        """Unlocks the folder."""
        os.close(self._file)
