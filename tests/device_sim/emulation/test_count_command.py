"""Every error of `device-sim count` is one line and an exit code."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from typer.testing import CliRunner

from device_sim.cli import app
from device_sim.counts.counts import BundleCounts
from device_sim.emulation import count_command, tools, workload_plan
from tests.support.scene import Small
from tests.support.simulator.native_runner import NativeRunner


@pytest.fixture
def as_if_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(count_command, "installed", lambda: None)
    monkeypatch.setattr(count_command, "EmulatedCore", lambda *of: NativeRunner())
    monkeypatch.setattr(workload_plan, "OPERATIONS", ("rank",))


def call(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["count", *map(str, arguments)], terminal_width=200)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.output


def test_without_set_up_the_message_names_the_command(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGE_SIM_CACHE", str(tmp_path / "empty"))
    monkeypatch.setattr(tools, "missing_to_run", list)
    code, output = call(small.bundle, "--core", "cortex-a55")
    assert code == 1
    parts = "Debian's arm64 Python, the arm64 wheels, the guest's compiled modules"
    assert output.splitlines() == [f"not set up: {parts}; run: device-sim setup"]


@pytest.mark.usefixtures("as_if_set_up")
def test_counts_of_every_core_are_printed_and_written(small: Small, tmp_path: Path) -> None:
    key = tmp_path / "scene.pub"
    key.write_bytes(small.public_key)
    out = tmp_path / "new" / "folder"
    options = ["--key", key, "--core", "cortex-a53", "--core", "cortex-a55", "--repetitions", 8, "--no-caches"]
    code, output = call(small.bundle, *options, "--out", out)
    assert code == 0, output
    for core in ("cortex-a53", "cortex-a55"):
        counts = BundleCounts.read_json(out / f"small.{core}.json")
        assert counts.core == core
        assert counts.caches is None
        assert counts.conformance["golden_decisions"] == 134
    assert "rank: 420 instructions with 6 candidates and a window of 8, 52.4% of them outside ONNX Runtime" in output
    assert f"wrote {out}/small.cortex-a55.json" in output
    assert "134 played, 0 differences" in output


@pytest.mark.usefixtures("as_if_set_up")
@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--core", "cortex-a5"], 1, "core 'cortex-a5' is not known; give one of: cortex-a35"),
        (["--core", "cortex-a55", "--key", "absent.pub"], 2, "--key absent.pub: No such file or directory; give the"),
        (["--core", "cortex-a55", "--golden", "absent"], 2, "--golden absent: no decisions/ or no players"),
        (["--core", "cortex-a55", "--repetitions", 8, "--no-caches", "--out", "/dev/null/x"], 1, "/dev/null"),
    ],
)
def test_a_wrong_option_is_one_line(small: Small, options: list[object], code: int, message: str) -> None:
    found, output = call(small.bundle, *options)
    assert found == code
    assert message in output.splitlines()[-1]


@pytest.mark.usefixtures("as_if_set_up")
def test_a_full_disk_is_one_line(small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(counts: BundleCounts, path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(BundleCounts, "write_json", refused)
    out = tmp_path / "counts.json"
    code, output = call(small.bundle, "--core", "cortex-a55", "--repetitions", 8, "--no-caches", "--out", out)
    assert code == 1
    assert output.splitlines()[-1] == f"{out}: No space left on device; free space there, or choose another --out"


@pytest.mark.usefixtures("as_if_set_up")
def test_a_file_that_is_no_bundle_and_a_key_of_another_are_one_line(small: Small, tmp_path: Path) -> None:
    code, output = call(tmp_path / "absent.edge", "--core", "cortex-a55")
    assert (code, len(output.splitlines())) == (1, 1)
    assert "absent.edge" in output
    key = tmp_path / "other.pub"
    key.write_bytes(bytes(32))
    code, output = call(small.bundle, "--core", "cortex-a55", "--key", key)
    assert (code, len(output.splitlines())) == (1, 1)
    assert "scene.edge" in output
    key.write_bytes(b"short")
    code, output = call(small.bundle, "--core", "cortex-a55", "--key", key)
    assert code == 2
    assert "5 bytes, a public key has 32" in output
