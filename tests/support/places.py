"""Gives tests the entry of a path, whose folder stays open as long as somebody holds the entry."""

from __future__ import annotations

from pathlib import Path

from edge_sdk.log.directory import Directory, Entry


def entry(path: Path) -> Entry:
    """Returns the entry of a file; its folder is created if absent."""
    return Directory(path.parent).entry(path.name)
