"""The state folder, held open by a descriptor, and its entries: files that are found by name in that folder alone.

A path is looked up once, when the folder is opened. Whatever becomes of the path afterwards (another current directory,
a folder that is moved away and another in its place), every file is opened, renamed and removed in the folder that was
opened.

An entry is opened only if it is an ordinary file with one name. A link would lead to a file outside of the folder,
which would then be emptied or overwritten; so would a second name (a hard link), since the files of a state folder are
changed in place. A FIFO or a device would block, or take what is written elsewhere.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from edge_sdk.errors import StateUnusableError
from edge_sdk.log.open_file import OpenFile

FILE_MODE: Final = 0o600
FOLDER_MODE: Final = 0o700
# O_NONBLOCK: opening a FIFO would wait for somebody at its other end. It changes nothing for an ordinary file.
_OPEN: Final = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_ODD: Final = (errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.ENODEV)  # a link, a folder, a socket, no such device
_NOT_ORDINARY: Final = "no ordinary file but a link, a folder, a FIFO, a socket or a device"


class Directory:
    """An open folder.

    Attributes:
        path: absolute, for messages.
    """

    def __init__(self, path: Path) -> None:
        """Opens the folder, and creates the folder if there is none.

        Raises:
            StateUnusableError: the folder cannot be created or opened, or is no folder.
        """
        self._made: list[Path] = []
        self.path = path
        try:
            with as_state_error(path):
                self.path = Path(os.path.abspath(path))
                self._make()
                self.file = OpenFile(os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY))
        except BaseException:
            self._unmake()
            raise

    def entry(self, name: str) -> Entry:
        """Returns the entry of this name, whether there is such a file or not."""
        return Entry(self, name)

    def sync(self) -> None:
        """Returns when the names in the folder are on disk.

        Raises:
            OSError: the disk refuses.
        """
        os.fsync(self.file.number)

    def close(self) -> None:
        """Closes the folder. A second call does nothing."""
        self.file.close()

    def undo(self) -> None:
        """Removes the folders that were created, as far as they are empty, and closes the folder."""
        self._unmake()
        self.close()

    def _make(self) -> None:
        level, missing = self.path, list[Path]()
        while not level.exists():
            missing.append(level)
            level = level.parent
        for level in reversed(missing):
            with suppress(FileExistsError):  # another process was faster
                level.mkdir(FOLDER_MODE if level == self.path else 0o777)
                self._made.append(level)

    def _unmake(self) -> None:
        for level in reversed(self._made):
            with suppress(OSError):
                level.rmdir()
        self._made = []


class Entry:
    """A name in an open folder."""

    __slots__ = ("directory", "name")

    def __init__(self, directory: Directory, name: str) -> None:
        """Use `Directory.entry`."""
        self.directory, self.name = directory, name

    @property
    def path(self) -> Path:
        """Where the file was when the folder was opened, for messages."""
        return self.directory.path / self.name

    def with_suffix(self, suffix: str) -> Entry:
        """Returns the entry beside this one with another suffix, such as ".new"."""
        return Entry(self.directory, Path(self.name).with_suffix(suffix).name)

    def exists(self) -> bool:
        """Returns whether there is anything of this name.

        Raises:
            OSError: the disk refuses.
        """
        try:
            os.stat(self.name, dir_fd=self.directory.file.number, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def open(self) -> OpenFile:
        """Opens the file for reading and writing; waits for nobody and changes nothing.

        Raises:
            StateUnusableError: it is no ordinary file, or has another name.
            OSError: there is no such file (FileNotFoundError), or the disk refuses.
        """
        return self._opened(_OPEN)

    def create(self) -> OpenFile:
        """Creates an empty file, which only its user may read and write.

        Raises:
            OSError: there is one already (FileExistsError), or the disk refuses.
        """
        return self._opened(_OPEN | os.O_CREAT | os.O_EXCL)

    def read(self, bytes_max: int) -> bytes:
        """Returns the whole file.

        Raises:
            StateUnusableError: it is no ordinary file, has another name, or is larger than `bytes_max`.
            OSError: there is no such file (FileNotFoundError), or the disk refuses.
        """
        file = self._opened(_OPEN & ~os.O_RDWR | os.O_RDONLY)
        try:
            size = os.fstat(file.number).st_size
            if size > bytes_max:
                raise StateUnusableError(self.path, f"it has {size} bytes, at most {bytes_max} are read")
            return os.pread(file.number, size, 0)
        finally:
            file.close()

    def is_file(self, file: OpenFile) -> bool:
        """Returns whether this name still belongs to an open file.

        Raises:
            OSError: the disk refuses.
        """
        try:
            named = os.stat(self.name, dir_fd=self.directory.file.number, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return os.path.samestat(named, os.fstat(file.number))

    def rename(self, target: Entry) -> None:
        """Gives the file another name in the same folder.

        Raises:
            OSError: the disk refuses.
        """
        folder = self.directory.file.number
        os.rename(self.name, target.name, src_dir_fd=folder, dst_dir_fd=folder)

    def unlink(self) -> None:
        """Removes the file.

        Raises:
            OSError: there is none, or the disk refuses.
        """
        os.unlink(self.name, dir_fd=self.directory.file.number)

    def _opened(self, flags: int) -> OpenFile:
        try:
            file = OpenFile(os.open(self.name, flags, FILE_MODE, dir_fd=self.directory.file.number))
        except OSError as problem:
            if problem.errno in _ODD:
                raise _odd(self.path, _NOT_ORDINARY) from problem
            raise
        try:
            status = os.fstat(file.number)
            if not stat.S_ISREG(status.st_mode):
                raise _odd(self.path, _NOT_ORDINARY)
            if status.st_nlink != 1:
                raise _odd(self.path, "a file with another name (a hard link), and would be changed under both")
        except BaseException:
            file.close()
            if flags & os.O_CREAT:
                with suppress(OSError):
                    self.unlink()
            raise
        return file


def restrict(file: OpenFile, mode: int) -> None:
    """Lets only the user of a file or folder in, where others may (after a restore, or by an earlier version).

    Where the file system has no such modes, or the file belongs to somebody else, the file stays as it is: who may use
    the folder is then up to those who set it up.
    """
    with suppress(OSError):
        if stat.S_IMODE(os.fstat(file.number).st_mode) != mode:
            os.fchmod(file.number, mode)


@contextmanager
def as_state_error(path: Path) -> Iterator[None]:
    """Turns an OSError into a `StateUnusableError` that names `path`."""
    try:
        yield
    except OSError as problem:
        raise state_error(path, problem) from problem


def state_error(path: Path, problem: OSError) -> StateUnusableError:
    """Returns the error for a file that the disk refuses to read or write."""
    return StateUnusableError(path, problem.strerror or str(problem))


def _odd(path: Path, found: str) -> StateUnusableError:
    return StateUnusableError(path, f"it is {found}", "put the file itself there, or move this one away")
