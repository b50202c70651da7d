"""The `cloud-export` command, also where only the device runtime is installed: then it says what to install."""


def main() -> None:
    """Run the command line.

    Raises:
        SystemExit: always; with what to install when a package is missing.
    """
    try:
        from cloud_export.cli import app
    except ModuleNotFoundError as missing:
        raise SystemExit(f"cloud-export needs {missing.name}; install it with: pip install 'edge-sdk[cloud]'") from None
    app()
