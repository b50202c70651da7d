"""`device-sim`: the command line of the simulated phones and users.

Each command lives in the `population/command.py` of its folder and imports what is heavy only when it runs.
"""

from __future__ import annotations

import typer

from device_sim.bench import command as host
from device_sim.emulation import command as emulation
from device_sim.estimate import command as estimate_command
from device_sim.fleet import command as fleet
from device_sim.population import command as users
from device_sim.report import command as report
from device_sim.validation import command as validate_command

app = typer.Typer(no_args_is_help=True, help="Simulated phones and users for Edge SDK.")


@app.callback()
def main() -> None:
    """Simulated phones and users for Edge SDK."""


for run in (
    emulation.setup,
    emulation.count,
    estimate_command.estimate,
    validate_command.validate,
    host.bench,
    users.population,
    fleet.fleet,
    report.report,
):
    app.command()(run)
