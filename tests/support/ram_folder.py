"""A folder in RAM, where there is a file system for it: for tests that make thousands of files.

What a disk does to files is played by the tests themselves.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

_RAM = Path("/dev/shm")


def ram_folder() -> tempfile.TemporaryDirectory[str]:
    """An empty folder; it goes with the `with`."""
    return tempfile.TemporaryDirectory(dir=_RAM if _RAM.is_dir() else None)
