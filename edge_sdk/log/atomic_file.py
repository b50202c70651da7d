"""Replaces a file as a whole: after a crash either the former or the new file is there, and `recover` removes the rest.

A replacement passes through these states. `recover` completes whatever a crash leaves:

| on disk | meaning | what `recover` does |
|---|---|---|
| file, .new | the new file is not complete | overwrites and removes .new: nothing has happened |
| .old, .new | the new file is complete, synced, and the file from now on | renames .new, then as below |
| file, .old | the new file is in place | overwrites and removes .old |
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from edge_sdk.errors import StateUnusableError

_WRITE_BYTES: Final = 1 << 24


def stage(path: Path, file_bytes: int, content: bytes) -> None:
    """Writes a new file beside `path` as .new, complete and synced. The file itself is unchanged.

    Args:
        path: of the file to be replaced or created.
        file_bytes: size of the new file. Bytes after the content are zeros.
        content: the first bytes of the new file.

    Raises:
        OSError: the disk has no room or refuses; nothing is left behind.
    """
    staged = path.with_suffix(".new")
    file = os.open(staged, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        # Reserved now, so that no later write into a map of the file can meet a full disk (a SIGBUS).
        os.posix_fallocate(file, 0, file_bytes)
        write_all(file, content, 0)
        os.fsync(file)
    except OSError:
        with suppress(OSError):  # `recover` removes the file otherwise
            os.unlink(staged)
        raise
    finally:
        os.close(file)


def install(path: Path) -> None:
    """Renames .new to the file, where there is no file or none worth keeping.

    Raises:
        OSError: the disk refuses.
    """
    os.rename(path.with_suffix(".new"), path)
    sync_folder(path)


def swap(path: Path) -> None:
    """Renames the file to .old. From here on the replacement is decided, and `recover` completes it.

    Raises:
        OSError: the disk refuses; nothing has happened.
    """
    os.rename(path, path.with_suffix(".old"))


def recover(path: Path) -> None:
    """Completes a replacement that is under way; does nothing if none is.

    Raises:
        OSError: the disk refuses; the call may be repeated.
    """
    old, new = path.with_suffix(".old"), path.with_suffix(".new")
    if old.exists() and not path.exists():
        sync_folder(path)
        os.rename(new if new.exists() else old, path)
        sync_folder(path)
    _shred(old)
    _shred(new)


def overwrite(file: int) -> None:
    """Writes zeros over all of an open file, and syncs.

    Raises:
        OSError: the disk refuses.
    """
    write_all(file, bytes(os.fstat(file).st_size), 0)
    os.fsync(file)


def write_all(file: int, content: bytes, at: int) -> None:
    """Writes all of `content`, beginning at byte `at` of the file.

    Raises:
        OSError: the disk refuses.
    """
    with memoryview(content) as view:
        done = 0
        while done < len(view):
            done += os.pwrite(file, view[done : done + _WRITE_BYTES], at + done)


def sync_folder(path: Path) -> None:
    """Returns when the names in the folder of this file are on disk.

    Raises:
        OSError: the disk refuses.
    """
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


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


def _shred(path: Path) -> None:
    """Overwrites a file with zeros, syncs, and removes the file; does nothing if there is none."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        overwrite(file)
    finally:
        os.close(file)
    os.unlink(path)
    sync_folder(path)
