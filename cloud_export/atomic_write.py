"""Writes files atomically: a reader sees the old or the new content, also when the run is stopped."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: Path, content: str | bytes) -> None:
    """Writes a temporary file in the same folder, syncs it and renames it to `path`.

    An existing path that is no regular file (`/dev/stdout`, a pipe) is written in place, so that it is not replaced.

    Raises:
        OSError: The file cannot be written; an old file is unchanged.
    """
    raw = content.encode() if isinstance(content, str) else content
    if path.exists() and not path.is_file() and not path.is_dir():
        path.write_bytes(raw)
        return
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with beside.open("wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
