"""A file that is replaced by another one, so that a crash leaves either whole and nothing of the former behind.

A replacement passes through these states; whatever of them a crash leaves behind, `finish` brings to an end:

| on disk | what it is | what `finish` does |
|---|---|---|
| file, .new | the new file is not whole yet | overwrites and removes .new: nothing has happened |
| .old, .new | the new file is whole and synced | renames .new, then as below |
| file, .old | the new file is in place | overwrites and removes .old |
"""

from __future__ import annotations

import os
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
        _write(file, content)
        os.fsync(file)
    except OSError:
        os.unlink(fresh)
        raise
    finally:
        os.close(file)


def put_in_place(path: Path) -> None:
    """Let .new become the file. What stood there before is .old then, until `finish` overwrites it.

    Raises:
        OSError: the disk refuses; the file is where it was.
    """
    old = path.with_suffix(".old")
    is_replacement = path.exists()
    if is_replacement:
        os.rename(path, old)
    try:
        if is_replacement:
            _sync_folder(path)
        os.rename(path.with_suffix(".new"), path)
    except OSError:
        if is_replacement:
            os.rename(old, path)
        raise
    _sync_folder(path)


def finish(path: Path) -> None:
    """Bring to an end what a crash has left of a replacement.

    Raises:
        OSError: the disk refuses.
    """
    old, new = path.with_suffix(".old"), path.with_suffix(".new")
    if old.exists() and not path.exists():
        os.rename(new if new.exists() else old, path)
        _sync_folder(path)
    _shred(old)
    _shred(new)


def overwrite(file: int) -> None:
    """Write zeros over all of an open file, on disk too.

    Raises:
        OSError: the disk refuses.
    """
    _write(file, bytes(os.fstat(file).st_size))
    os.fsync(file)


def _write(file: int, content: bytes) -> None:
    at = 0
    with memoryview(content) as view:
        while at < len(view):
            at += os.pwrite(file, view[at : at + _WRITE_BYTES], at)


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
    _sync_folder(path)


def _sync_folder(path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
