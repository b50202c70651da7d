"""Fetches the guest's Python packages: arm64 wheels of exactly the versions that are installed on the host."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from device_sim.emulation import cache_folder, tools
from device_sim.emulation.errors import EmulationError
from device_sim.emulation.sysroot import PYTHON

# The packages that `edge_sdk` imports, and their dependencies; `cryptography` calls its library through `cffi`.
PACKAGES: Final = ("numpy", "onnxruntime", "flatbuffers", "protobuf", "packaging", "cryptography", "cffi")
# Wheels for any C library up to the guest's (Debian 12 has 2.36).
PLATFORMS: Final = (*(f"manylinux_2_{minor}_aarch64" for minor in range(36, 16, -1)), "manylinux2014_aarch64")
DOWNLOAD_TIMEOUT_S: Final = 900.0


class PackageMissingError(EmulationError):
    """A package of the runtime is not installed on the host, so its version is not known."""

    def __init__(self, package: str) -> None:
        super().__init__(f"{package} is not installed here, so its version is not known; run: pip install {package}")


def wheels() -> Path:
    """Returns a folder for the guest's PYTHONPATH; fetches the wheels if they are not in the cache.

    Raises:
        PackageMissingError: The host lacks one of the packages.
        CommandError: pip failed, for instance because a version has no arm64 wheel.
        CacheFolderError: The files cannot be stored.
    """
    return target(pins())


def target(versions: Mapping[str, str]) -> Path:
    """Returns a folder with these packages, without their dependencies.

    Raises:
        CommandError: pip failed.
        CacheFolderError: The files cannot be stored.
    """

    def build(folder: Path) -> None:
        fetch(versions, folder)

    return cache_folder.built(name(versions), build)


def name(versions: Mapping[str, str]) -> str:
    """Returns the name of the folder in the cache."""
    return f"wheels-{cache_folder.key(PYTHON, *requirements(versions))}"


def pins() -> dict[str, str]:
    """Returns the versions that are installed on the host.

    Raises:
        PackageMissingError: A package is not installed.
    """
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError as error:
            raise PackageMissingError(package) from error
    return found


def requirements(versions: Mapping[str, str]) -> list[str]:
    """Returns requirements such as `numpy==2.4.6`, without local labels (`+cpu`), which name the host's build."""
    return [f"{package}=={number.partition('+')[0]}" for package, number in sorted(versions.items())]


def fetch(versions: Mapping[str, str], folder: Path) -> None:
    """Downloads and unpacks wheels into `folder`.

    Raises:
        CommandError: pip failed.
    """
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    command += ["--no-deps", "--no-compile", "--only-binary=:all:", "--target", str(folder)]
    command += ["--python-version", PYTHON, "--implementation", "cp"]
    command += [option for platform in PLATFORMS for option in ("--platform", platform)]
    fix = (
        "look whether the package index can be reached; if it has no arm64 wheel of a version, install one here that "
        f"it has (Python {PYTHON}, manylinux aarch64), because the guest runs the versions that run here"
    )
    tools.run(
        [*command, *requirements(versions)],
        purpose="fetching the arm64 wheels",
        fix=fix,
        timeout_s=DOWNLOAD_TIMEOUT_S,
    )
