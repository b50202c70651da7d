"""Who owns a state folder: one engine at a time."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from edge_sdk.errors import StateOwnedError, StateUnusableError


class FolderLock:
    """Holds a state folder for one engine. The kernel frees it when its process dies, however that happens."""

    def __init__(self, folder: Path) -> None:
        """Take the folder, making it if need be.

        Raises:
            StateOwnedError: another engine has it.
            StateUnusableError: it cannot be made or written.
        """
        path = folder / "owner.lock"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as problem:
            raise StateUnusableError(path, problem.strerror or str(problem)) from problem
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
            pass  # a full disk: the lock holds all the same, only the owner's name is missing

    def release(self) -> None:
        """Let the folder go."""
        os.close(self._file)
