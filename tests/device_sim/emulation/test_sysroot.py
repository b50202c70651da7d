"""apt works on files of its own; the host's settings only give the mirror."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_sim.emulation import sysroot
from device_sim.emulation.errors import CommandError
from tests.support.simulator import emulator_fixtures

own_cache = emulator_fixtures.own_cache

TARGETS = """\
http://mirror.example/debian bookworm main
http://mirror.example/debian bookworm contrib
http://mirror.example/debian bookworm-updates main
http://security.example/debian-security bookworm-security main
http://other.example/node nodistro main
"""
SETTINGS = """\
APT::Architecture "arm64";
Dir::State "/w/state";
Dir::State::status "/w/status";
Dir::Cache "/w/cache";
Dir::Log "/w/log";
Dir::Etc::sourcelist "/w/sources.list";
Dir::Etc::sourceparts "-";
Dir::Etc::preferencesparts "-";
APT::Sandbox::User "";
Acquire::Languages "none";
APT::Architectures { "arm64"; };
"""


def fake_apt(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "apt-get").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "apt-get").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")
    monkeypatch.delenv(sysroot.MIRROR_VARIABLE, raising=False)


def test_settings() -> None:
    assert sysroot.settings_text(Path("/w")) == SETTINGS


def test_sources() -> None:
    assert sysroot.sources_text({"bookworm-updates": "http://a", "bookworm": "http://b"}) == (
        "deb [arch=arm64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://b bookworm main\n"
        "deb [arch=arm64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://a bookworm-updates main\n"
    )


def test_targets() -> None:
    assert sysroot.read_targets(TARGETS) == {
        "bookworm": "http://mirror.example/debian",
        "bookworm-updates": "http://mirror.example/debian",
        "bookworm-security": "http://security.example/debian-security",
    }


@given(st.text())
def test_any_list_of_targets_is_read(text: str) -> None:
    assert set(sysroot.read_targets(text)) <= {"bookworm", "bookworm-updates", "bookworm-security"}


def test_the_mirror_is_the_hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_apt(tmp_path, f"cat <<'EOF'\n{TARGETS}EOF", monkeypatch)
    assert sysroot.mirrors()["bookworm"] == "http://mirror.example/debian"
    assert sysroot.mirrors("bullseye") == {"bullseye": "http://mirror.example/debian"}


def test_a_named_mirror_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(sysroot.MIRROR_VARIABLE, "http://mine.example/debian")
    assert sysroot.mirrors() == {"bookworm": "http://mine.example/debian"}


def test_another_distribution_is_told_what_to_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_apt(tmp_path, "echo http://mirror.example/ubuntu noble main", monkeypatch)
    with pytest.raises(sysroot.NoMirrorError, match="name a mirror in EDGE_SIM_DEBIAN_MIRROR"):
        sysroot.mirrors()


def test_a_server_out_of_reach_is_told_and_leaves_nothing(
    own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_apt(
        tmp_path,
        f"case $1 in indextargets) cat <<'EOF'\n{TARGETS}EOF\n;; *) echo 'E: Failed to fetch x' >&2; exit 100;; esac",
        monkeypatch,
    )
    with pytest.raises(CommandError, match=r"apt-get update failed \(apt-get\): E: Failed to fetch x; look whether"):
        sysroot.sysroot()
    assert [path.name for path in own_cache.iterdir() if not path.name.startswith(".lock")] == []
