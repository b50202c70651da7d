"""`bench --count` refuses an unknown core before the measurement, and counts where the emulator is set up."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from device_sim.cli import app
from tests.support.scene import Small


def test_a_core_that_is_not_known_is_one_line_and_exit_code_2(small: Small, tmp_path: Path) -> None:
    key = tmp_path / "scene.pub"
    key.write_bytes(small.public_key)
    result = CliRunner().invoke(app, ["bench", str(small.bundle), "--key", str(key), "--count", "cortex-z1"])
    assert result.exit_code == 2
    assert "cortex-z1" in result.output
    assert isinstance(result.exception, SystemExit)


def test_without_the_emulator_the_message_names_the_set_up(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGE_SIM_CACHE", str(tmp_path / "empty"))
    key = tmp_path / "scene.pub"
    key.write_bytes(small.public_key)
    result = CliRunner().invoke(app, ["bench", str(small.bundle), "--key", str(key), "--count", "cortex-a55"])
    assert result.exit_code == 2
    assert "device-sim setup" in result.output
