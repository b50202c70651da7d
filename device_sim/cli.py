"""The command line `device-sim`: simulates phones and users.

Each command is in the `command.py` of its folder, which imports heavy packages only when the command runs.
"""

from __future__ import annotations

from cloud_export.console import VersionOption, command_line
from device_sim.bench import command as host
from device_sim.emulation import command as emulation
from device_sim.estimate import command as estimate_command
from device_sim.fleet import command as fleet
from device_sim.population import command as users
from device_sim.report import command as report
from device_sim.validation import command as validate_command

app = command_line("device-sim", "Simulates phones and users for Edge SDK.")


@app.callback()
def main(version: VersionOption = False) -> None:
    """Simulates phones and users for Edge SDK."""


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
