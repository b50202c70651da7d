"""`device-sim report`."""

from __future__ import annotations

import typer


def report() -> None:
    """One page of pictures."""
    raise typer.Exit(2)
