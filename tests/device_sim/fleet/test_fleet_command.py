"""The fleet's command writes its result as a file and prints it as tables."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cloud_export.console import print_table, results
from device_sim.cli import app
from device_sim.fleet import cloud, run
from device_sim.fleet.arms import ARMS
from device_sim.fleet.result import FleetFileError, FleetResult
from device_sim.fleet.run import emptied
from device_sim.fleet.table import tables_of
from tests.support.paths import ROOT
from tests.support.simulator.fleet_examples import hand_made

# ---- the file ----


def test_the_result_is_written_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "fleet.json"
    hand_made().write_json(path)
    assert FleetResult.read_json(path) == hand_made()
    assert [one.name for one in tmp_path.iterdir()] == ["fleet.json"]
    assert json.loads(path.read_text())["settings"]["start"] == "2026-01-05"
    with pytest.raises(KeyError):
        hand_made().arm("nobody")
    with pytest.raises(KeyError):
        hand_made().lift("nobody")


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "Invalid JSON"), ("{}", "settings: Field required; give a file that"), (None, "No such file")],
)
def test_a_file_that_is_no_result_is_refused(content: str | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "fleet.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(FleetFileError, match=message):
        FleetResult.read_json(path)


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "fleet.json"
    hand_made().model_copy(update={"format": 2}).write_json(path)
    with pytest.raises(FleetFileError, match="format 2, this program reads 1"):
        FleetResult.read_json(path)


KILLED = """
import os, signal, sys
from pathlib import Path
from device_sim.fleet import result
os.replace = lambda *_paths: os.kill(os.getpid(), signal.SIGKILL)
found = result.FleetResult.read_json(Path(sys.argv[1]))
found.write_json(Path(sys.argv[2]))
"""


@pytest.mark.parametrize("before", [None, "what was there\n"])
def test_who_is_killed_while_writing_leaves_the_old_file(before: str | None, tmp_path: Path) -> None:
    whole_file, path = tmp_path / "whole.json", tmp_path / "fleet.json"
    hand_made().write_json(whole_file)
    if before is not None:
        path.write_text(before)
    command = [sys.executable, "-c", KILLED, str(whole_file), str(path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert (path.read_text() if path.exists() else None) == before


# ---- the command ----


def unwrapped(output: str) -> str:
    """The text without the frame and the line breaks of a narrow terminal."""
    return " ".join(output.replace("│", " ").split())


def test_the_tables_show_the_figures_of_the_result(capsys: pytest.CaptureFixture[str]) -> None:
    for table in tables_of(hand_made()):
        print_table(results(), table)
    text = unwrapped(capsys.readouterr().out)
    assert "2 phones, 2 days, seed 1" in text
    assert "device 0.750 +50.0% (+50.0 to +50.0) 0.250 4 0 0" in text
    assert "2 2 0.500 0.750 +50.0% (+50.0 to +50.0) 1.0" in text  # day 2
    assert "share of the base→oracle gap closed +50.0%" in text
    assert "300 µs, 20.0 ms" in text
    for arm in ARMS:
        assert arm.name in text


def test_the_command_writes_the_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "run_fleet", lambda *_arguments: hand_made())
    ended = CliRunner().invoke(app, ["fleet", "--out", str(tmp_path / "a" / "b")])
    assert ended.exit_code == 0, ended.output
    assert FleetResult.read_json(tmp_path / "a" / "b" / "fleet.json") == hand_made()


def test_the_command_fails_where_something_must_be_zero_and_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = hand_made().model_copy(update={"cap_violations": 1})
    monkeypatch.setattr(run, "run_fleet", lambda *_arguments: bad)
    ended = CliRunner().invoke(app, ["fleet", "--out", str(tmp_path), "--json", str(tmp_path / "x" / "found.json")])
    assert ended.exit_code == 1
    assert FleetResult.read_json(tmp_path / "x" / "found.json").cap_violations == 1  # the figures are kept


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--devices", "0"], "--devices is 0: give a number from 1 to 20000"),
        (["--days", "1000000000"], "--days is 1000000000: give a number from 1 to 60"),
        (["--panel-users", "-5"], "--panel-users is -5: give a number from 20 to 20000"),
        (["--seed", str(2**70)], "give a number from 0 to 4294967295"),
    ],
)
def test_absurd_numbers_are_refused_before_any_work(arguments: list[str], message: str, tmp_path: Path) -> None:
    ended = CliRunner().invoke(app, ["fleet", "--out", str(tmp_path / "out"), *arguments])
    assert ended.exit_code == 2
    assert message in unwrapped(ended.output)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    ended = CliRunner().invoke(app, ["fleet", "--out", str(tmp_path / "file")])
    assert ended.exit_code == 2
    assert "is a file: give a folder" in unwrapped(ended.output)


def test_what_no_fleet_made_is_not_emptied(tmp_path: Path) -> None:
    mine = tmp_path / "devices" / "mine.txt"
    mine.parent.mkdir()
    mine.write_text("mine")
    ended = CliRunner().invoke(app, ["fleet", "--out", str(tmp_path)])
    assert ended.exit_code == 1
    assert "was not made by device-sim fleet, and would be emptied; give another --out" in unwrapped(ended.output)
    assert mine.read_text() == "mine"


def test_what_an_earlier_fleet_left_is(tmp_path: Path) -> None:
    emptied(tmp_path / "devices")
    (tmp_path / "devices" / "u000001").mkdir()
    emptied(tmp_path / "devices")
    assert not (tmp_path / "devices" / "u000001").exists()


def test_a_panel_that_is_too_small_ends_with_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloud, "_HELD_BACK", 0.01)  # of 20 users nobody
    arguments = ["--panel-users", "20", "--panel-days", "3", "--devices", "1", "--days", "1", "--seed", "1"]
    ended = CliRunner().invoke(app, ["fleet", "--out", str(tmp_path), *arguments])
    assert ended.exit_code == 1
    assert "none is left to" in unwrapped(ended.output)
    assert "bring a longer log" in unwrapped(ended.output)
    assert not (tmp_path / "fleet.json").exists()
