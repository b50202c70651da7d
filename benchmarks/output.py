"""Writes a benchmark's files; a name that cannot be written is refused before anything is measured."""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from cloud_export.atomic_write import write_whole


def parser(description: str | None, *, bundle: bool = False) -> argparse.ArgumentParser:
    """Returns a command line with `--json FILE`, and with `--bundle DIR` if the benchmark takes any bundle.

    Args:
        description: the docstring of the benchmark.
        bundle: whether `--bundle` is an option.
    """
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--json", type=Path, help="write the figures into this file")
    if bundle:
        made.add_argument(
            "--bundle", type=Path, help="folder of scene.edge and scene.pub; default: the demo's, or a small one"
        )
    return made


def positive(text: str) -> int:
    """Returns the number that an option gives.

    Raises:
        ArgumentTypeError: the number is below 1.
    """
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number}: give a number from 1")
    return number


def make_folder(path: Path | None) -> None:
    """Makes the folder of a file that is to be written; None = no file.

    Raises:
        SystemExit: the folder cannot be made, or the file is a folder.
    """
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise SystemExit(f"cannot make {path.parent} ({problem.strerror}): name another file") from None
    if path.is_dir():
        raise SystemExit(f"{path} is a folder: name a file")


def write(path: Path, content: str) -> None:
    """Writes a file as a whole.

    Raises:
        SystemExit: the file cannot be written.
    """
    try:
        write_whole(path, content.encode())
    except OSError as problem:
        raise SystemExit(
            f"{path}: {problem.strerror}; the figures are printed above, the file was not written"
        ) from None


def write_json(path: Path | None, content: Mapping[str, object]) -> None:
    """Writes figures as JSON; None = no file.

    Raises:
        SystemExit: the file cannot be written.
    """
    if path is not None:
        write(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def spread_words(values: Sequence[float], digits: int = 2) -> str:
    """Returns the median with the lowest and the highest value: "     1.50   (1.20 to 1.90)"."""
    low, high = min(values), max(values)
    return f"{statistics.median(values):12,.{digits}f}   ({low:,.{digits}f} to {high:,.{digits}f})"
