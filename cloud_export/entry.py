"""The entry point of `cloud-export`: names the missing package where only the device runtime is installed."""


def main() -> None:
    """Runs the command line.

    Raises:
        SystemExit: always; with the command that installs a missing package.
    """
    try:
        from cloud_export.cli import app
        from cloud_export.console import run
    except ModuleNotFoundError as missing:
        raise SystemExit(f"cloud-export needs {missing.name}; install it with: pip install 'edge-sdk[cloud]'") from None
    run(app)
