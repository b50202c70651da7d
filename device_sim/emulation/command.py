"""`device-sim setup` and `device-sim count`."""

from __future__ import annotations

import time
from typing import Annotated

import typer


def setup(
    *, check: Annotated[bool, typer.Option("--check", help="Only tell what is missing; change nothing.")] = False
) -> None:
    """Fetch and build what counting instructions needs: Debian's arm64 Python, arm64 wheels, the counting plugin.

    It all goes to the cache folder (EDGE_SIM_CACHE, else ~/.cache/edge-sdk/device-sim); nothing is installed. What is
    there already is kept, so running it again costs nothing.
    """
    from device_sim.emulation import cache_folder, installation
    from device_sim.emulation.errors import EmulationError

    if check:
        problems = installation.problems()
        for problem in problems:
            typer.echo(problem, err=True)
        if problems:
            raise typer.Exit(1)
        typer.echo(f"ready: {cache_folder.cache_folder()}")
        return
    start_s = time.monotonic()
    try:
        installation.install(lambda step: typer.echo(f"{time.monotonic() - start_s:5.1f} s  {step}"))
    except EmulationError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    typer.echo(f"{time.monotonic() - start_s:5.1f} s  ready: {cache_folder.cache_folder()}")


def count() -> None:
    """Count the instructions of a bundle's record and rank on an arm64 core."""
    raise typer.Exit(2)
