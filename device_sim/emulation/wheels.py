"""The guest's Python packages: arm64 wheels of exactly the versions that are installed here."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from device_sim.emulation import cache_folder, tools
from device_sim.emulation.errors import EmulationError
from device_sim.emulation.sysroot import PYTHON

# All that `edge_sdk` imports, and what those import; `cffi` is what `cryptography` calls its library through.
PACKAGES: Final = ("numpy", "onnxruntime", "flatbuffers", "protobuf", "packaging", "cryptography", "cffi")
# Wheels for any C library up to the guest's (Debian 12 has 2.36).
PLATFORMS: Final = (*(f"manylinux_2_{minor}_aarch64" for minor in range(36, 16, -1)), "manylinux2014_aarch64")
DOWNLOAD_TIMEOUT_S: Final = 900.0


class PackageMissingError(EmulationError):
    """A package of the runtime is not installed on the host, so its version is not known."""

    def __init__(self, package: str) -> None:
        super().__init__(f"{package} is not installed here, so its version is not known; run: pip install {package}")


def wheels() -> Path:
    """A folder for the guest's PYTHONPATH, fetched now if it is not in the cache.

    Raises:
        PackageMissingError: The host lacks one of the packages.
        CommandError: pip failed, for instance because a version has no arm64 wheel.
        CacheFolderError: The files cannot be kept.
    """
    return target(pins())


def target(versions: Mapping[str, str]) -> Path:
    """A folder with these packages, without what they depend on.

    Raises:
        CommandError: pip failed.
        CacheFolderError: The files cannot be kept.
    """

    def build(folder: Path) -> None:
        fetch(versions, folder)

    return cache_folder.built(name(versions), build)


def name(versions: Mapping[str, str]) -> str:
    """Its folder in the cache."""
    return f"wheels-{cache_folder.key(PYTHON, *requirements(versions))}"


def pins() -> dict[str, str]:
    """The versions that are installed here.

    Raises:
        PackageMissingError: One is not.
    """
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError as error:
            raise PackageMissingError(package) from error
    return found


def requirements(versions: Mapping[str, str]) -> list[str]:
    """Such as `numpy==2.4.6`; a local label (`+cpu`) is of the host's build alone and left out."""
    return [f"{package}=={number.partition('+')[0]}" for package, number in sorted(versions.items())]


def fetch(versions: Mapping[str, str], folder: Path) -> None:
    """Download and unpack into `folder`.

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
