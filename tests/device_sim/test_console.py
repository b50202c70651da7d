"""The console of `device_sim` prints names as they are, whole, at any width of the terminal."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from rich.table import Table

import device_sim
from cloud_export import console

NAME = "[red]scene[/red] [1] :warning: /a/very/long/path/" + "folder/" * 40 + "scene.edge"


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")


def test_a_line_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_line(console.results(), NAME)
    console.results().print(NAME)
    assert capsys.readouterr().out == f"{NAME}\n{NAME}\n"


def test_a_problem_is_one_line_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_problem(ValueError(NAME))
    found = capsys.readouterr()
    assert (found.out, found.err) == ("", f"ValueError: {NAME}\n")


def test_a_table_is_neither_wrapped_nor_cut(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("a", title=f"title {NAME}", caption=f"caption {NAME}")
    table.add_row("1")
    console.print_table(console.results(), table)
    title, *_, caption = capsys.readouterr().out.splitlines()
    assert (title, caption) == (f"title {NAME}", f"caption {NAME}")
    wide = Table(NAME, "the other column")
    wide.add_row(NAME, "words that stay in one line, however many there are of them")
    console.print_table(console.results(), wide)
    _, header, _, row, _ = capsys.readouterr().out.splitlines()
    assert NAME in header
    assert NAME in row
    assert "words that stay in one line, however many there are of them" in row


def test_every_console_is_made_in_one_place() -> None:
    package = Path(device_sim.__file__).parent
    for path in package.rglob("*.py"):
        calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        made = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "Console"]
        assert not made, f"{path} makes a console of its own"
