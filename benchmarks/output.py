"""Where a benchmark's files go: refused before anything is measured, or in one line."""

from __future__ import annotations

from pathlib import Path

from cloud_export.atomic_write import write_whole


def make_folder(path: Path) -> None:
    """Make the folder of a file that is to be written: before the work, so that a wrong name costs no minutes.

    Raises:
        SystemExit: it cannot be made, or the file is a folder.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise SystemExit(f"cannot make {path.parent} ({problem.strerror}): name another file") from None
    if path.is_dir():
        raise SystemExit(f"{path} is a folder: name a file")


def write(path: Path, content: str) -> None:
    """Write a file as a whole.

    Raises:
        SystemExit: it cannot be written.
    """
    try:
        write_whole(path, content.encode())
    except OSError as problem:
        raise SystemExit(f"{path}: {problem.strerror}; the figures stand above, the file was not written") from None
