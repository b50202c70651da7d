"""The consoles print text as it is; output that is no terminal is neither wrapped nor cut."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text

from cloud_export import console
from tests.support.paths import ROOT

NAME = "[red]scene[/red] [1] :warning: /a/very/long/path/" + "folder/" * 40 + "scene.edge"


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")


def test_a_line_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_line(console.results(), NAME)
    console.print_line(console.problems(), NAME, style="bold")
    found = capsys.readouterr()
    assert (found.out, found.err) == (f"{NAME}\n", f"{NAME}\n")


def test_a_problem_is_one_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_problem(ValueError(NAME))
    found = capsys.readouterr()
    assert (found.out, found.err) == ("", f"ValueError: {NAME}\n")


def test_a_table_is_neither_wrapped_nor_cut(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("a", NAME, title=f"title {NAME}", caption=f"caption {NAME}")
    table.add_row("1", NAME)
    for _ in range(2):  # printing leaves the table's title and caption
        console.print_table(console.results(), table)
        title, _, header, _, row, _, caption = capsys.readouterr().out.splitlines()
        assert (title, caption) == (f"title {NAME}", f"caption {NAME}")
        assert NAME in header
        assert NAME in row


def test_a_table_keeps_to_the_width_of_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    table = Table(NAME)
    console.print_table(console.results(), table)
    assert console.results().width == 40
    assert max(Text.from_ansi(line).cell_len for line in capsys.readouterr().out.splitlines()) == 40


def test_facts_are_rows_of_label_and_value(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_table(console.results(), console.facts_table({"[a]": "1", "b": "[/2]"}, title="[t]"))
    title, _, first, second, _ = capsys.readouterr().out.splitlines()
    assert title == "[t]"
    assert [first.split("│")[1:3], second.split("│")[1:3]] == [[" [a] ", " 1    "], [" b   ", " [/2] "]]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "make room on the disk, or write somewhere else"),
        (PermissionError(errno.EACCES, "Permission denied", "[x]"), "let this user do it, or choose another path"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "x"), "check the path"),
    ],
)
def test_an_error_of_the_system_gets_a_fix(capsys: pytest.CaptureFixture[str], error: OSError, line: str) -> None:
    console.print_problem(error)
    assert capsys.readouterr().err == f"{type(error).__name__}: {error}; {line}\n"


@pytest.mark.parametrize("module", ["cloud_export.entry", "device_sim.entry"])
def test_a_full_disk_behind_stdout_is_one_line(module: str) -> None:
    code = f"import sys, {module}; sys.argv = ['tool', '--version']; {module}.main()"
    with Path("/dev/full").open("wb") as full:
        found = subprocess.run([sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE, check=False, cwd=ROOT)
    assert found.returncode == 2
    assert found.stderr.decode() == (
        "OSError: [Errno 28] No space left on device; make room on the disk, or write somewhere else\n"
    )
