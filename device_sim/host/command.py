"""`device-sim bench`."""

from __future__ import annotations

import typer


def bench() -> None:
    """Time a bundle on this machine."""
    raise typer.Exit(2)
