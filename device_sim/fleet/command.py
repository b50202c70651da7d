"""`device-sim fleet`."""

from __future__ import annotations

import typer


def fleet() -> None:
    """Many simulated phones in closed loop."""
    raise typer.Exit(2)
