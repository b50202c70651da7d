"""Writing files whole: a reader, or a run that is stopped, never leaves half of one."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write a text beside the file and put it in the file's place at once.

    Raises:
        OSError: The folder is not there or not writable; the old file is as it was.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    beside = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.chmod(0o644)  # mkstemp's 0600 would keep a report from whoever reads it
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
