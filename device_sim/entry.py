"""The entry point of `device-sim`: names the missing package where only the device runtime is installed."""


def main() -> None:
    """Runs the command line.

    Raises:
        SystemExit: always; with the command that installs a missing package.
    """
    try:
        from cloud_export.console import run
        from device_sim.cli import app
    except ModuleNotFoundError as missing:
        raise SystemExit(f"device-sim needs {missing.name}; install it with: pip install 'edge-sdk[sim]'") from None
    run(app)
