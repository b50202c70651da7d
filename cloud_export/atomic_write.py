"""Writes files atomically: a reader sees the old or the new content, also when the run is stopped."""

from __future__ import annotations

import errno
import os
from pathlib import Path


def write_whole(path: Path, content: str | bytes) -> None:
    """Writes a temporary file in the same folder, syncs it and renames it to `path`.

    An existing path that is no regular file (`/dev/stdout`, a pipe) is written in place, so that it is not replaced.

    Raises:
        OSError: The file cannot be written; an old file is unchanged. The error names `path`.
    """
    if not path.name or path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raw = content.encode() if isinstance(content, str) else content
    if path.exists() and not path.is_file():
        path.write_bytes(raw)
        return
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError as problem:
        raise type(problem)(problem.errno, problem.strerror, str(path)) from problem
    finally:
        beside.unlink(missing_ok=True)
