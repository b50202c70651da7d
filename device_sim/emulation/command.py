"""`device-sim setup` and `device-sim count`."""

from __future__ import annotations

import typer


def setup() -> None:
    """Fetch and build what counting instructions needs."""
    raise typer.Exit(2)


def count() -> None:
    """Count the instructions of a bundle's record and rank on an arm64 core."""
    raise typer.Exit(2)
