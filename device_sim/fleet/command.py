"""The command `device-sim fleet`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from cloud_export.console import print_line, print_table, problems, results


def fleet(
    *,
    devices: Annotated[int, typer.Option(help="How many phones, each with a user of its own.")] = 300,
    days: Annotated[int, typer.Option(help="How many days they live.")] = 5,
    seed: Annotated[int, typer.Option(help="The same seed gives the same users, choices and lists.")] = 1,
    panel_users: Annotated[
        int, typer.Option(help="Consenting users that the cloud learns from; none is in the fleet.")
    ] = 1500,
    panel_days: Annotated[int, typer.Option(help="How many days of theirs, before the fleet's first.")] = 10,
    out: Annotated[Path, typer.Option(help="Folder for the panel's log, the bundle and the phones' state.")] = Path(
        "build/fleet"
    ),
    json: Annotated[Path | None, typer.Option(help="The result; absent = fleet.json in that folder.")] = None,
) -> None:
    """Many simulated phones in closed loop: lift over the cloud's ranking, regret, rules broken, bytes sent."""
    from cloud_export.errors import CloudError
    from cloud_export.scene.load import load_scene
    from device_sim.fleet.run import run_fleet
    from device_sim.fleet.settings import FleetSettingsError, checked_settings
    from device_sim.fleet.table import tables_of
    from edge_sdk import EdgeError

    try:
        settings = checked_settings(
            devices=devices, days=days, seed=seed, panel_users=panel_users, panel_days=panel_days
        )
    except FleetSettingsError as error:
        raise typer.BadParameter(str(error)) from error
    found = json or out / "fleet.json"
    _make_folder(out)
    _make_folder(found.parent)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, console=problems(), transient=True) as progress:
            result = run_fleet(settings, load_scene("wealth"), out, lambda name: _bar(progress, name))
        result.write_json(found)
    except (CloudError, EdgeError, OSError) as error:
        print_line(problems(), str(error))
        raise typer.Exit(1) from error
    for table in tables_of(result):
        print_table(results(), table)
    print_line(results(), f"{found}: the whole result")
    if result.cap_violations or result.uploaded_bytes or result.runtime.errors:
        print_line(problems(), "a rule was broken, bytes were sent, or a decision failed: see the table", style="bold")
        raise typer.Exit(1)


def _make_folder(folder: Path) -> None:
    """Makes the folder before the work, so that a wrong name costs no minutes."""
    if folder.exists() and not folder.is_dir():
        raise typer.BadParameter(f"{folder} is a file: give a folder, or a name that is free")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise typer.BadParameter(f"cannot make {folder} ({error.strerror}): give another folder") from error


def _bar(progress: Progress, name: str) -> Callable[[int, int], None]:
    task = progress.add_task(name, total=None)
    return lambda done, total: progress.update(task, completed=done, total=total)
