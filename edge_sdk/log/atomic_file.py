"""Replaces a file as a whole: after a crash either the former or the new file is there, and `recover` removes the rest.

A replacement passes through these states. `settle` and then `clean` complete whatever a crash leaves:

| on disk | meaning | what `settle` does | what `clean` does |
|---|---|---|---|
| file, .new | the new file is not complete | nothing | overwrites and removes .new |
| .old, .new | the new file is complete, synced, and the file from now on | renames .new | overwrites and removes .old |
| file, .old | the new file is in place | nothing | overwrites and removes .old |
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

from edge_sdk.log.directory import Entry
from edge_sdk.log.open_file import OpenFile

PART_BYTES: Final = 1 << 20  # written at once
_NOT_SUPPORTED: Final = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)


def stage(entry: Entry, file_bytes: int, content: Iterable[bytes | memoryview]) -> None:
    """Writes a new file beside this one as .new, complete and synced. The file itself is unchanged.

    Args:
        entry: the file to be replaced or created. There is no .new: `clean` has removed it.
        file_bytes: size of the new file. Bytes after the content are zeros.
        content: the first bytes of the new file, in parts.

    Raises:
        OSError: the disk has no room or refuses; nothing is left behind.
    """
    staged = entry.with_suffix(".new")
    file = staged.create()
    try:
        # Reserved now, so that no later write into a map of the file can meet a full disk (a SIGBUS).
        reserve(file, file_bytes)
        at = 0
        for part in content:
            write_all(file, part, at)
            at += len(part)
        os.fsync(file.number)
    except BaseException:
        with suppress(OSError):  # `clean` removes the file otherwise
            staged.unlink()
        raise
    finally:
        file.close()


def install(entry: Entry) -> None:
    """Renames .new to the file, where there is no file or none worth keeping.

    Raises:
        OSError: the disk refuses.
    """
    entry.with_suffix(".new").rename(entry)
    entry.directory.sync()


def swap(entry: Entry) -> None:
    """Renames the file to .old. From here on the replacement is decided, and `settle` completes it.

    Raises:
        OSError: the disk refuses; nothing has happened.
    """
    entry.rename(entry.with_suffix(".old"))


def settle(entry: Entry, is_sound: Callable[[Entry], bool] = Entry.exists) -> None:
    """Gives the file its name, if a replacement is under way. Removes nothing: `clean` does, once the file is known to
    be readable.

    Args:
        entry: the file.
        is_sound: tells whether a file can be used. A new one that cannot gives way to the former one if that one can.

    Raises:
        OSError: the disk refuses; the call may be repeated.
    """
    old, new = entry.with_suffix(".old"), entry.with_suffix(".new")
    if entry.exists() or not old.exists():
        return
    entry.directory.sync()
    is_new = new.exists() and (is_sound(new) or not is_sound(old))
    (new if is_new else old).rename(entry)
    entry.directory.sync()


def clean(entry: Entry) -> None:
    """Overwrites and removes what a replacement left beside a file; only after `settle`, which may need the new file.

    Raises:
        OSError: the disk refuses; the call may be repeated.
    """
    _shred(entry.with_suffix(".old"))
    _shred(entry.with_suffix(".new"))


def recover(entry: Entry) -> None:
    """Completes a replacement that is under way; does nothing if none is.

    Raises:
        OSError: the disk refuses; the call may be repeated.
    """
    settle(entry)
    clean(entry)


def reserve(file: OpenFile, file_bytes: int) -> bool:
    """Reserves all blocks of a file of this size, also those of holes; lengthens a shorter file with zeros.

    Returns:
        Whether the file system can reserve. If not, the file has its size all the same, and a later write may fail.

    Raises:
        OSError: the disk has no room, or refuses.
    """
    try:
        os.posix_fallocate(file.number, 0, file_bytes)
    except OSError as problem:
        if problem.errno not in _NOT_SUPPORTED:
            raise
        if os.fstat(file.number).st_size < file_bytes:
            os.ftruncate(file.number, file_bytes)
        return False
    return True


def overwrite(file: OpenFile) -> None:
    """Writes zeros over all of an open file, and syncs.

    Raises:
        OSError: the disk refuses.
    """
    size = os.fstat(file.number).st_size
    zeros = bytes(min(size, PART_BYTES))
    for at in range(0, size, PART_BYTES):
        write_all(file, zeros[: size - at], at)
    os.fsync(file.number)


def write_all(file: OpenFile, content: bytes | bytearray | memoryview, at: int) -> None:
    """Writes all of `content`, beginning at byte `at` of the file.

    Raises:
        OSError: the disk refuses.
    """
    with memoryview(content) as view:
        done = 0
        while done < len(view):
            done += os.pwrite(file.number, view[done:], at + done)


def _shred(entry: Entry) -> None:
    """Overwrites a file with zeros, syncs, and removes the file; does nothing if there is none."""
    if not entry.exists():  # asked for first: opening takes a descriptor, and there may be none left
        return
    file = entry.open()
    try:
        overwrite(file)
    finally:
        file.close()
    entry.unlink()
    entry.directory.sync()
