"""`device-sim estimate`."""

from __future__ import annotations

import typer


def estimate() -> None:
    """How long record and rank take on a phone, as an interval with its evidence."""
    raise typer.Exit(2)
