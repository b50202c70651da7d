"""`device-sim setup` names each missing part in one line with its fix."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from device_sim.cli import app
from device_sim.emulation import tools
from tests.support.simulator import emulator_fixtures

own_cache = emulator_fixtures.own_cache

ABSENT = {
    "qemu-aarch64 is not on the PATH; install it: apt-get install qemu-user (Debian 12, Ubuntu 24.04)",
    "no C compiler is on the PATH; install one: apt-get install gcc libc6-dev",
    "setarch is not on the PATH; install it: apt-get install util-linux",
    "apt-get is not on the PATH; run it on Debian or Ubuntu, or in a container of one",
    "dpkg is not on the PATH; run it on Debian or Ubuntu, or in a container of one",
}


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the whole PATH."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("CC", raising=False)
    return folder


def add(programs: Path, name: str, script: str = "exit 0") -> None:
    (programs / name).write_text(f"#!/bin/sh\n{script}\n")
    (programs / name).chmod(0o755)


def add_all(programs: Path, *, but: str = "") -> None:
    for name in {"cc", "setarch", "apt-get", "dpkg"} - {but}:
        add(programs, name)
    if but != "qemu-aarch64":
        add(programs, "qemu-aarch64", "echo qemu-aarch64 version 7.2.22 '(Debian)'")


def test_an_empty_machine_is_told_all_at_once(programs: Path, own_cache: Path) -> None:
    result = CliRunner().invoke(app, ["setup"])
    assert result.exit_code == 1
    assert set(result.stderr.splitlines()) == ABSENT
    assert not own_cache.exists()


def test_check_tells_the_same_and_that_it_was_not_run(programs: Path, own_cache: Path) -> None:
    result = CliRunner().invoke(app, ["setup", "--check"])
    assert result.exit_code == 1
    assert set(result.stderr.splitlines()) == ABSENT | {
        "not set up: Debian's arm64 Python, the arm64 wheels, the guest's compiled modules; run: device-sim setup"
    }
    assert not own_cache.exists()


@pytest.mark.parametrize("missing", ["qemu-aarch64", "cc", "setarch", "apt-get", "dpkg"])
def test_each_missing_program_is_one_line(programs: Path, own_cache: Path, missing: str) -> None:
    add_all(programs, but=missing)
    (problem,) = tools.missing_to_set_up()
    assert problem in ABSENT


def test_packages_that_are_there_need_no_apt(programs: Path) -> None:
    add_all(programs, but="apt-get")
    (programs / "dpkg").unlink()
    assert tools.missing_to_set_up(debian_there=True) == []


@pytest.mark.parametrize(
    ("printed", "problem"),
    [
        ("qemu-aarch64 version 7.2.22 (Debian 1:7.2)", None),
        ("qemu-aarch64 version 8.2.2", None),
        ("qemu-aarch64 version 5.2.0", "qemu-aarch64 is 5.2.0, 7.2 to 8.2 is needed (its plugin interface)"),
        ("qemu-aarch64 version 9.0.1", "qemu-aarch64 is 9.0.1, 7.2 to 8.2 is needed (its plugin interface)"),
        ("hello", "qemu-aarch64 --version does not answer"),
    ],
)
def test_emulator_versions(programs: Path, printed: str, problem: str | None) -> None:
    add_all(programs)
    add(programs, "qemu-aarch64", f"echo '{printed}'")
    found = tools.missing_to_run()
    assert [line.split(";")[0] for line in found] == ([] if problem is None else [problem])


def test_a_compiler_that_fails_is_quoted(programs: Path, own_cache: Path) -> None:
    add_all(programs)
    add(programs, "cc", "echo 'fatal error: stdio.h: No such file' >&2; exit 1")
    result = CliRunner().invoke(app, ["setup"])
    assert result.exit_code == 1
    assert "compiling the counting plugin failed" in result.stderr
    assert "stdio.h: No such file; install the C library's headers: apt-get install gcc libc6-dev" in result.stderr
    assert list(own_cache.glob("plugin-*")) == []


def test_a_cache_folder_that_is_a_file_is_told(programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_all(programs)
    (tmp_path / "file").touch()
    monkeypatch.setenv("EDGE_SIM_CACHE", str(tmp_path / "file"))
    result = CliRunner().invoke(app, ["setup"])
    assert result.exit_code == 1
    assert "free space there, or name another folder in EDGE_SIM_CACHE" in result.stderr
