"""Gives tests that make thousands of files a folder in RAM, where the system has one.

These tests simulate the disk themselves.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

_RAM = Path("/dev/shm")


def ram_folder() -> tempfile.TemporaryDirectory[str]:
    """Returns an empty folder that is removed at the end of the `with`."""
    return tempfile.TemporaryDirectory(dir=_RAM if _RAM.is_dir() else None)
