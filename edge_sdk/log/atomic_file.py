"""A file that is replaced by another one, so that a crash leaves either whole and nothing of the former behind.

A replacement passes through these states; whatever of them a crash leaves behind, `finish` brings to an end:

| on disk | what it is | what `finish` does |
|---|---|---|
| file, .new | the new file is not whole yet | overwrites and removes .new: nothing has happened |
| .old, .new | the new file is whole, synced, and the file from now on | renames .new, then as below |
| file, .old | the new file is in place | overwrites and removes .old |
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

_WRITE_BYTES: Final = 1 << 24


def create(path: Path, file_bytes: int, content: bytes) -> None:
    """Make a file beside `path` as .new, whole and on disk; nothing else changes.

    Args:
        path: of the file to be replaced, or to be there at all.
        file_bytes: size of the new file; beyond its content it is zeros.
        content: what it begins with.

    Raises:
        OSError: no room, or it cannot be written; nothing is left behind.
    """
    fresh = path.with_suffix(".new")
    file = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        # Reserved now, so that no later write into a map of it can meet a full disk (it would be a SIGBUS).
        os.posix_fallocate(file, 0, file_bytes)
        write_all(file, content, 0)
        os.fsync(file)
    except OSError:
        with suppress(OSError):  # else `finish` removes it
            os.unlink(fresh)
        raise
    finally:
        os.close(file)


def put_in_place(path: Path) -> None:
    """Let .new become the file where there was none, or none worth keeping.

    Raises:
        OSError: the disk refuses.
    """
    os.rename(path.with_suffix(".new"), path)
    sync_folder(path)


def give_way(path: Path) -> None:
    """Let .new become the file in place of another. Whatever happens afterwards, `finish` makes it so.

    Raises:
        OSError: the disk refuses; nothing has happened.
    """
    os.rename(path, path.with_suffix(".old"))


def finish(path: Path) -> None:
    """Bring a replacement to its end; nothing if none is under way.

    Raises:
        OSError: the disk refuses; call it again.
    """
    old, new = path.with_suffix(".old"), path.with_suffix(".new")
    if old.exists() and not path.exists():
        sync_folder(path)
        os.rename(new if new.exists() else old, path)
        sync_folder(path)
    _shred(old)
    _shred(new)


def overwrite(file: int) -> None:
    """Write zeros over all of an open file, on disk too.

    Raises:
        OSError: the disk refuses.
    """
    write_all(file, bytes(os.fstat(file).st_size), 0)
    os.fsync(file)


def write_all(file: int, content: bytes, at: int) -> None:
    """Write all of `content` from byte `at` on.

    Raises:
        OSError: the disk refuses.
    """
    with memoryview(content) as view:
        done = 0
        while done < len(view):
            done += os.pwrite(file, view[done : done + _WRITE_BYTES], at + done)


def sync_folder(path: Path) -> None:
    """Returns when the disk has the names in this file's folder.

    Raises:
        OSError: the disk refuses.
    """
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _shred(path: Path) -> None:
    """Overwrite a file with zeros, on disk too, and remove it; nothing if there is none."""
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
