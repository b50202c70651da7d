"""The guest's packages have the versions of the host's."""

from __future__ import annotations

import importlib.util
from importlib.metadata import version
from pathlib import Path

import pytest

from device_sim.emulation import tools, wheels
from device_sim.emulation.errors import CommandError
from tests.support.simulator import emulator_fixtures

own_cache = emulator_fixtures.own_cache


def test_versions_are_those_installed_here() -> None:
    pins = wheels.pins()
    assert set(pins) >= {"numpy", "onnxruntime", "flatbuffers", "cryptography", "cffi"}
    assert pins["numpy"] == version("numpy")


def test_a_package_that_is_not_here_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels, "PACKAGES", ("numpy", "no-such-package-anywhere"))
    with pytest.raises(wheels.PackageMissingError, match="no-such-package-anywhere is not installed here"):
        wheels.pins()


def test_a_local_label_is_left_out() -> None:
    assert wheels.requirements({"b": "2.0+cpu", "a": "1.5"}) == ["a==1.5", "b==2.0"]


def test_other_versions_are_another_folder() -> None:
    assert wheels.name({"a": "1"}) != wheels.name({"a": "2"})
    assert wheels.name({"a": "1", "b": "2"}) == wheels.name({"b": "2", "a": "1"})


@pytest.mark.skipif(importlib.util.find_spec("pip") is None, reason="pip is not installed; run: python -m ensurepip")
def test_a_version_without_a_wheel_is_told(own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # An empty folder instead of an index: no network.
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    with pytest.raises(CommandError, match="fetching the arm64 wheels failed") as caught:
        wheels.target({"numpy": "0.0.1"})
    assert "numpy==0.0.1" in str(caught.value)
    assert "if it has no arm64 wheel of a version" in str(caught.value)
    assert list(own_cache.glob("wheels-*")) == []


def test_a_missing_program_is_a_missing_command() -> None:
    with pytest.raises(CommandError, match="doing it failed"):
        tools.run(["/no/such/program"], purpose="doing it", fix="do it by hand", timeout_s=5)
