"""The state folder as one engine holds it: open, and locked, since one engine owns a folder at a time."""

from __future__ import annotations

import fcntl
import os
import warnings
from contextlib import suppress
from pathlib import Path

from edge_sdk.errors import StateOwnedError
from edge_sdk.log.atomic_file import write_all
from edge_sdk.log.directory import FILE_MODE, FOLDER_MODE, Directory, as_state_error, restrict
from edge_sdk.log.open_file import OpenFile


class FolderLock:
    """The ownership of a state folder. The kernel frees the lock when the process dies, however that happens.

    The lock belongs to the open file, and ends when the last descriptor of it is closed. A forked child closes its copy
    at once (`log/open_file.py`), so it neither owns the folder nor keeps the folder owned.
    """

    def __init__(self, directory: Directory) -> None:
        """Locks the folder.

        Raises:
            StateOwnedError: another engine owns the folder.
            StateUnusableError: the folder cannot be written, or `owner.lock` is no ordinary file.
        """
        self._entry = directory.entry("owner.lock")
        self._former = b""
        with as_state_error(self._entry.path):
            self._file, self._is_new = self._locked()
            try:
                self._former = os.pread(self._file.number, 64, 0)
                self._name(f"process {os.getpid()}".encode())
            except BaseException:
                self.undo()
                raise

    def restrict(self) -> None:
        """Lets only the user of the file in."""
        restrict(self._file, FILE_MODE)

    def release(self) -> None:
        """Unlocks the folder. A second call does nothing."""
        self._file.close()

    def undo(self) -> None:
        """Unlocks the folder, and leaves the file as it was before."""
        if self._is_new:
            with suppress(OSError):
                self._entry.unlink()  # before it is unlocked: afterwards it may be another engine's
        elif self._former:
            self._name(self._former)
        self.release()

    def _locked(self) -> tuple[OpenFile, bool]:
        """Returns the locked file, and whether it is new."""
        while True:
            file, is_new = self._opened()
            try:
                fcntl.flock(file.number, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self._entry.is_file(file):
                    return file, is_new
            except BlockingIOError as problem:
                try:
                    raise self._owned(os.pread(file.number, 64, 0)) from problem
                finally:
                    file.close()
            except BaseException:
                self._file, self._is_new = file, is_new
                self.undo()
                raise
            file.close()  # an engine whose opening failed removed the file after it was opened here

    def _opened(self) -> tuple[OpenFile, bool]:
        while True:
            with suppress(FileNotFoundError):
                return self._entry.open(), False
            with suppress(FileExistsError):  # another engine made one just now
                return self._entry.create(), True

    def _owned(self, written: bytes) -> StateOwnedError:
        owner = written.decode("ascii", "replace") or "another process"
        folder = self._entry.directory.path
        if owner != f"process {os.getpid()}":
            return StateOwnedError(folder, owner)
        return StateOwnedError(
            folder,
            f"this very {owner}",
            "close the engine that has it open (`with Engine.open(…)` does), or give this one a folder of its own",
        )

    def _name(self, owner: bytes) -> None:
        """Writes who owns the folder. On a full disk the folder is locked all the same; only the name is missing."""
        with suppress(OSError):
            os.ftruncate(self._file.number, 0)
            write_all(self._file, owner, 0)


class HeldFolder:
    """An open and locked state folder.

    Attributes:
        directory: its files are opened in it.
    """

    def __init__(self, path: Path) -> None:
        """Opens and locks the folder, and creates the folder if there is none.

        Raises:
            StateOwnedError: another engine owns the folder.
            StateUnusableError: the folder cannot be created or written. Nothing was left behind.
        """
        self._is_held = True
        self.directory = Directory(path)
        try:
            self._lock = FolderLock(self.directory)
        except BaseException:
            self.directory.undo()
            raise

    def restrict(self) -> None:
        """Lets only the user of the folder in."""
        restrict(self.directory.file, FOLDER_MODE)
        self._lock.restrict()

    def warn(self) -> None:
        """Warns that nobody holds the engine any more, and nobody has closed it."""
        message = f"{self.directory.path}: an engine was not closed; close it, or open it in a `with`"
        warnings.warn(message, ResourceWarning, stacklevel=2)

    def release(self) -> None:
        """Unlocks and closes the folder. A second call does nothing."""
        self._is_held = False
        self._lock.release()
        self.directory.close()

    def undo(self) -> None:
        """Leaves the folder, and whether there is one, as it was before it was opened. A second call does nothing."""
        if not self._is_held:
            return  # the folder may be another engine's by now
        self._is_held = False
        self._lock.undo()
        self.directory.undo()
