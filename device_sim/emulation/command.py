"""The commands `device-sim setup` and `device-sim count`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer


def setup(
    *, check: Annotated[bool, typer.Option("--check", help="Only tell what is missing; change nothing.")] = False
) -> None:
    """Fetch and build what counting instructions needs: Debian's arm64 Python, arm64 wheels, the counting plugin.

    Everything goes to the cache folder (EDGE_SIM_CACHE, else ~/.cache/edge-sdk/device-sim); nothing is installed. Parts
    that exist are kept, so running the command again costs nothing.
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


def count(
    *,
    bundle: Annotated[Path, typer.Argument(help="A .edge file.")],
    core: Annotated[list[str], typer.Option(help="Such as cortex-a55; may be given several times.")],
    more: Annotated[
        list[str] | None, typer.Argument(metavar="[CORE]...", help="Further cores: --core cortex-a55 cortex-a76.")
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(help="Public key that must have signed it: scene.pub. Absent = unsigned is allowed."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="JSON file to write; for several cores a folder. Absent = SCENE.CORE.json here.")
    ] = None,
    repetitions: Annotated[int, typer.Option(min=8, max=500, help="N of the 2N - N difference.")] = 64,
    caches: Annotated[bool, typer.Option(help="Simulate caches: several times slower.")] = True,
    golden: Annotated[
        Path | None, typer.Option(help="Folder of golden decisions (docs/golden.md); default: the checkout's.")
    ] = None,
) -> None:
    """Count the instructions of a bundle's record and rank on an arm64 core, and compare its decisions there and here.

    Exit code 1 when the decisions differ or counting failed; 2 when the call is wrong.
    """
    from device_sim.emulation.count_command import CountRequest, run_count

    cores = tuple(dict.fromkeys([*core, *(more or [])]))
    run_count(CountRequest(bundle, cores, key=key, out=out, repetitions=repetitions, caches=caches, golden=golden))
