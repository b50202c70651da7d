"""`device-sim estimate` and `device-sim validate`."""

from __future__ import annotations

import typer


def estimate() -> None:
    """How long record and rank take on a phone, as an interval with its evidence."""
    raise typer.Exit(2)


def validate() -> None:
    """Score the cycle model on published measurements."""
    raise typer.Exit(2)
