"""The `device-sim` command, also where only the device runtime is installed: then it says what to install."""


def main() -> None:
    """Run the command line.

    Raises:
        SystemExit: always; with what to install when a package is missing.
    """
    try:
        from device_sim.cli import app
    except ModuleNotFoundError as missing:
        raise SystemExit(f"device-sim needs {missing.name}; install it with: pip install 'edge-sdk[sim]'") from None
    app()
