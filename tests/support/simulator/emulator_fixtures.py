"""Gives the emulator's tests C drivers, a cache folder of their own, and the emulator where it is set up.

A test module takes a fixture by assigning it to its own name.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from device_sim.emulation import cache_folder, installation, plugin, tools
from device_sim.emulation.installation import Installation
from tests.support.paths import SIMULATOR


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder (not made yet)."""
    folder = tmp_path / "cache"
    monkeypatch.setenv(cache_folder.VARIABLE, str(folder))
    return folder


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], str]:
    """Compiles a driver of this folder with the plugin's sources, feeds it, and returns what it prints."""
    compiler = tools.compiler()
    if compiler is None:
        pytest.skip("there is no C compiler; install gcc")
    folder = tmp_path_factory.mktemp("drivers")

    def run(name: str, fed: str) -> str:
        program = folder / name
        if not program.exists():
            sources = [SIMULATOR / f"{name}.c", plugin.FOLDER / "a64_classes.c"]
            subprocess.run([compiler, "-O1", f"-I{plugin.FOLDER}", "-o", program, *sources], check=True)
        return subprocess.run([program], input=fed, capture_output=True, text=True, check=True).stdout

    return run


@pytest.fixture(scope="session")
def arm64() -> Installation:
    """Returns the installation of `device-sim setup`; without one the test is skipped with the reason."""
    if problems := installation.problems():
        pytest.skip("device-sim setup has not been run; run it: " + "; ".join(problems))
    return installation.installed()
