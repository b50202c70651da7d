"""Writing files whole: a reader, or a run that is stopped, never sees half of one."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: Path, content: str | bytes) -> None:
    """Write beside the file, sync, and take the file's place at once.

    What is there and no plain file (`/dev/stdout`, a pipe) is written to: whoever may would else replace a device.

    Raises:
        OSError: It cannot be written; an old file is as it was.
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
