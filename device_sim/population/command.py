"""The command `device-sim population`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from time import perf_counter
from typing import Annotated

import polars as pl
import typer
from rich.progress import Progress
from rich.table import Table

from cloud_export.console import print_table, problems, results
from device_sim.population.population import Population, PopulationConfig, simulate, write


def population(
    *,
    out: Annotated[Path, typer.Option(help="Folder for the Parquet files; made if needed.")],
    users: Annotated[int, typer.Option(help="How many users.")] = 2000,
    days: Annotated[int, typer.Option(help="How many days.")] = 14,
    seed: Annotated[int, typer.Option(help="The same seed gives the same files.")] = 1,
    start: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="The first day, UTC.")] = datetime(2026, 1, 5),
) -> None:
    """Simulate the users of a payment app's finance pages, and write their log and the truth behind it."""
    _make_folder(out)
    try:
        config = PopulationConfig(users=users, days=days, seed=seed, start=start.date())
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    began_s = perf_counter()
    with Progress(console=problems(), transient=True) as progress:
        task = progress.add_task("simulating days", total=days)
        simulated = simulate(config, after_day=lambda done: progress.update(task, completed=done))
    write(simulated, out)
    print_table(results(), _summary(simulated, out, perf_counter() - began_s))


def _make_folder(out: Path) -> None:
    """Makes the folder before the work, so that a wrong name costs no minutes."""
    if out.exists() and not out.is_dir():
        raise typer.BadParameter(f"{out} is a file: give a folder, or a name that is free")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise typer.BadParameter(f"cannot make {out} ({error.strerror}): give another folder") from error


def _summary(simulated: Population, out: Path, seconds: float) -> Table:
    kinds = dict(simulated.events["kind"].value_counts().iter_rows())
    clicks, conversions = kinds.get("click", 0), kinds.get("convert", 0)
    table = Table("what", "how much", title=f"population in {out}")
    for name in ("events", "decisions", "offers", "users", "truth"):
        frame: pl.DataFrame = getattr(simulated, name)
        table.add_row(f"{name}, rows", f"{frame.height:,}")
    table.add_row("clicks per impression", f"{clicks / max(kinds.get('impression', 0), 1):.2%}")
    table.add_row("conversions per click", f"{conversions / max(clicks, 1):.2%}")
    table.add_row("seconds", f"{seconds:.1f}")
    return table
